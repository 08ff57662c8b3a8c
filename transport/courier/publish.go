package courier

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/envelope"
	"github.com/rookery-im/rookery/transport/segment"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

// atOnce is how many publications are worked on at a time; most of them wait.
const atOnce = 64

// readyWithin is how long a publication waits for the topic on which its answer is
// going to come.
const readyWithin = 30 * time.Second

// publication is a call of Publish.
type publication struct {
	envelope transport.Envelope
	address  transport.Address
	accepted func(error)

	sender *sender
	lane   *lane
}

// Publish implements transport.Transport. ErrBusy if as much is under way as may be, in
// all or for one identity. What one identity publishes on one topic reaches the carrier
// in this order; identities take turns.
func (c *Courier) Publish(e transport.Envelope, accepted func(error)) {
	address, err := e.Topic.Address()
	if err != nil {
		accepted(err)
		return
	}
	p := &publication{envelope: e, address: address, accepted: accepted}
	c.mu.Lock()
	switch {
	case c.closed:
		err = transport.ErrClosed
	case c.hosts[e.Sender] == nil:
		err = transport.ErrNotHosted
	case !c.outbound.fits(&e):
		err = ErrBusy
	default:
		if c.outbound.push(p) && c.publishers < atOnce {
			c.publishers++
			c.running.Go(c.publishQueue)
		}
	}
	c.mu.Unlock()
	if err != nil {
		accepted(err)
	}
}

// publishQueue publishes until nothing can go. It waits until something may before it
// looks what: who comes with his first does not wait for all that another one has.
func (c *Courier) publishQueue() {
	for c.turn() == nil {
		c.mu.Lock()
		p := c.outbound.pop()
		c.mu.Unlock()
		if p != nil {
			c.publish(p)
		}
		c.mu.Lock()
		if p != nil {
			c.outbound.handed(p)
		}
		if !c.outbound.ready() {
			c.publishers--
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
	}
}

// publish seals and signs a message and hands it to the carrier.
func (c *Courier) publish(p *publication) {
	parts, err := segment.Split(p.envelope.Payload, c.options.SegmentSize)
	if err == nil {
		err = c.listenForAnswers(p)
	}
	if err != nil {
		c.published(p, err)
		return
	}
	// The carrier answers for each part, in any order; the first error counts.
	var mu sync.Mutex
	waiting := len(parts)
	var failed error
	answer := func(n int, err error) {
		mu.Lock()
		waiting -= n
		if err != nil && failed == nil {
			failed = err
		}
		over, err := waiting == 0, failed
		mu.Unlock()
		if over {
			c.published(p, err)
		}
	}
	for i, part := range parts {
		var m carrier.Message
		var err error
		if i > 0 { // the first one's turn it is
			err = c.turn()
		}
		if err == nil {
			m, err = c.seal(p, part)
		}
		if err != nil {
			answer(len(parts)-i, err)
			return
		}
		c.counts.envelopes.Add(1)
		c.options.Carrier.Publish(m, func(err error) { answer(1, err) })
	}
}

// published ends a publication.
func (c *Courier) published(p *publication, err error) {
	c.mu.Lock()
	c.outbound.ended(p)
	closed := c.closed
	c.mu.Unlock()
	if err == nil {
		c.counts.published.Add(1)
	} else {
		c.counts.unpublished.Add(1)
		if closed && (errors.Is(err, context.Canceled) || errors.Is(err, carrier.ErrClosed) || errors.Is(err, topic.ErrClosed)) {
			err = fmt.Errorf("%w: %w", transport.ErrClosed, err)
		}
	}
	p.accepted(err)
}

// kindOf chooses between the topics that a message may go to: what two identities
// share only when all for whom it is are known to listen there.
func kindOf(address transport.Address, agreed bool) topic.Kind {
	switch address.Kind {
	case transport.KindContactCode:
		return topic.KindContactCode
	case transport.KindPublic:
		return topic.KindPublicChat
	case transport.KindPersonal:
	}
	if agreed {
		return topic.KindNegotiated
	}
	return topic.KindPartitioned
}

// seal makes a message of a part.
func (c *Courier) seal(p *publication, part []byte) (m carrier.Message, err error) {
	e := &p.envelope
	kind := kindOf(p.address, e.Agreed)
	err = c.use(e.Sender, func(h *hosted, key *x3dh.IdentityKey) error {
		var name topic.Name
		var err error
		switch kind {
		case topic.KindNegotiated:
			name, err = h.negotiated(key, p.address.Identity)
		case topic.KindContactCode:
			name, err = topic.ContactCode(p.address.Identity)
		case topic.KindPublicChat:
			name, err = topic.PublicChat(p.address.Chat)
		default:
			name = topic.Partitioned(p.address.Identity)
		}
		if err != nil {
			return err
		}
		m.Topic = carrier.Topic(name.Topic().ContentTopic())
		if !kind.Symmetric() {
			m.Payload, err = envelope.SealFor(c.options.Random, p.address.Identity, key, part)
			return err
		}
		symmetric, err := c.keys.Get(h.ctx, name)
		if err != nil {
			if h.ctx.Err() != nil && c.ctx.Err() == nil { // it has left meanwhile
				err = fmt.Errorf("%w: %w", transport.ErrNotHosted, err)
			}
			return err
		}
		defer symmetric.Wipe()
		m.Payload, err = envelope.SealSymmetric(c.options.Random, &symmetric, key, part)
		return err
	})
	m.Time = c.now()
	return m, err
}

// turn waits until one more envelope may go.
func (c *Courier) turn() error {
	now := c.options.Now()
	wait := c.limiter.ReserveN(now, 1).DelayFrom(now)
	if wait == 0 {
		return nil
	}
	return c.sleep(wait)
}

// sleep waits, unless the courier is closed.
func (c *Courier) sleep(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.ctx.Done():
		return transport.ErrClosed
	case <-timer.C:
		return nil
	}
}

// listenForAnswers has the negotiated topic with the recipient of a message listened
// to, for now and for after a restart, before the message goes: the answer to it may
// come there. Nobody listens for an identity that has not subscribed.
func (c *Courier) listenForAnswers(p *publication) error {
	if p.address.Kind != transport.KindPersonal {
		return nil
	}
	own, peer := p.envelope.Sender, p.address.Identity
	logical := transport.PersonalTopic(own)
	c.mu.Lock()
	s := c.subscriptions[logical]
	if s == nil {
		c.mu.Unlock()
		return nil
	}
	r := s.negotiated[peer]
	if r != nil {
		ready := c.whenReady(s, r)
		c.mu.Unlock()
		return c.await(ready)
	}
	c.mu.Unlock()

	var ready <-chan struct{}
	err := c.use(own, func(h *hosted, key *x3dh.IdentityKey) error {
		name, err := h.negotiated(key, peer)
		if err != nil {
			return err
		}
		r := newRoute(logical, name, own)
		r.peer = peer
		ready = c.listenOn(r)
		// Its key will be wanted; whoever needs it earlier does not wait for its turn. It
		// is stored for a route alone, which is there before it is.
		_ = c.keys.Ahead(name)
		return nil
	})
	if err != nil {
		return err
	}
	return c.await(ready)
}

// listenOn begins to listen on a negotiated topic, if its identity still listens and
// nobody was faster, and gives what whenReady does.
func (c *Courier) listenOn(r *route) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.subscriptions[r.logical]
	if c.closed || s == nil {
		return nil
	}
	if known := s.negotiated[r.peer]; known != nil {
		return c.whenReady(s, known)
	}
	r.urgent = true
	c.addRoute(s, r)
	c.writeSoon()
	return c.whenReady(s, r)
}

// whenReady gives what is closed when a route is live and durable, or nil if it is.
func (c *Courier) whenReady(s *subscription, r *route) <-chan struct{} {
	s.uses++
	r.used = s.uses
	if r.live && r.stored != notAtAll {
		return nil
	}
	if r.ready == nil {
		r.ready = make(chan struct{})
	}
	return r.ready
}

func (c *Courier) await(ready <-chan struct{}) error {
	if ready == nil {
		return nil
	}
	timer := time.NewTimer(readyWithin)
	defer timer.Stop()
	select {
	case <-ready:
		return nil
	case <-c.ctx.Done():
		return transport.ErrClosed
	case <-timer.C:
		return fmt.Errorf("courier: topic of the answers is not listened to: %w", carrier.ErrUnreachable)
	}
}
