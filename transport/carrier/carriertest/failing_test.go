package carriertest

import (
	"context"
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

var failingFaults = []fault{
	{"does not know since when", "HealthyCarrierSaysSo", func(c *twisted) {
		c.health = func() carrier.Health {
			h := c.Carrier.Health()
			h.Since = time.Now()
			return h
		}
	}},
	{"is always ready", "HealthFollowsAnOutage", func(c *twisted) {
		c.health = func() carrier.Health { return carrier.Health{Ready: true, Peers: 1} }
	}},
	{"does not say what is wrong", "HealthFollowsAnOutage", func(c *twisted) {
		c.health = func() carrier.Health {
			h := c.Carrier.Health()
			h.Err = nil
			return h
		}
	}},
	{"gives up for good", "MessagesOfAnOutageAreTriedAgain", func(c *twisted) {
		c.publish = func(m carrier.Message, accepted func(error)) {
			c.Carrier.Publish(m, func(err error) {
				if carrier.Retriable(err) {
					err = carrier.ErrMessage
				}
				accepted(err)
			})
		}
	}},
	{"forgets what waits for the network", "CloseSettlesWhatAnOutageHoldsUp", func(c *twisted) {
		c.publish = func(m carrier.Message, accepted func(error)) {
			c.Carrier.Publish(m, func(err error) {
				if err == nil {
					accepted(err)
				}
			})
		}
	}},
	{"subscribes only where the network is", "SubscribingDuringAnOutageHolds", func(c *twisted) {
		c.subscribe = func(ctx context.Context, topics ...carrier.Topic) error {
			if err := c.Health().Err; err != nil {
				return err
			}
			return c.Carrier.Subscribe(ctx, topics...)
		}
	}},
	{"does not tell what it missed", "MessagesMissedWhileCutOffAreToldOf", func(c *twisted) {
		c.receive = func(r carrier.Receiver) carrier.Receiver {
			return filter{Receiver: r, gap: func(carrier.Receiver, int64) {}}
		}
	}},
	{"takes an outage for an empty history", "HistoryDuringAnOutageMayBeTriedAgain", func(c *twisted) {
		c.history = func(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
			if err := c.Carrier.History(ctx, topics, since, until, each); !carrier.Retriable(err) {
				return err
			}
			return nil
		}
	}},
	{"answers for the network", "AcceptedMessagesOutliveARestart", func(c *twisted) {
		c.publish = func(m carrier.Message, accepted func(error)) {
			c.Carrier.Publish(m, func(err error) {
				if carrier.Retriable(err) {
					err = nil
				}
				accepted(err)
			})
		}
	}},
	{"is lost after a restart", "RestartedNetworkIsFoundAgain", func(c *twisted) {
		var cut sync.Once
		c.receive = func(r carrier.Receiver) carrier.Receiver {
			return filter{Receiver: r, gap: func(carrier.Receiver, int64) { cut.Do(func() { c.Cut() }) }}
		}
	}},
}
