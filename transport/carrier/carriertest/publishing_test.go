package carriertest

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

var publishingFaults = []fault{
	{"loses deliveries", "MessageReachesOthersAndItsPublisher", func(c *twisted) {
		var n atomic.Int64
		delivering(func(to carrier.Receiver, r carrier.Received) {
			if n.Add(1)%7 != 0 {
				to.Deliver(r)
			}
		})(c)
	}},
	{"does not deliver to the publisher", "MessageReachesOthersAndItsPublisher", func(c *twisted) {
		var own sync.Map
		c.publish = func(m carrier.Message, accepted func(error)) {
			own.Store(m.Time, true)
			c.Carrier.Publish(m, accepted)
		}
		delivering(func(to carrier.Receiver, r carrier.Received) {
			if _, ok := own.Load(r.Time); !ok {
				to.Deliver(r)
			}
		})(c)
	}},
	{"rounds the time", "MessageArrivesAsItWasPublished", delivering(func(to carrier.Receiver, r carrier.Received) {
		r.Time -= r.Time % 1000
		to.Deliver(r)
	})},
	{"forgets what is ephemeral", "MessageArrivesAsItWasPublished", delivering(func(to carrier.Receiver, r carrier.Received) {
		r.Ephemeral = false
		to.Deliver(r)
	})},
	{"trims payloads", "MessageArrivesAsItWasPublished", delivering(func(to carrier.Receiver, r carrier.Received) {
		r.Payload = bytes.TrimRight(r.Payload, "\x00")
		to.Deliver(r)
	})},
	{"changes what is published", "MessageArrivesAsItWasPublished", func(c *twisted) {
		c.publish = func(m carrier.Message, accepted func(error)) {
			theirs := m.Payload
			m.Payload = slices.Clone(m.Payload)
			theirs[0]++
			c.Carrier.Publish(m, accepted)
		}
	}},
	{"uses a buffer again", "PayloadStaysAsItWasHandedUp", func(c *twisted) {
		buffer := make([]byte, carrier.MaxPayload)
		delivering(func(to carrier.Receiver, r carrier.Received) {
			r.Payload = buffer[:copy(buffer, r.Payload)]
			to.Deliver(r)
		})(c)
	}},
	{"uses a buffer of the history again", "PayloadStaysAsItWasHandedUp", func(c *twisted) {
		buffer := make([]byte, carrier.MaxPayload)
		asking(func(all []carrier.Received) []carrier.Received { return all })(c)
		ask := c.history
		c.history = func(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
			return ask(ctx, topics, since, until, func(r carrier.Received) error {
				r.Payload = buffer[:copy(buffer, r.Payload)]
				return each(r)
			})
		}
	}},
	{"accepts anything", "MessageOutOfBoundsIsRefusedAndChangesNothing", func(c *twisted) {
		c.publish = func(m carrier.Message, accepted func(error)) {
			if m.Check() != nil {
				accepted(nil)
				return
			}
			c.Carrier.Publish(m, accepted)
		}
	}},
	{"keeps what it refuses", "MessageOutOfBoundsIsRefusedAndChangesNothing", func(c *twisted) {
		c.publish = func(m carrier.Message, accepted func(error)) {
			if m.Topic.Check() == nil && m.Check() != nil {
				c.Carrier.Publish(carrier.Message{Topic: m.Topic, Payload: []byte("cut"), Time: 1}, func(error) {})
			}
			c.Carrier.Publish(m, accepted)
		}
	}},
	{"tells twice", "ManyPublishersAtOnce", func(c *twisted) {
		c.publish = func(m carrier.Message, accepted func(error)) {
			c.Carrier.Publish(m, func(err error) { accepted(err); accepted(err) })
		}
	}},
	{"never tells", "MessageReachesOthersAndItsPublisher", func(c *twisted) {
		c.publish = func(m carrier.Message, _ func(error)) { c.Carrier.Publish(m, func(error) {}) }
	}},
	{"holds a lock while it tells", "AcceptedMayPublishAndAsk", func(c *twisted) {
		var mu sync.Mutex
		c.publish = func(m carrier.Message, accepted func(error)) {
			c.Carrier.Publish(m, func(err error) {
				go func() {
					mu.Lock()
					defer mu.Unlock()
					accepted(err)
				}()
				time.Sleep(time.Millisecond)
			})
			mu.Lock()
			defer mu.Unlock()
		}
	}},
	{"holds a lock while it delivers", "ReceiverMayPublish", func(c *twisted) {
		var mu sync.Mutex
		c.publish = func(m carrier.Message, accepted func(error)) {
			mu.Lock()
			defer mu.Unlock()
			c.Carrier.Publish(m, accepted)
		}
		delivering(func(to carrier.Receiver, r carrier.Received) {
			mu.Lock()
			defer mu.Unlock()
			to.Deliver(r)
		})(c)
	}},
	{"refuses what it knows", "MessagePublishedTwiceIsOneMessage", func(c *twisted) {
		var known sync.Map
		c.publish = func(m carrier.Message, accepted func(error)) {
			if _, again := known.LoadOrStore(m.Hash(), true); again {
				accepted(carrier.ErrMessage)
				return
			}
			c.Carrier.Publish(m, accepted)
		}
	}},
}
