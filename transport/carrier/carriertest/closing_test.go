package carriertest

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

var closingFaults = []fault{
	{"does not refuse when closed", "ClosedCarrierRefuses", func(c *twisted) {
		c.publish = func(m carrier.Message, accepted func(error)) {
			c.Carrier.Publish(m, func(error) { accepted(nil) })
		}
	}},
	{"is ready when closed", "ClosedCarrierRefuses", func(c *twisted) {
		since := time.Now()
		c.health = func() carrier.Health { return carrier.Health{Ready: true, Peers: 1, Since: since} }
	}},
	{"fails to close twice", "UnusedCarrierCloses", func(c *twisted) {
		var closed atomic.Bool
		c.end = func() error {
			if closed.Swap(true) {
				return carrier.ErrClosed
			}
			return c.Carrier.Close()
		}
	}},
	{"delivers after Close", "NothingIsDeliveredAfterClose", delivering(func(to carrier.Receiver, r carrier.Received) {
		time.AfterFunc(20*time.Millisecond, func() { to.Deliver(r) })
	})},
	{"closes at once", "CloseWaitsForTheReceiver", func(c *twisted) {
		c.end = func() error {
			go func() { _ = c.Carrier.Close() }()
			return nil
		}
	}},
	{"drops what is being published at Close", "CloseSettlesWhatIsBeingPublished", func(c *twisted) {
		var n atomic.Int64
		c.publish = func(m carrier.Message, accepted func(error)) {
			c.Carrier.Publish(m, func(err error) {
				if n.Add(1) < 400 {
					accepted(err)
				}
			})
		}
	}},
	{"tells after Close", "ManyCloseAtOnceWhileOthersPublish", func(c *twisted) {
		c.publish = func(m carrier.Message, accepted func(error)) {
			c.Carrier.Publish(m, func(err error) { time.AfterFunc(time.Minute, func() { accepted(err) }) })
		}
	}},
	{"waits for the history when it closes", "CloseEndsHistory", func(c *twisted) {
		c.history = func(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
			if err := c.Carrier.History(ctx, topics, since, until, each); err != nil {
				<-ctx.Done()
			}
			return nil
		}
	}},
	{"leaves something running", "ClosedCarriersLeaveNothingRunning", func(c *twisted) {
		c.end = func() error {
			go func() { time.Sleep(10 * time.Minute) }()
			return c.Carrier.Close()
		}
	}},
	{"takes the others with it", "ClosingOneLeavesTheOthers", func(c *twisted) {
		c.end = func() error {
			c.network.Outage()
			return c.Carrier.Close()
		}
	}},
}
