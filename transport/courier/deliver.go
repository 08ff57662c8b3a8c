package courier

import (
	"slices"
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/topic"
)

// subscriber is one call of Subscribe.
type subscriber struct {
	subscription *subscription
	deliver      transport.Deliver
	left         bool
	pending      map[*handing]struct{}
}

// part is a message on one route that its subscribers have got.
type part struct {
	arrival   *arrival
	route     *route
	whole     *wholeKey // of what was put together of segments
	waiting   int       // subscribers who have not dealt with it
	abandoned bool      // by one of them
}

// handing is an envelope on its way to one subscriber. The courier's lock guards it.
type handing struct {
	part     *part
	to       *subscriber
	envelope transport.Envelope
	tries    int
	timer    *time.Timer // while he is to be given it again
}

// Retries of what a subscriber has refused.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// hand gives an envelope to all subscribers of its topic.
func (c *Courier) hand(a *arrival, f *found, payload []byte, whole *wholeKey) {
	p := &part{arrival: a, route: f.route, whole: whole}
	e := f.envelopeOf(payload)
	c.mu.Lock()
	subscription := c.subscriptions[f.route.logical]
	if c.closed || !f.route.present || subscription == nil {
		c.give(p, true)
		c.mu.Unlock()
		return
	}
	subscription.uses++
	f.route.used, f.route.proven = subscription.uses, true
	c.underway.grow(a, len(payload)-a.size)
	all := make([]*handing, 0, len(subscription.subscribers))
	for _, to := range subscription.subscribers {
		h := &handing{part: p, to: to, envelope: e}
		if to.pending == nil {
			to.pending = make(map[*handing]struct{})
		}
		to.pending[h] = struct{}{}
		all = append(all, h)
	}
	p.waiting = len(all)
	c.mu.Unlock()
	for _, h := range all {
		h.to.deliver(h.envelope, c.done(h))
	}
}

// give ends a part: dealt with by everybody, or left in the history. The lock is
// held.
func (c *Courier) give(p *part, left bool) {
	if !left {
		c.noteDelivered(p.arrival, p.route)
		if p.whole != nil {
			c.complete = append(c.complete, *p.whole)
		}
		c.through(p.arrival, p.route)
		return
	}
	c.abandon(p.arrival, p.route)
	if p.whole != nil && !c.closed {
		key := *p.whole
		c.running.Go(func() { c.revive(key) })
	}
}

// done is what a subscriber is to call for a try.
func (c *Courier) done(h *handing) func(error) {
	var once sync.Once
	return func(err error) { once.Do(func() { c.answered(h, err) }) }
}

func (c *Courier) answered(h *handing, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, waits := h.to.pending[h]; !waits {
		return // he had refused it before, and has left
	}
	if err == nil {
		c.counts.delivered.Add(1)
		c.over(h, false)
		return
	}
	s, size := h.to.subscription, len(h.envelope.Payload)
	full := s.refused >= c.options.MaxRefused || s.refusedBytes+size > c.options.MaxRefusedBytes && s.refused > 0
	if c.closed || h.to.left || full && !c.noHistory {
		c.over(h, true)
		return
	}
	c.counts.refused.Add(1)
	if h.tries++; h.tries == 1 {
		s.retried++
	}
	s.refused++
	s.refusedBytes += size
	h.timer = time.AfterFunc(c.backoff(firstRetry, lastRetry, h.tries), func() { c.again(h) })
}

// again gives an envelope to a subscriber who has refused it.
func (c *Courier) again(h *handing) {
	c.mu.Lock()
	_, waits := h.to.pending[h]
	if c.closed || !waits || h.timer == nil {
		c.mu.Unlock()
		return
	}
	c.unrefused(h)
	c.running.Add(1)
	c.mu.Unlock()
	defer c.running.Done()
	h.to.deliver(h.envelope, c.done(h))
}

// unrefused notes that an envelope does not wait to be given again any more.
func (c *Courier) unrefused(h *handing) {
	if h.timer == nil {
		return
	}
	h.timer.Stop()
	h.timer = nil
	s := h.to.subscription
	s.refused--
	s.refusedBytes -= len(h.envelope.Payload)
}

// over ends a handing. The lock is held.
func (c *Courier) over(h *handing, left bool) {
	c.unrefused(h)
	delete(h.to.pending, h)
	if h.tries > 0 {
		if h.to.subscription.retried--; h.to.subscription.retried == 0 {
			c.room.Broadcast()
		}
	}
	p := h.part
	p.waiting--
	p.abandoned = p.abandoned || left
	if p.waiting == 0 {
		c.give(p, p.abandoned)
	}
}

// cancel ends a subscription. What the subscriber is at work on is his until he answers:
// it may be dealt with already.
func (c *Courier) cancel(s *subscriber) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.left {
		return
	}
	s.left = true
	subscription := s.subscription
	subscription.subscribers = slices.DeleteFunc(slices.Clone(subscription.subscribers), func(other *subscriber) bool { return other == s })
	if c.closed {
		return
	}
	if len(subscription.subscribers) == 0 {
		delete(c.subscriptions, subscription.topic)
		for _, r := range subscription.routes {
			c.unroute(r)
			if r.kind == topic.KindNegotiated { // for when its identity is here again
				c.restorable[r.identity] = append(c.restorable[r.identity], r)
			}
		}
	}
	for h := range s.pending {
		if h.timer != nil {
			c.over(h, true)
		}
	}
}
