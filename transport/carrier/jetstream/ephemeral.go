package jetstream

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/rookery-im/rookery/transport/carrier"
)

// ephemerals are the subscriptions for messages that no stream keeps. All come to one
// channel; what it has no room for is dropped. Only the feed changes them.
type ephemerals struct {
	in   chan *nats.Msg
	each map[string]*nats.Subscription // by token
	all  *nats.Subscription
}

func newEphemerals() ephemerals {
	return ephemerals{in: make(chan *nats.Msg, 256), each: make(map[string]*nats.Subscription)}
}

// listenFor subscribes to what a plan needs, and waits until the server has it.
func (c *Carrier) listenFor(ctx context.Context, p plan) error {
	e := &c.passing
	changed := false
	want := make(map[string]bool, len(p.tokens))
	for _, token := range p.tokens {
		want[token] = true
		if e.each[token] == nil {
			sub, err := c.nc.ChanSubscribe(c.names.live+token, e.in)
			if err != nil {
				return fmt.Errorf("%w: %w", carrier.ErrUnreachable, err)
			}
			e.each[token], changed = sub, true
		}
	}
	if p.wide && e.all == nil {
		sub, err := c.nc.ChanSubscribe(c.names.live+"*", e.in)
		if err != nil {
			return fmt.Errorf("%w: %w", carrier.ErrUnreachable, err)
		}
		e.all, changed = sub, true
	}
	if !p.wide && e.all != nil {
		_ = e.all.Unsubscribe()
		e.all = nil
	}
	for token, sub := range e.each {
		if !want[token] {
			_ = sub.Unsubscribe()
			delete(e.each, token)
		}
	}
	if !changed {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	if err := c.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", carrier.ErrUnreachable, err)
	}
	return nil
}
