package wakurest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

const (
	relaySubscriptions = "/relay/v1/subscriptions"
	relayMessages      = "/relay/v1/messages/"

	// gowakuCache is how many messages a go-waku node gathers, and one more that it
	// has in its hand while it is blocked.
	gowakuCache = 1000
	// nwakuCache is how many messages an nwaku node gathers of all topics together.
	nwakuCache = 50
	// maxRead bounds how many messages a read gives, and maxReadBytes how long its
	// answer is; those that are wanted are held in memory.
	maxRead      = 4096
	maxReadBytes = 256 << 20
	maxHeldBytes = 64 << 20
)

var errNotSubscribed = errors.New("node does not gather messages")

// relayed reads what a node that relays has gathered.
type relayed struct {
	c       *Carrier
	path    string
	roomy   bool // the node is known to be go-waku
	backoff backoff
	pace    pace
	// last is when the last read began that has worked.
	last time.Time
}

func newRelayed(c *Carrier) *relayed {
	return &relayed{
		c:       c,
		path:    relayMessages + url.PathEscape(c.o.PubsubTopic),
		backoff: backoff{least: c.o.RetryMin, most: c.o.RetryMax},
		pace:    pace{least: c.o.PollMin, most: c.o.PollMax},
		last:    time.Now(),
	}
}

// readAll reads until the carrier is closed. A read is also how it is known whether
// the node is subscribed: to subscribe it twice would make a second cache that
// nobody empties.
func (f *relayed) readAll() {
	fresh := true // what was gathered before New may be incomplete
	for f.c.ctx.Err() == nil {
		began := time.Now()
		count, err := f.read(f.c.ctx)
		if errors.Is(err, errNotSubscribed) {
			if err = f.subscribe(f.c.ctx); err == nil {
				began = time.Now()
				if count, err = f.read(f.c.ctx); errors.Is(err, errNotSubscribed) {
					err = retriable(err)
				}
			}
			if !fresh {
				f.c.gaps.note(f.last)
			}
		}
		if f.c.ctx.Err() != nil {
			return
		}
		f.c.is(err)
		if err != nil {
			if !fresh {
				f.c.gaps.note(f.last)
			}
			sleep(f.c.ctx, f.backoff.failed(), nil)
			continue
		}
		f.backoff.worked()
		f.last, fresh = began, false
		f.c.tellGaps()
		capacity := nwakuCache
		if f.roomy {
			capacity = gowakuCache
		}
		sleep(f.c.ctx, f.pace.read(count, capacity), nil)
	}
}

// subscribe makes the node gather messages, once in its life.
func (f *relayed) subscribe(ctx context.Context) error {
	body, err := json.Marshal([]string{f.c.o.PubsubTopic})
	if err != nil {
		return err
	}
	answer, err := f.c.node.call(ctx, http.MethodPost, relaySubscriptions, body)
	if err != nil {
		return retriable(err)
	}
	f.roomy = bytes.Equal(bytes.TrimSpace(answer), []byte("true"))
	return nil
}

// read takes what the node has gathered, and hands it up.
func (f *relayed) read(ctx context.Context) (count int, err error) {
	t, err := f.c.take(ctx, f.path)
	var refused *refusal
	if errors.As(err, &refused) && refused.status == http.StatusNotFound {
		return 0, errNotSubscribed
	}
	if err != nil {
		err = retriable(err)
	} else if !t.isList {
		f.roomy = true // nwaku answers with a list, also if it is empty
	}
	if t.resent || t.count >= gowakuCache || (t.count >= nwakuCache && !f.roomy) {
		f.c.gaps.note(f.last) // a first answer is lost, or the cache was full
	}
	if len(t.messages) > 0 {
		f.c.is(err) // before the receiver holds us up
		f.c.deliver(t.messages)
	}
	return t.count, err
}

// taken is what a read has given. On an error it is what came before.
type taken struct {
	messages []carrier.Received
	count    int  // of all messages that came
	isList   bool // go-waku says null if there is nothing
	resent   bool // a first answer may be lost
}

// take reads a list of gathered messages, which are no longer there afterwards.
func (c *Carrier) take(ctx context.Context, path string) (t taken, err error) {
	r, err := c.node.open(ctx, http.MethodGet, path, nil, nil, maxReadBytes)
	if err != nil {
		return t, err
	}
	defer r.close()
	t.resent = r.resent
	if err := r.refused(); err != nil {
		return t, err
	}
	now, held := time.Now(), 0
	t.count, t.isList, err = list(r, json.NewDecoder(r), maxRead, func(element json.RawMessage) {
		var m incoming
		if json.Unmarshal(element, &m) != nil {
			return // not one of ours
		}
		if received, ok := m.received(now); ok && held <= maxHeldBytes && c.wants(received.Topic) {
			held += len(received.Payload)
			t.messages = append(t.messages, received)
		}
	})
	if err == nil && held > maxHeldBytes {
		err = fmt.Errorf("%s: %w", r.what, errTooLong)
	}
	return t, err
}

// relay publishes a message.
func (c *Carrier) relay(ctx context.Context, m *carrier.Message) error {
	body, err := json.Marshal(outgoingOf(m))
	if err != nil {
		return err
	}
	return c.publishTo(ctx, relayMessages+url.PathEscape(c.o.PubsubTopic), body)
}

func (c *Carrier) publishTo(ctx context.Context, path string, body []byte) error {
	_, err := c.node.call(ctx, http.MethodPost, path, body)
	var refused *refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && refused.kept():
		return nil
	case errors.As(err, &refused):
		return refused.published()
	}
	return retriable(err)
}
