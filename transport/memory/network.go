package memory

import (
	"context"
	"math/rand/v2"
	"sync"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// Faults are how often, in 0..1, an envelope is mistreated on its way.
type Faults struct {
	Loss      float64 // kept back until Redeliver
	Duplicate float64 // delivered twice
	Reorder   float64 // overtaken by up to maxOvertaken later envelopes
}

// maxOvertaken bounds how many envelopes can wait to be overtaken.
const maxOvertaken = 64

// subscriptionsAtOnce is how many are allocated at a time: there are two for each
// identity, and the collector finds a few large pieces of memory faster than many small.
const subscriptionsAtOnce = 128

// Counts say what the network did.
type Counts struct {
	Published, Delivered, Lost, Duplicated, Reordered, Refused uint64
}

// Network is a transport.Transport in memory. Delivery happens in the
// goroutine that publishes, outside of any lock.
type Network struct {
	faults Faults

	mu          sync.Mutex
	random      *rand.Rand
	subscribers map[transport.Topic]audience
	room        []subscription       // for those to come
	waiting     []transport.Envelope // to be overtaken
	undelivered []delivery
	counts      Counts
	closed      bool
}

type subscription struct {
	network *Network
	topic   transport.Topic
	deliver transport.Deliver
	next    *subscription // of its audience
}

// audience is who subscribes to a topic, in the order of their calls. Most have one, and
// there are many topics: nothing is allocated beside the subscriptions.
type audience struct{ first, last *subscription }

// delivery is an envelope on its way to one subscriber, or to all of its topic
// if to is nil.
type delivery struct {
	envelope transport.Envelope
	to       *subscription
	deliver  transport.Deliver // of to, which forgets it when it is cancelled
}

var _ transport.Transport = (*Network)(nil)

// New makes a network. The same seed and the same order of calls give the same
// faults.
func New(seed uint64, faults Faults) *Network {
	return &Network{
		faults:      faults,
		random:      rand.New(rand.NewPCG(seed, seed)), //nolint:gosec // faults have to be repeatable, not secret
		subscribers: make(map[transport.Topic]audience),
	}
}

// Publish implements transport.Transport. A lost envelope counts as accepted:
// the sender cannot know.
func (n *Network) Publish(e transport.Envelope, accepted func(error)) {
	var room [3]transport.Envelope
	now, err := n.schedule(room[:0], e)
	accepted(err)
	for _, envelope := range now {
		n.deliverAll(envelope)
	}
}

// schedule appends what is delivered now.
func (n *Network) schedule(now []transport.Envelope, e transport.Envelope) ([]transport.Envelope, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, transport.ErrClosed
	}
	n.counts.Published++
	switch {
	case n.random.Float64() < n.faults.Loss:
		n.counts.Lost++
		n.undelivered = append(n.undelivered, delivery{envelope: e})
	case n.random.Float64() < n.faults.Reorder && len(n.waiting) < maxOvertaken:
		n.counts.Reordered++
		n.waiting = append(n.waiting, e)
	case n.random.Float64() < n.faults.Duplicate:
		n.counts.Duplicated++
		now = append(now, e, e)
	default:
		now = append(now, e)
	}
	if len(n.waiting) > 0 && n.random.IntN(maxOvertaken) < len(n.waiting) {
		i := n.random.IntN(len(n.waiting))
		now = append(now, n.waiting[i])
		n.waiting[i] = n.waiting[len(n.waiting)-1]
		n.waiting = n.waiting[:len(n.waiting)-1]
	}
	return now, nil
}

func (n *Network) deliverAll(e transport.Envelope) {
	var room [4]delivery
	targets := room[:0]
	n.mu.Lock()
	for s := n.subscribers[e.Topic].first; s != nil; s = s.next {
		targets = append(targets, delivery{e, s, s.deliver})
	}
	n.mu.Unlock()
	for _, d := range targets {
		n.deliver(d)
	}
}

func (n *Network) deliver(d delivery) {
	d.deliver(d.envelope, func(err error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if err == nil {
			n.counts.Delivered++
			return
		}
		n.counts.Refused++
		if !n.closed {
			n.undelivered = append(n.undelivered, d)
		}
	})
}

// Redeliver delivers what was lost, held back or refused so far, and tells how
// many envelopes that were. None of them is mistreated again. What was refused
// by somebody who is gone goes to those who subscribe to its topic now.
func (n *Network) Redeliver() int {
	n.mu.Lock()
	again := n.undelivered
	for _, e := range n.waiting {
		again = append(again, delivery{envelope: e})
	}
	n.undelivered, n.waiting = nil, nil
	for i := range again {
		if to := again[i].to; to != nil && !n.subscribed(to) {
			again[i].to = nil
		}
	}
	n.mu.Unlock()
	for _, d := range again {
		if d.to == nil {
			n.deliverAll(d.envelope)
		} else {
			n.deliver(d)
		}
	}
	return len(again)
}

// Counts gives what happened so far.
func (n *Network) Counts() Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.counts
}

// Subscribe implements transport.Transport.
func (n *Network) Subscribe(topic transport.Topic, deliver transport.Deliver) (func(), error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, transport.ErrClosed
	}
	if len(n.room) == 0 {
		n.room = make([]subscription, subscriptionsAtOnce)
	}
	s := &n.room[0]
	n.room = n.room[1:]
	s.network, s.topic, s.deliver = n, topic, deliver
	a := n.subscribers[topic]
	if a.first == nil {
		a.first = s
	} else {
		a.last.next = s
	}
	a.last = s
	n.subscribers[topic] = a
	return s.cancel, nil
}

// subscribed tells whether a subscription was not cancelled. n.mu is held.
func (n *Network) subscribed(s *subscription) bool {
	for other := n.subscribers[s.topic].first; other != nil; other = other.next {
		if other == s {
			return true
		}
	}
	return false
}

func (s *subscription) cancel() {
	n := s.network
	n.mu.Lock()
	defer n.mu.Unlock()
	s.deliver = nil // others that were made with it may stay
	a := n.subscribers[s.topic]
	var before *subscription
	at := a.first
	for at != nil && at != s {
		before, at = at, at.next
	}
	if at == nil {
		return // it was cancelled, or the network closed
	}
	if before == nil {
		a.first = s.next
	} else {
		before.next = s.next
	}
	if a.last == s {
		a.last = before
	}
	s.next = nil
	if a.first == nil {
		delete(n.subscribers, s.topic)
		return
	}
	n.subscribers[s.topic] = a
}

// Forget implements transport.Transport: it keeps nothing.
func (*Network) Forget(context.Context, x3dh.IdentityPublicKey) error { return nil }

// Host implements transport.Transport: who publishes is believed to be the sender.
func (*Network) Host(*x3dh.IdentityKey) (func(), error) { return func() {}, nil }

// Close implements transport.Transport.
func (n *Network) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	clear(n.subscribers)
	n.room = nil
	n.undelivered, n.waiting = nil, nil
	return nil
}
