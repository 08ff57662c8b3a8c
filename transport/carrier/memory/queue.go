package memory

import (
	"slices"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// queue is what waits for one receiver, by rank.
type queue struct {
	waiting []delivery
	came    uint64 // how many deliveries came so far
}

// delivery is a message on its way to one carrier. It goes when it is due, and when
// as many came as its rank says, or it was held back long enough.
type delivery struct {
	carrier.Received
	rank uint64
	due  time.Time
	held time.Time
}

// add puts a delivery in, to be overtaken by some that come later.
func (q *queue) add(d delivery, overtaken int) {
	q.came++
	d.rank = q.came + uint64(overtaken) //nolint:gosec // not negative
	i := len(q.waiting)
	for i > 0 && q.waiting[i-1].rank >= d.rank { // who is overtaken goes last
		i--
	}
	q.waiting = slices.Insert(q.waiting, i, d)
}

// next takes the delivery whose turn it is, or tells how long to wait for it.
func (q *queue) next(now time.Time) (r carrier.Received, wait time.Duration, ok bool) {
	if len(q.waiting) == 0 {
		return r, time.Hour, false
	}
	first := &q.waiting[0]
	if wait = first.due.Sub(now); first.rank > q.came {
		wait = max(wait, first.held.Sub(now))
	}
	if wait > 0 {
		return r, wait, false
	}
	r = first.Received
	*first = delivery{} // the array stays for a while, the payload need not
	q.waiting = q.waiting[1:]
	return r, 0, true
}

// take decides what becomes of a message for this carrier.
func (c *Carrier) take(number uint64, r carrier.Received) {
	n, faults := c.network, &c.network.faults
	_, subscribed := c.topics[r.Topic]
	if c.receiver == nil || !subscribed && faults.Foreign == 0 {
		return
	}
	// All are drawn, whatever is asked for: one fault changes no other one.
	f := fateOf(n.options.Seed, number, c.number)
	lost, corrupt, again, late, foreign := f.hits(faults.Loss), f.hits(faults.Corrupt), f.hits(faults.Duplicate), f.hits(faults.Reorder), f.hits(faults.Foreign)
	delay, overtaken, overtakenAgain := f.upTo(faults.Delay), 1+f.below(Overtaken), f.below(Overtaken+1)
	switch {
	case !subscribed && !foreign:
		return
	case c.isCut():
		n.counts.Missed++ // restore tells of it
		return
	case lost:
		n.counts.Lost++
		return
	case len(c.queue.waiting) >= n.options.Queue:
		n.counts.Missed++
		c.missed(r.At)
		return
	}
	if !subscribed {
		n.counts.Foreign++
	}
	if corrupt {
		n.counts.Corrupted++
		r.Payload = f.corrupt(r.Payload)
	}
	if late {
		n.counts.Reordered++
	} else {
		overtaken = 0
	}
	now := time.Now() // the network's clock may stand still, waiting does not
	d := delivery{Received: r, due: now.Add(delay), held: now.Add(n.heldBack)}
	c.queue.add(d, overtaken)
	if again {
		n.counts.Duplicated++
		c.queue.add(d, overtakenAgain)
	}
	signal(c.wake)
}

// missed notes that messages from a place on were missed.
func (c *Carrier) missed(at int64) {
	if !c.hasGap || at < c.gap {
		c.gap, c.hasGap = at, true
	}
}

// deliver hands up what waits, until the carrier is closed.
func (c *Carrier) deliver() {
	for {
		c.network.mu.Lock()
		closed, receiver, gap := c.closed, c.receiver, c.gap
		var r carrier.Received
		var wait time.Duration
		var ok bool
		// A full queue tells of a gap once it is half empty, not at each message.
		tells := c.hasGap && receiver != nil && len(c.queue.waiting) <= c.network.options.Queue/2
		switch {
		case closed:
		case tells:
			c.hasGap = false
		default:
			if r, wait, ok = c.queue.next(time.Now()); ok {
				c.network.counts.Delivered++
			}
		}
		c.network.mu.Unlock()
		switch {
		case closed:
			return
		case tells:
			receiver.Gap(gap)
		case ok:
			receiver.Deliver(r)
		default:
			sleep(c.wake, wait)
		}
	}
}
