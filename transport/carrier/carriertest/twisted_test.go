package carriertest

import (
	"context"
	"sync/atomic"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/memory"
)

// twisted is a carrier with some methods of its own.
type twisted struct {
	*memory.Carrier
	network     *memory.Network
	tried       *atomic.Int64 // counts publications
	publish     func(m carrier.Message, accepted func(error))
	receive     func(r carrier.Receiver) carrier.Receiver
	subscribe   func(ctx context.Context, topics ...carrier.Topic) error
	unsubscribe func(topics ...carrier.Topic)
	history     func(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error
	health      func() carrier.Health
	end         func() error
}

func (c *twisted) Publish(m carrier.Message, accepted func(error)) {
	c.tried.Add(1)
	if c.publish != nil {
		c.publish(m, accepted)
		return
	}
	c.Carrier.Publish(m, accepted)
}

func (c *twisted) Receive(r carrier.Receiver) {
	if c.receive != nil {
		r = c.receive(r)
	}
	c.Carrier.Receive(r)
}

func (c *twisted) Subscribe(ctx context.Context, topics ...carrier.Topic) error {
	if c.subscribe != nil {
		return c.subscribe(ctx, topics...)
	}
	return c.Carrier.Subscribe(ctx, topics...)
}

func (c *twisted) Unsubscribe(topics ...carrier.Topic) {
	if c.unsubscribe != nil {
		c.unsubscribe(topics...)
		return
	}
	c.Carrier.Unsubscribe(topics...)
}

func (c *twisted) History(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
	if c.history != nil {
		return c.history(ctx, topics, since, until, each)
	}
	return c.Carrier.History(ctx, topics, since, until, each)
}

func (c *twisted) Health() carrier.Health {
	if c.health != nil {
		return c.health()
	}
	return c.Carrier.Health()
}

func (c *twisted) Close() error {
	if c.end != nil {
		return c.end()
	}
	return c.Carrier.Close()
}

// filter is a receiver that passes on something else.
type filter struct {
	carrier.Receiver
	deliver func(to carrier.Receiver, r carrier.Received)
	gap     func(to carrier.Receiver, since int64)
}

func (f filter) Deliver(r carrier.Received) {
	if f.deliver != nil {
		f.deliver(f.Receiver, r)
		return
	}
	f.Receiver.Deliver(r)
}

func (f filter) Gap(since int64) {
	if f.gap != nil {
		f.gap(f.Receiver, since)
		return
	}
	f.Receiver.Gap(since)
}

func delivering(deliver func(to carrier.Receiver, r carrier.Received)) func(c *twisted) {
	return func(c *twisted) {
		c.receive = func(r carrier.Receiver) carrier.Receiver { return filter{Receiver: r, deliver: deliver} }
	}
}

// asking is a carrier whose history is what change makes of the right one.
func asking(change func(all []carrier.Received) []carrier.Received) func(c *twisted) {
	return func(c *twisted) {
		c.history = func(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
			var all []carrier.Received
			err := c.Carrier.History(ctx, topics, since, until, func(r carrier.Received) error {
				all = append(all, r)
				return nil
			})
			if err != nil {
				return err
			}
			for _, r := range change(all) {
				if err := each(r); err != nil {
					return err
				}
			}
			return nil
		}
	}
}
