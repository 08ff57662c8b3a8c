package ratchet

import (
	"io"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
)

// Message is one encrypted message of the ratchet.
type Message struct {
	Header     Header
	Ciphertext []byte // iv (16) || encrypted payload || MAC (32)
}

// Encrypt gives the state after sending one message, and the message. ad is
// associated data before the header; deployed clients use none. rand is read
// for a new ratchet pair (32 bytes, only when a ratchet key is to be answered)
// and for the IV (16 bytes, only with RandomIV).
//
// The message must not leave the process before the new state is durable.
func (s *State) Encrypt(plaintext, ad []byte, ivs IVSource, rand io.Reader) (next State, m Message, err error) {
	if secret.Erases && !secret.Erasing() {
		secret.Do(func() { next, m, err = s.Encrypt(plaintext, ad, ivs, rand) })
		return next, m, err
	}
	next = *s
	if err = next.answer(rand); err != nil {
		return State{}, Message{}, err
	}
	if next.Send.N > maxIndex {
		return State{}, Message{}, ErrChainExhausted
	}
	m.Header = Header{Key: next.Self.Public, N: next.Send.N, PN: next.PN}
	var mk secret.Key
	next.Send.step(&mk)
	m.Ciphertext, err = seal(&mk, plaintext, ad, &m.Header, ivs, rand)
	mk.Wipe()
	if err != nil {
		return State{}, Message{}, err
	}
	return next, m, nil
}

// answer makes the sending half of a DH ratchet step if a ratchet key is to be
// answered.
func (s *State) answer(rand io.Reader) error {
	if !s.SendPending {
		return nil
	}
	pair, err := s.Suite.GenerateKeyPair(rand)
	if err != nil {
		return err
	}
	defer pair.Wipe()
	var point curve.Point
	if s.RemotePoint != nil {
		point = *s.RemotePoint
	}
	shared, err := s.Suite.dh(&pair, s.Remote, &point)
	if err != nil {
		return err
	}
	s.RemotePoint = nil
	s.Self, s.SendPending, s.Send = pair, false, Chain{}
	s.Root, s.Send.Key = rootStep(&s.Root, &shared)
	shared.Wipe()
	return nil
}
