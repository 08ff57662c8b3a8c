package ratchet

import (
	"fmt"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
)

// Decrypt gives the state after receiving one message, the changes to the
// skipped message keys, and the plaintext (a slice of its own). skipped may be
// nil and is only read. ad is associated data before the header; deployed
// clients use none.
//
// Everything happens on a copy: on an error (ErrMAC, ErrMessageKeyGone,
// ErrTooManySkipped, ErrUnknownRatchetKey, ErrCiphertext, ErrHeader) the state
// it was called on is still the right one. A message whose gap is over the
// limit is refused before any key is derived.
func (s *State) Decrypt(skipped *Skipped, m Message, ad []byte, limits Limits) (next State, effects Effects, plaintext []byte, err error) {
	if secret.Erases && !secret.Erasing() {
		secret.Do(func() { next, effects, plaintext, err = s.Decrypt(skipped, m, ad, limits) })
		return next, effects, plaintext, err
	}
	next = *s // long before the copy is read, which would wait for it
	if len(m.Ciphertext) < Overhead {
		return State{}, Effects{}, nil, fmt.Errorf("%w: %d bytes", ErrCiphertext, len(m.Ciphertext))
	}
	if m.Header.Key.IsZero() || m.Header.N > maxIndex {
		return State{}, Effects{}, nil, fmt.Errorf("%w: message number %d", ErrHeader, m.Header.N)
	}
	ref := KeyRef{Ratchet: m.Header.Key, N: m.Header.N}
	if k, ok := skipped.find(ref); ok {
		plaintext, err = open(&k.Key, m.Ciphertext, ad, &m.Header)
		k.Key.Wipe()
		if err != nil {
			return State{}, Effects{}, nil, err
		}
		return next, Effects{Remove: []KeyRef{ref}}, plaintext, nil
	}
	turns := m.Header.Key != s.Remote
	if turns && skipped.Knows(m.Header.Key) {
		// Back to an old chain of which keys are left, and not to one of them.
		// Without this a peer could make one name stand for two keys.
		return State{}, Effects{}, nil, ErrMessageKeyGone
	}
	if err = s.checkGaps(&m.Header, turns, limits); err != nil {
		return State{}, Effects{}, nil, err
	}
	fresh := next.room(&m.Header, turns)
	if turns {
		fresh = next.skip(fresh, m.Header.PN)
		if err = next.turn(m.Header.Key); err != nil {
			wipe(fresh)
			return State{}, Effects{}, nil, err
		}
	}
	fresh = next.skip(fresh, m.Header.N)
	var mk secret.Key
	next.Recv.step(&mk)
	next.KeysMade++
	plaintext, err = open(&mk, m.Ciphertext, ad, &m.Header)
	mk.Wipe()
	if err != nil {
		wipe(fresh)
		return State{}, Effects{}, nil, err
	}
	return next, skipped.enforce(fresh, next.KeysMade, limits), plaintext, nil
}

// checkGaps refuses, without deriving anything, what a message cannot ask for.
func (s *State) checkGaps(h *Header, turns bool, limits Limits) error {
	have := s.Recv.N
	if turns {
		if s.SendPending {
			// The peer makes a new ratchet key only to answer ours, and ours
			// for its current key has not been made yet: this one is old.
			return ErrUnknownRatchetKey
		}
		if err := checkGap(have, h.PN, true, limits); err != nil {
			return err
		}
		have = 0
	}
	return checkGap(have, h.N, false, limits)
}

func checkGap(have, want uint32, previous bool, limits Limits) error {
	switch {
	case want < have:
		return ErrMessageKeyGone
	case want-have > limits.MaxSkip:
		return &GapError{Previous: previous, Have: have, Want: want, Permitted: limits.MaxSkip}
	}
	return nil
}

// room is for the keys that a message within the limits skips, of both chains: a
// slice that grows leaves keys behind.
func (s *State) room(h *Header, turns bool) []SkippedKey {
	missing := h.N - s.Recv.N
	if turns {
		missing = h.PN - s.Recv.N + h.N
	}
	if missing == 0 {
		return nil
	}
	return make([]SkippedKey, 0, missing)
}

func wipe(keys []SkippedKey) {
	for i := range keys {
		keys[i].Key.Wipe()
	}
}

// skip moves the receiving chain to number until and collects the message keys
// on the way, for which there is room.
func (s *State) skip(fresh []SkippedKey, until uint32) []SkippedKey {
	for s.Recv.N < until {
		fresh = append(fresh, SkippedKey{KeyRef: KeyRef{Ratchet: s.Remote, N: s.Recv.N}, Seq: s.KeysMade})
		s.Recv.step(&fresh[len(fresh)-1].Key)
		s.KeysMade++
	}
	return fresh
}

// turn is the receiving half of a DH ratchet step. The sending half waits for
// the next message sent.
func (s *State) turn(remote PublicKey) error {
	var point curve.Point
	shared, err := s.Suite.dh(&s.Self, remote, &point)
	if err != nil {
		return err
	}
	if s.RemotePoint = nil; !point.IsZero() {
		kept := point
		s.RemotePoint = &kept
	}
	s.PN = s.Send.N
	s.Remote = remote
	s.Recv = Chain{}
	s.Root, s.Recv.Key = rootStep(&s.Root, &shared)
	shared.Wipe()
	// Our pair has done its last computation: whoever reads the state from now
	// on must not be able to repeat it.
	s.Self, s.Send, s.SendPending = KeyPair{}, Chain{}, true
	return nil
}
