package courier

import (
	"errors"
	"slices"
	"time"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

const (
	// gatherFirst is how long there must be no further topic before the first ones
	// are subscribed at the carrier, and gatherMost how long that takes at most: at
	// its start an engine subscribes thousands in a row, some of them twice.
	gatherFirst, gatherMost = 250 * time.Millisecond, 5 * time.Second
	// gather is the same later on.
	gather = 5 * time.Millisecond
	// subscribeAgain is how long to wait when the carrier refuses topics.
	subscribeAgain, subscribeAgainMost = time.Second, time.Minute
	// together is how many topics are subscribed in one call.
	together = 1000
)

// Subscribe implements transport.Transport. It waits for nothing: the network
// delivers a moment later, and the history has what came before. The topic of an
// identity can only be subscribed where it is hosted: transport.ErrNotHosted.
//
// Those who subscribe to the same topic do so without a pause in between when a
// process starts: what is read of the history then is delivered to all of them.
func (c *Courier) Subscribe(logical transport.Topic, deliver transport.Deliver) (func(), error) {
	address, routes, err := routesOf(logical)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, transport.ErrClosed
	}
	if address.Kind == transport.KindPersonal && c.hosts[address.Identity] == nil {
		return nil, transport.ErrNotHosted
	}
	s := c.subscriptions[logical]
	if s == nil {
		s = &subscription{topic: logical, address: address}
		c.subscriptions[logical] = s
		for _, r := range routes {
			c.addRoute(s, r)
		}
		if address.Kind == transport.KindPersonal {
			c.restore(s)
		}
	}
	one := &subscriber{subscription: s, deliver: deliver}
	s.subscribers = append(slices.Clip(s.subscribers), one)
	return func() { c.cancel(one) }, nil
}

// restore takes up the negotiated topics that an identity had.
func (c *Courier) restore(s *subscription) {
	for _, known := range c.restorable[s.address.Identity] {
		if c.coverage.routes[known.id] != known {
			continue // its record has expired, or was taken up
		}
		c.addRoute(s, &route{
			id: known.id, logical: s.topic, kind: known.kind, content: known.content, wire: known.wire, digest: known.digest,
			identity: known.identity, peer: known.peer, proven: known.proven,
		})
	}
	delete(c.restorable, s.address.Identity)
}

// addRoute begins to listen on a route. The lock is held.
func (c *Courier) addRoute(s *subscription, r *route) {
	if r.kind == topic.KindNegotiated {
		if len(s.negotiated) >= c.options.MaxNegotiated {
			c.dropRoute(s, s.leastWanted())
		}
		if s.negotiated == nil {
			s.negotiated = make(map[x3dh.IdentityPublicKey]*route)
		}
		s.negotiated[r.peer] = r
	}
	s.routes = append(s.routes, r)
	c.coverage.join(r, c.now())
	c.table.add(r)
	c.resubscribe(r.content)
}

// dropRoute ends for good that one of many negotiated topics is listened to.
func (c *Courier) dropRoute(s *subscription, r *route) {
	delete(s.negotiated, r.peer)
	s.routes = slices.DeleteFunc(s.routes, func(other *route) bool { return other == r })
	c.unroute(r)
	c.coverage.drop(r)
	c.unstore(r)
	if h := c.hosts[r.identity]; h != nil {
		h.forget(r.peer)
	}
}

// unroute ends that a route is listened to.
func (c *Courier) unroute(r *route) {
	c.table.remove(r)
	c.coverage.leave(r, c.now(), c.underway.oldest())
	c.unholdAll(r)
	if c.coverage.routes[r.id] != r { // the store has nothing of it, but perhaps its key
		c.unstore(r)
	}
	if r.ready != nil {
		close(r.ready) // who waits for it goes on without
		r.ready = nil
	}
	c.resubscribe(r.content)
	c.writeLater()
}

// resubscribe has a content topic looked at: whether the carrier delivers it, and
// whether it should.
func (c *Courier) resubscribe(content carrier.Topic) {
	c.changed[content] = struct{}{}
	select {
	case c.toSubscribe <- struct{}{}:
	default:
	}
}

// subscribeAll keeps what the carrier delivers as the routes want it, until the
// courier is closed.
func (c *Courier) subscribeAll() {
	first := true
	failed := 0
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.toSubscribe:
		}
		quiet, most := gather, gather
		if first {
			quiet, most = gatherFirst, gatherMost
		}
		if !c.pause(quiet, most) {
			return
		}
		err := c.adjust()
		if err == nil {
			first, failed = false, 0
			continue
		}
		failed++
		if errors.Is(err, carrier.ErrClosed) {
			return
		}
		timer := time.NewTimer(c.backoff(subscribeAgain, subscribeAgainMost, failed))
		select {
		case <-c.ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		c.mu.Lock()
		select {
		case c.toSubscribe <- struct{}{}:
		default:
		}
		c.mu.Unlock()
	}
}

// pause waits until there was nothing to subscribe for a while. false if the courier
// was closed.
func (c *Courier) pause(quiet, most time.Duration) bool {
	end := time.NewTimer(most)
	defer end.Stop()
	calm := time.NewTimer(quiet)
	defer calm.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return false
		case <-end.C:
			return true
		case <-calm.C:
			return true
		case <-c.toSubscribe:
			calm.Reset(quiet)
		}
	}
}

// adjust subscribes to what is wanted and not delivered, and the other way round.
func (c *Courier) adjust() error {
	c.mu.Lock()
	var on, off []carrier.Topic
	for content := range c.changed {
		wanted, has := len(c.table.on(content)) > 0, c.subscribed[content]
		switch {
		case wanted && !has:
			on = append(on, content)
		case !wanted && has:
			off = append(off, content)
			delete(c.subscribed, content)
		case wanted:
			c.goLive(content)
		}
	}
	clear(c.changed)
	c.mu.Unlock()
	if len(off) > 0 {
		c.options.Carrier.Unsubscribe(off...)
	}
	for len(on) > 0 {
		some := on[:min(together, len(on))]
		if err := c.options.Carrier.Subscribe(c.ctx, some...); err != nil {
			if c.ctx.Err() == nil {
				c.log.Warn("the carrier refuses topics", "topics", len(some), "error", err)
			}
			c.mu.Lock()
			for _, content := range on {
				c.changed[content] = struct{}{}
			}
			c.mu.Unlock()
			return err
		}
		c.mu.Lock()
		for _, content := range some {
			c.subscribed[content] = true
			c.goLive(content)
		}
		c.mu.Unlock()
		on = on[len(some):]
	}
	c.wakeReaders()
	return nil
}

// goLive notes that the carrier delivers a content topic. The lock is held.
func (c *Courier) goLive(content carrier.Topic) {
	for _, r := range c.table.on(content) {
		r.live = true
		c.isReady(r)
	}
}

// isReady lets those go on who wait for a route.
func (c *Courier) isReady(r *route) {
	if r.ready != nil && r.live && r.stored != notAtAll {
		close(r.ready)
		r.ready = nil
	}
}
