package faults

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// air is a network that keeps all that was published and loses nothing: who
// subscribes to a topic gets its whole history first, and what is not taken is
// delivered again.
type air struct {
	ledger *ledger

	mu          sync.Mutex
	subscribers map[transport.Topic][]*subscription
	untaken     []delivery
	holding     bool
	held        []transport.Envelope
}

type subscription struct{ deliver transport.Deliver }

type delivery struct {
	to       *subscription
	envelope transport.Envelope
}

var _ transport.Transport = (*air)(nil)

func newAir(l *ledger) *air {
	return &air{ledger: l, subscribers: make(map[transport.Topic][]*subscription)}
}

// Publish implements transport.Transport.
func (a *air) Publish(e transport.Envelope, accepted func(error)) {
	// Held until it is known who gets it live and who as history.
	a.mu.Lock()
	a.ledger.note(func(p *past) { p.published = append(p.published, e) })
	targets := slices.Clone(a.subscribers[e.Topic])
	if a.holding {
		a.held = append(a.held, e)
		targets = nil
	}
	a.mu.Unlock()
	accepted(nil)
	for _, s := range targets {
		a.bring(delivery{s, e})
	}
}

// Subscribe implements transport.Transport.
func (a *air) Subscribe(topic transport.Topic, deliver transport.Deliver) (func(), error) {
	s := &subscription{deliver}
	a.mu.Lock()
	a.subscribers[topic] = append(a.subscribers[topic], s)
	history := a.ledger.read().published
	a.mu.Unlock()
	for _, e := range history {
		if e.Topic == topic {
			a.bring(delivery{s, e})
		}
	}
	return func() { a.leave(topic, s) }, nil
}

func (a *air) leave(topic transport.Topic, s *subscription) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.subscribers[topic] = slices.DeleteFunc(a.subscribers[topic], func(other *subscription) bool { return other == s })
	a.untaken = slices.DeleteFunc(a.untaken, func(d delivery) bool { return d.to == s })
}

func (a *air) bring(d delivery) {
	d.to.deliver(d.envelope, func(err error) {
		if err == nil {
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if slices.Contains(a.subscribers[d.envelope.Topic], d.to) {
			a.untaken = append(a.untaken, d)
		}
	})
}

// again delivers what was not taken before.
func (a *air) again() {
	a.mu.Lock()
	untaken := a.untaken
	a.untaken = nil
	a.mu.Unlock()
	for _, d := range untaken {
		a.bring(d)
	}
}

// hold keeps everything back until release.
func (a *air) hold() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.holding = true
}

// release delivers what was held back, the newest first.
func (a *air) release() {
	a.mu.Lock()
	held := a.held
	a.held, a.holding = nil, false
	var now []delivery
	for _, e := range slices.Backward(held) {
		for _, s := range a.subscribers[e.Topic] {
			now = append(now, delivery{s, e})
		}
	}
	a.mu.Unlock()
	for _, d := range now {
		a.bring(d)
	}
}

// drop loses for good the oldest message that was held back.
func (a *air) drop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := idOf(a.held[0])
	a.held = a.held[1:]
	a.ledger.note(func(p *past) {
		p.receipts = slices.DeleteFunc(slices.Clone(p.receipts), func(r receipt) bool { return r.id == id })
	})
}

// Forget implements transport.Transport: it keeps nothing.
func (*air) Forget(context.Context, x3dh.IdentityPublicKey) error { return nil }

// Host implements transport.Transport: who publishes is believed to be the sender.
func (*air) Host(*x3dh.IdentityKey) (func(), error) { return func() {}, nil }

// Close implements transport.Transport.
func (a *air) Close() error { return nil }

// slot is what a message key belongs to: no two ciphertexts may share one.
type slot struct {
	ratchet string
	n       uint32
}

func (s slot) String() string { return fmt.Sprintf("%x/%d", s.ratchet, s.n) }

// keysUsedTwice are the message keys of which two ciphertexts were published.
func keysUsedTwice(published []transport.Envelope) []slot {
	sealed := make(map[slot][sha256.Size]byte)
	var twice []slot
	for _, e := range published {
		m, err := wire.Decode(e.Payload)
		if err != nil {
			continue // nobody can read it either
		}
		for _, entry := range m.Entries {
			if entry.Part.DR == nil {
				continue
			}
			at := slot{string(entry.Part.DR.RatchetKey), entry.Part.DR.N}
			hash := sha256.Sum256(entry.Part.Payload)
			if before, ok := sealed[at]; ok && before != hash {
				twice = append(twice, at)
			}
			sealed[at] = hash
		}
	}
	return twice
}
