package jetstream

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/rookery-im/rookery/transport/carrier"
)

// sparse is one of how many messages has to be of the topics for it to be worth that the
// server looks for them: finding one takes it about as long as sending so many.
const sparse = 20

// History implements carrier.Carrier. It asks for pages of 256 messages. ErrDenied if
// the account may not read. With more than Options.Filters topics, or if they are most
// of what there is, it goes through all messages of the time.
func (c *Carrier) History(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	epoch, err := c.reachable()
	if err != nil {
		return err
	}
	a := asking{c: c, topics: make(map[string]carrier.Topic, len(topics)), since: since, until: until, each: each}
	for _, topic := range topics {
		if err := topic.Check(); err != nil {
			return err
		}
		a.topics[token(topic)] = topic
	}
	if len(a.topics) == 0 || since >= until {
		return nil
	}
	ctx, done := while(ctx, epoch)
	defer done(nil)
	for {
		before := a.seq
		switch err := a.pages(ctx); {
		case errors.Is(err, errEnd):
			return nil
		case a.failed != nil:
			return a.failed
		case errors.Is(err, errGone) && a.seq > before: // each was slow, or something was lost
		default:
			return err
		}
	}
}

// asking is one call of History.
type asking struct {
	c            *Carrier
	topics       map[string]carrier.Topic // by token
	since, until int64
	each         func(carrier.Received) error
	seq          uint64 // of the last message that came
	failed       error  // of each
}

// pages goes on behind the last message that came; errEnd at the end.
func (a *asking) pages(ctx context.Context) error {
	w, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	if w.pending == 0 {
		return errEnd
	}
	for {
		d, err := w.next(nil)
		if err != nil {
			return err
		}
		if d.at >= a.until {
			return errEnd
		}
		a.seq = d.seq
		if topic, ok := a.topics[a.c.names.tokenOf(d.Subject)]; ok && d.at >= a.since {
			if m, ok := message(topic, d.Msg); ok {
				if a.failed = a.each(carrier.Received{Message: m, At: d.at}); a.failed != nil {
					return a.failed
				}
			}
		}
		if d.pending == 0 {
			return errEnd
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// open asks for the messages of the topics, or for all if that is quicker.
func (a *asking) open(ctx context.Context) (*window, error) {
	if len(a.topics) > a.c.options.Filters {
		return a.c.openWindow(ctx, a.config(), false)
	}
	tokens := slices.Collect(maps.Keys(a.topics))
	some, err := a.c.openWindow(ctx, a.c.filtered(a.config(), tokens), false)
	if err != nil || len(tokens) == 1 || some.pending <= page {
		return some, err
	}
	all, err := a.c.openWindow(ctx, a.config(), false)
	if err == nil && all.pending/some.pending < sparse {
		some.close()
		return all, nil
	}
	if err == nil {
		all.close()
	}
	return some, nil
}

func (a *asking) config() js.ConsumerConfig {
	switch {
	case a.seq > 0:
		return js.ConsumerConfig{DeliverPolicy: js.DeliverByStartSequencePolicy, OptStartSeq: a.seq + 1}
	case a.since > 0:
		start := time.Unix(0, a.since)
		return js.ConsumerConfig{DeliverPolicy: js.DeliverByStartTimePolicy, OptStartTime: &start}
	default:
		return js.ConsumerConfig{DeliverPolicy: js.DeliverAllPolicy}
	}
}
