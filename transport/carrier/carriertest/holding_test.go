package carriertest

import (
	"slices"
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

var holdingFaults = []fault{
	{"drops what a blocked receiver has no room for", "BlockedReceiverLosesNothingTheHistoryHas", func(c *twisted) {
		c.receive = func(r carrier.Receiver) carrier.Receiver {
			return filter{Receiver: r, gap: func(carrier.Receiver, int64) {}}
		}
	}},
	{"tells of a gap that is too late", "BlockedReceiverLosesNothingTheHistoryHas", func(c *twisted) {
		c.receive = func(r carrier.Receiver) carrier.Receiver {
			return filter{Receiver: r, gap: func(to carrier.Receiver, since int64) { to.Gap(since + int64(time.Minute)) }}
		}
	}},
	{"queues for a blocked receiver without end", "BlockedReceiverTakesNoMoreMemoryThanAFreeOne", func(c *twisted) {
		queue := make(chan carrier.Received, 1<<20)
		delivering(func(_ carrier.Receiver, r carrier.Received) {
			r.Payload = slices.Clone(r.Payload)
			select {
			case queue <- r:
			default:
			}
		})(c)
		wrap := c.receive
		c.receive = func(r carrier.Receiver) carrier.Receiver {
			go func() {
				for waiting := range queue {
					r.Deliver(waiting)
				}
			}()
			return wrap(r)
		}
		c.end = func() error {
			err := c.Carrier.Close()
			close(queue)
			c.end = c.Carrier.Close
			return err
		}
	}},
	{"holds up publishers while a receiver is blocked", "BlockedReceiverHoldsUpNobodyElse", func(c *twisted) {
		delivering(func(to carrier.Receiver, r carrier.Received) {
			shared.Lock()
			defer shared.Unlock()
			to.Deliver(r)
		})(c)
	}},
}

// shared is held by carriers that hold up each other.
var shared sync.Mutex
