package ratchet

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// model says what a receiver has to do with a message, from the rules alone: it
// knows which keys exist and computes none.
type model struct {
	limits  Limits
	remote  PublicKey
	chain   int // number of the remote ratchet key among the sender's, -1 before the first
	next    uint32
	made    uint64
	pending bool
	stored  []modelKey // oldest first
}

type modelKey struct {
	ref KeyRef
	seq uint64
}

func (m *model) find(match func(k modelKey) bool) int { return slices.IndexFunc(m.stored, match) }

// verdict gives the reasons for which a message from the sender's chain of that
// number may be refused; none means that it must be accepted.
func (m *model) verdict(h Header, chain int) []error {
	ref := KeyRef{Ratchet: h.Key, N: h.N}
	have := m.next
	switch {
	case m.find(func(k modelKey) bool { return k.ref == ref }) >= 0:
		return nil
	case h.Key == m.remote:
		return gapReasons(have, h.N, m.limits)
	case m.find(func(k modelKey) bool { return k.ref.Ratchet == h.Key }) >= 0:
		return []error{ErrMessageKeyGone}
	case m.pending:
		return []error{ErrUnknownRatchetKey}
	case chain < m.chain:
		// It cannot be told from a new key before the MAC is checked.
		return []error{ErrMessageKeyGone, ErrTooManySkipped, ErrMAC}
	}
	return append(gapReasons(have, h.PN, m.limits), gapReasons(0, h.N, m.limits)...)
}

func gapReasons(have, want uint32, limits Limits) []error {
	switch {
	case want < have:
		return []error{ErrMessageKeyGone}
	case want-have > limits.MaxSkip:
		return []error{ErrTooManySkipped}
	}
	return nil
}

// accept moves on as the message says.
func (m *model) accept(h Header, chain int) {
	ref := KeyRef{Ratchet: h.Key, N: h.N}
	if i := m.find(func(k modelKey) bool { return k.ref == ref }); i >= 0 {
		m.stored = slices.Delete(m.stored, i, i+1)
		return
	}
	if h.Key != m.remote {
		m.skipTo(h.PN)
		m.remote, m.chain, m.next, m.pending = h.Key, chain, 0, true
	}
	m.skipTo(h.N)
	m.next++
	m.made++
	m.stored = slices.DeleteFunc(m.stored, func(k modelKey) bool { return k.seq+m.limits.MaxKeep <= m.made })
	if over := len(m.stored) - m.limits.MaxStored; over > 0 {
		m.stored = slices.Delete(m.stored, 0, over)
	}
}

func (m *model) skipTo(n uint32) {
	for ; m.next < n; m.next++ {
		m.stored = append(m.stored, modelKey{KeyRef{Ratchet: m.remote, N: m.next}, m.made})
		m.made++
	}
}

// world is two parties with their models and a network that does what it likes.
type world struct {
	sides   [2]*side
	flight  []sent
	history []sent
	// used are the places of all message keys encrypted with, and the chain keys
	// after them: neither may ever repeat.
	used map[any]bool
	// outcomes counts what happened, so that a test can tell whether it saw all.
	outcomes map[string]int
	limits   Limits
}

type side struct {
	*party
	model  model
	chains map[PublicKey]int // of the sender, in the order of making
}

type sent struct {
	to, chain, id int
	m             Message
	delivered     *bool
}

func newWorld(alice, bob *party, limits Limits) *world {
	w := &world{used: map[any]bool{}, outcomes: map[string]int{}, limits: limits}
	first := bob.state.Self.Public
	for i, p := range []*party{alice, bob} {
		p.limits = limits
		w.sides[i] = &side{party: p, model: model{limits: limits, chain: -1}, chains: map[PublicKey]int{}}
	}
	w.sides[0].model.remote, w.sides[0].model.chain = first, 0
	w.sides[1].chains[first] = 0
	return w
}

// step lets one thing happen; choose gives a number below its argument. The
// error says which rule was broken.
func (w *world) step(choose func(n int) int) error {
	action := choose(10)
	switch {
	case action < 4 || len(w.history) == 0:
		return w.send(choose(2))
	case action < 7 && len(w.flight) > 0: // deliver, in any order
		i := choose(len(w.flight))
		s := w.flight[i]
		w.flight = slices.Delete(w.flight, i, i+1)
		return w.deliver(s)
	case action < 8 && len(w.flight) > 0: // lose
		i := choose(len(w.flight))
		w.flight = slices.Delete(w.flight, i, i+1)
		w.outcomes["lost"]++
		return nil
	case action < 9: // duplicate or replay
		return w.deliver(w.history[choose(len(w.history))])
	}
	s := w.history[choose(len(w.history))]
	return w.forge(s, choose(len(s.m.Ciphertext)+8), byte(1+choose(255)))
}

func (w *world) send(from int) error {
	s := w.sides[from]
	id := len(w.history)
	next, m, err := s.state.Encrypt(fmt.Appendf(nil, "message %d", id), nil, RandomIV, s.rand)
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	s.state, s.model.pending = next, false
	place := KeyRef{Ratchet: m.Header.Key, N: m.Header.N}
	after := [1][32]byte{next.Send.Key.Array()}
	if w.used[place] || w.used[after] {
		return fmt.Errorf("message %d is encrypted with a key used before", id)
	}
	w.used[place], w.used[after] = true, true
	if _, known := s.chains[m.Header.Key]; !known {
		s.chains[m.Header.Key] = len(s.chains)
		if m.Header.N != 0 {
			return fmt.Errorf("message %d begins a chain at %d", id, m.Header.N)
		}
	}
	one := sent{to: 1 - from, chain: s.chains[m.Header.Key], id: id, m: m, delivered: new(bool)}
	w.flight, w.history = append(w.flight, one), append(w.history, one)
	w.outcomes["sent"]++
	return nil
}

func (w *world) deliver(s sent) error {
	to := w.sides[s.to]
	reasons := to.model.verdict(s.m.Header, s.chain)
	before := to.clone()
	got, err := to.receive(s.m)
	switch {
	case err == nil && len(reasons) > 0:
		return fmt.Errorf("message %d is accepted, should be refused with %v", s.id, reasons)
	case err != nil && !slices.ContainsFunc(reasons, func(r error) bool { return errors.Is(err, r) }):
		return fmt.Errorf("message %d is refused with %w, allowed are %v", s.id, err, reasons)
	case err != nil && !to.equal(before):
		return fmt.Errorf("message %d is refused and leaves traces", s.id)
	case err == nil && *s.delivered:
		return fmt.Errorf("message %d is delivered twice", s.id)
	case err == nil && !bytes.Equal(got, fmt.Appendf(nil, "message %d", s.id)):
		return fmt.Errorf("message %d arrives as %q", s.id, got)
	case err != nil:
		for _, r := range []error{ErrMessageKeyGone, ErrTooManySkipped, ErrUnknownRatchetKey, ErrMAC} {
			if errors.Is(err, r) {
				w.outcomes[r.Error()]++
			}
		}
		if !*s.delivered {
			w.outcomes["refused, never delivered"]++
		}
		return nil
	}
	*s.delivered = true
	to.model.accept(s.m.Header, s.chain)
	w.outcomes["delivered"]++
	return w.compare(to)
}

// compare holds the real set of skipped keys against the model's.
func (w *world) compare(s *side) error {
	refs := s.skipped.Refs()
	want := make([]KeyRef, 0, len(s.model.stored))
	for _, k := range s.model.stored {
		want = append(want, k.ref)
	}
	if !slices.Equal(refs, want) || s.state.KeysMade != s.model.made || len(refs) > w.limits.MaxStored {
		return fmt.Errorf("%d keys of %d made are stored, the rules say %d of %d",
			len(refs), s.state.KeysMade, len(want), s.model.made)
	}
	if len(refs) > 0 {
		w.outcomes["keys stored"]++
	}
	return s.state.Check()
}

// forge changes one byte of a message: of N or PN, or of the ciphertext.
func (w *world) forge(s sent, at int, mask byte) error {
	m := Message{Header: s.m.Header, Ciphertext: bytes.Clone(s.m.Ciphertext)}
	switch i := at - len(m.Ciphertext); {
	case i < 0:
		m.Ciphertext[at] ^= mask
	case i < 4:
		m.Header.N ^= uint32(mask) << (8 * i)
	default:
		m.Header.PN ^= uint32(mask) << (8 * (i - 4))
	}
	to := w.sides[s.to]
	before := to.clone()
	if _, err := to.receive(m); err == nil {
		return fmt.Errorf("message %d is accepted with byte %d changed", s.id, at)
	}
	if !to.equal(before) {
		return fmt.Errorf("a forgery of message %d leaves traces", s.id)
	}
	w.outcomes["forged"]++
	return nil
}
