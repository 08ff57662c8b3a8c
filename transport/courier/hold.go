package courier

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/topic"
)

// holdFor is how long live envelopes wait for a reading that does not come on.
const holdFor = 30 * time.Second

// held is a live envelope that waits for the reading of its route to pass its place:
// whoever decrypts it cannot take more than so much out of order.
type held struct {
	arrival *arrival
	found   found
	size    int
}

// queue are the live envelopes of a route that wait. The courier's lock guards it.
type queue struct {
	waiting  []held // by their places
	bytes    int
	until    time.Time // until when they wait, if no reading comes on; zero if nobody knows yet
	timer    *time.Timer
	draining bool // somebody delivers them: later ones come behind them
	upTo     int64
}

// mayHold tells whether one more may wait: at most half of the room does, and an eighth
// for one route, so that the readings go on and no route takes what others need.
func (c *Courier) mayHold(q *queue, size int) bool {
	count, most := max(c.options.MaxPending/2, 1), c.options.MaxPendingBytes/2
	return c.underway.held < count && len(q.waiting) < max(count/4, 1) &&
		c.underway.heldBytes+size <= most && q.bytes+size <= most/4
}

// hold has a live envelope wait while older ones of its route are read from the history.
// false: it is to be delivered now. What there is no room for is left in the history.
func (c *Courier) hold(a *arrival, f found) bool {
	r := f.route
	if !a.live || r.kind == topic.KindContactCode || r.kind == topic.KindPublicChat {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	q := &r.queue
	if c.closed || !r.present || !q.draining && !c.awaited(r, a.at) {
		return false
	}
	if !c.mayHold(q, a.size) {
		if !c.hasHistory { // there may be none to leave it in
			return false
		}
		c.leaveIt(a, r)
		c.wakeReaders()
		return true
	}
	n, _ := slices.BinarySearchFunc(q.waiting, a.at+1, func(h held, at int64) int { return cmp.Compare(h.arrival.at, at) })
	q.waiting = slices.Insert(q.waiting, n, held{a, f, a.size})
	q.bytes += a.size
	c.underway.hold(a, a.size)
	c.holding[r] = struct{}{}
	c.arm(r)
	c.room.Broadcast() // a reading has room if nothing but such envelopes is under way
	return true
}

// awaited tells whether what is before a place is still to be read for a route. The lock
// is held.
func (c *Courier) awaited(r *route, at int64) bool {
	if c.noHistory || !r.behind || r.group != nil && !r.group.lied && at < r.group.stands {
		return false
	}
	now := time.Now()
	if r.queue.until.IsZero() {
		r.queue.until = now.Add(holdFor)
	}
	return now.Before(r.patience())
}

// patience is until when the envelopes of a route wait.
func (r *route) patience() time.Time {
	if r.group != nil && r.group.calm.After(r.queue.until) {
		return r.group.calm
	}
	return r.queue.until
}

// arm has the envelopes of a route delivered when they have waited long enough. The lock
// is held.
func (c *Courier) arm(r *route) {
	if q := &r.queue; q.timer == nil {
		q.timer = time.AfterFunc(time.Until(r.patience()), func() { c.tire(r) })
	}
}

func (c *Courier) tire(r *route) {
	c.mu.Lock()
	r.queue.timer = nil
	if c.closed || len(r.queue.waiting) == 0 {
		c.mu.Unlock()
		return
	}
	if time.Until(r.patience()) > 0 { // a reading has come on
		c.arm(r)
		c.mu.Unlock()
		return
	}
	mine := r.queue.release(math.MaxInt64)
	c.running.Add(1)
	c.mu.Unlock()
	defer c.running.Done()
	if mine {
		c.drain(r, func() {})
	}
}

// release has the envelopes before a place go, and tells whether the caller is to drain
// them. The lock is held.
func (q *queue) release(before int64) (mine bool) {
	if q.draining {
		q.upTo = max(q.upTo, before)
		return false
	}
	if len(q.waiting) == 0 || q.waiting[0].arrival.at >= before {
		return false
	}
	q.draining, q.upTo = true, before
	return true
}

// drain delivers what was released; before each one it calls wait.
func (c *Courier) drain(r *route, wait func()) {
	q := &r.queue
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed && q.mayGo() {
		c.mu.Unlock()
		wait()
		c.mu.Lock()
		if c.closed || !q.mayGo() {
			break
		}
		one := q.waiting[0]
		q.waiting = slices.Delete(q.waiting, 0, 1)
		c.unhold(r, one)
		c.mu.Unlock()
		c.take(one.arrival, one.found)
		c.mu.Lock()
	}
	q.draining = false
}

// mayGo tells whether the first one was released.
func (q *queue) mayGo() bool { return len(q.waiting) > 0 && q.waiting[0].arrival.at < q.upTo }

// unhold notes that an envelope does not wait any more. The lock is held.
func (c *Courier) unhold(r *route, h held) {
	r.queue.bytes -= h.size
	c.underway.unhold(h.arrival, h.size)
	if len(r.queue.waiting) == 0 {
		delete(c.holding, r)
	}
}

// unholdAll leaves what waits in the history: nobody listens to the route any more. The
// lock is held.
func (c *Courier) unholdAll(r *route) {
	waiting := r.queue.waiting
	r.queue.waiting = nil
	for _, h := range waiting {
		c.unhold(r, h)
		c.abandon(h.arrival, r)
	}
}

// passed notes that the reading has come to a message, and delivers what has waited for
// it. A place that makes no sense is no place.
func (r *reading) passed(m *carrier.Message, at int64) {
	c := r.courier
	var same id
	c.mu.Lock()
	c.hasHistory = true
	r.calm = time.Now().Add(holdFor)
	if !r.lied {
		r.stands = at
	}
	var mine []*route
	for of := range c.holding {
		if of.group != r.group {
			continue
		}
		before := int64(math.MinInt64)
		if !r.lied {
			before = at
		}
		if of.content == m.Topic { // the same message by another clock
			if same == (id{}) {
				same = idOf(m)
			}
			for _, h := range of.queue.waiting {
				if h.arrival.id == same {
					before = max(before, h.arrival.at+1)
				}
			}
		}
		if of.queue.release(before) {
			mine = append(mine, of)
		}
	}
	c.mu.Unlock()
	for _, of := range mine {
		c.drain(of, func() { r.keepOrder(of.content) })
	}
}

// ended notes that the reading is over, and gives the routes that are to be
// drained. The lock is held.
func (r *reading) ended() (mine []*route) {
	for _, of := range r.routes {
		if of.group != r.group { // left meanwhile
			continue
		}
		if r.calm.After(of.queue.until) {
			of.queue.until = r.calm
		}
		of.group = nil
		before := of.covered
		if !of.behind {
			before, of.queue.until = math.MaxInt64, time.Time{}
		}
		if of.queue.release(before) {
			mine = append(mine, of)
		}
	}
	return mine
}
