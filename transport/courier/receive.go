package courier

import (
	"math"
	"time"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
)

// receiver is the courier as its carrier sees it.
type receiver struct{ *Courier }

// Deliver implements carrier.Receiver.
func (c receiver) Deliver(r carrier.Received) {
	a := c.admit(r, r.At, nil)
	if a == nil {
		return
	}
	all, err := c.open(ended, a)
	if err == nil {
		c.conclude(a, all)
		return
	}
	c.openLater(a)
}

// Gap implements carrier.Receiver.
func (c receiver) Gap(since int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.coverage.gap(min(since, now), now, c.underway.oldest())
	c.wakeReaders()
	c.writeSoon()
}

// clamp is a place that makes sense: the carrier has it from anybody.
func (c *Courier) clamp(at int64) int64 {
	now := c.now()
	return max(min(at, now), now-int64(max(c.options.History, c.options.ContactCodes)))
}

// admit decides who is to have a message, and waits until there is room for it. nil
// if nobody is, or the courier was closed. From the history it is for the routes of
// a reading alone.
func (c *Courier) admit(r carrier.Received, at int64, reading *group) *arrival {
	c.counts.received.Add(1)
	i := idOf(&r.Message)
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.closed {
			return nil
		}
		routes := c.wanting(i, r.Topic, at, reading)
		if len(routes) == 0 {
			return nil
		}
		if c.underway.fits(len(r.Payload)) {
			a := &arrival{id: i, at: c.clamp(at), payload: r.Payload, size: len(r.Payload), routes: routes, live: reading == nil && !r.Ephemeral}
			c.underway.add(a)
			return a
		}
		c.room.Wait()
	}
}

// wanting gives the routes that are to try a message.
func (c *Courier) wanting(i id, content carrier.Topic, at int64, reading *group) []*route {
	candidates := c.table.on(content)
	if reading != nil {
		candidates = reading.on(content, at, int64(c.options.Overlap))
	}
	if len(candidates) == 0 {
		c.counts.unwanted.Add(1)
		return nil
	}
	if !c.others.has(i.on(candidates...)) {
		var routes []*route
		for _, r := range candidates {
			on := i.on(r)
			if !c.delivered.has(on) && !c.others.has(on) && !c.underway.has(on) {
				routes = append(routes, r)
			}
		}
		if len(routes) > 0 {
			return routes
		}
	}
	c.coverage.settled(c.clamp(at))
	c.counts.repeated.Add(1)
	return nil
}

// maxLate is how many messages wait at a time for keys that have to be looked for.
const maxLate = 64

// openLater opens a message whose key takes time. If too many wait for theirs it is
// left in the history, or the carrier has to wait if there is none.
func (c *Courier) openLater(a *arrival) {
	c.mu.Lock()
	switch {
	case c.closed:
		c.mu.Unlock()
	case c.late < maxLate:
		c.late++
		c.running.Go(func() {
			c.openNow(a)
			c.mu.Lock()
			c.late--
			c.mu.Unlock()
		})
		c.mu.Unlock()
	case c.noHistory:
		c.mu.Unlock()
		c.openNow(a)
	default:
		defer c.mu.Unlock()
		for _, r := range a.routes {
			c.abandon(a, r)
		}
	}
}

// openNow opens a message and waits for its keys.
func (c *Courier) openNow(a *arrival) {
	all, _ := c.open(c.ctx, a) // this context lets it wait
	c.conclude(a, all)
}

// conclude does what follows from what was found in a message.
func (c *Courier) conclude(a *arrival, all []found) {
	a.payload = nil
	c.tally(all)
	var handing []found
	c.mu.Lock()
	settled := a.routes[:0:0]
	for _, f := range all {
		switch f.verdict {
		case opened:
			handing = append(handing, f)
		case unavailable:
			c.abandon(a, f.route)
		default:
			settled = append(settled, f.route)
		}
	}
	if len(all) == 0 { // a bug of ours: it is not tried again
		settled = a.routes
	}
	now := c.now()
	if len(settled) == len(a.routes) {
		c.others.add(a.id.on(settled...), now)
	} else {
		for _, r := range settled {
			c.others.add(a.id.on(r), now)
		}
	}
	for _, r := range settled {
		c.through(a, r)
	}
	c.mu.Unlock()
	for _, f := range handing {
		if !c.hold(a, f) {
			c.take(a, f)
		}
	}
}

// tally counts a message that nobody gets.
func (c *Courier) tally(all []found) {
	worst := foreign
	for _, f := range all {
		worst = max(worst, f.verdict)
	}
	switch worst {
	case foreign:
		c.counts.foreign.Add(1)
	case malformed:
		c.counts.malformed.Add(1)
	case unsigned:
		c.counts.unsigned.Add(1)
	case misattributed:
		c.counts.misattributed.Add(1)
	case echo:
		c.counts.echoes.Add(1)
	case opened, unavailable:
	}
}

// through notes that a route is through with a message. The lock is held.
func (c *Courier) through(a *arrival, r *route) {
	c.writeLater()
	if c.underway.through(a, r) {
		c.coverage.settled(a.at)
		c.room.Broadcast()
	}
}

// abandon leaves a message in the history for a route. The lock is held.
func (c *Courier) abandon(a *arrival, r *route) {
	if r.present && !r.reading {
		r.tries++
		r.retry = c.now() + int64(c.backoff(readAgain, readAgainMost, r.tries))
		c.wakeReaders()
	}
	c.leaveIt(a, r)
}

// leaveIt is abandon for a route whose history is going to be read anyway. The lock is
// held.
func (c *Courier) leaveIt(a *arrival, r *route) {
	c.counts.left.Add(1)
	c.coverage.lower(r, a.at, c.now(), c.underway.oldest())
	c.through(a, r)
}

// backoff is how long to wait after so many tries: the double each time, more or
// less, so that those who have failed together do not come back together.
func (c *Courier) backoff(least, most time.Duration, tries int) time.Duration {
	wait := most
	if tries < 32 {
		wait = min(most, least<<max(tries-1, 0))
	}
	if wait <= 0 {
		wait = most
	}
	var random [2]byte
	if _, err := c.options.Random.Read(random[:]); err != nil {
		return wait // not worth an error
	}
	share := float64(uint16(random[0])<<8|uint16(random[1])) / math.MaxUint16
	return time.Duration(float64(wait) * (0.75 + 0.5*share))
}

// envelopeOf is what subscribers get.
func (f *found) envelopeOf(payload []byte) transport.Envelope {
	return transport.Envelope{Topic: f.route.logical, Sender: f.Signer, Payload: payload}
}
