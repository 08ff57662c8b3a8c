package core

import (
	"crypto/rand"
	"errors"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/ratchet"
)

// side is one side of a session, as its holder keeps it.
type side struct {
	state   ratchet.State
	skipped ratchet.Skipped
}

func (s *side) send(payload []byte) (ratchet.Message, error) {
	next, m, err := s.state.Encrypt(payload, nil, ratchet.RandomIV, rand.Reader)
	if err == nil {
		s.state = next
	}
	return m, err
}

func (s *side) receive(m ratchet.Message) ([]byte, error) {
	next, effects, plaintext, err := s.state.Decrypt(&s.skipped, m, nil, ratchet.DeployedLimits())
	if err != nil {
		return nil, err
	}
	s.skipped.Apply(effects)
	s.state = next
	return plaintext, nil
}

// talker is one side of a session of any kind.
type talker[M any] interface {
	send(payload []byte) (M, error)
	receive(m M) ([]byte, error)
}

func roundTrip[M any, T talker[M]](alice, bob T, payload []byte) error {
	for _, way := range [2][2]T{{alice, bob}, {bob, alice}} {
		m, err := way[0].send(payload)
		if err != nil {
			return err
		}
		if _, err := way[1].receive(m); err != nil {
			return err
		}
	}
	return nil
}

func freshPair(suite ratchet.Suite) (alice, bob *side, err error) {
	sk, err1 := secret.ReadKey(rand.Reader)
	first, err2 := curve.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, err
	}
	pair := ratchet.Secp256k1KeyPair(first)
	if suite == ratchet.Curve25519 {
		pair = ratchet.FirstCurve25519KeyPair(&sk)
	}
	alice, bob = &side{}, &side{}
	alice.state, err1 = ratchet.NewInitiator(suite, sk, pair.Public, rand.Reader)
	bob.state, err2 = ratchet.NewResponder(suite, sk, pair)
	return alice, bob, errors.Join(err1, err2)
}

// establishedPair is a session in which the first one sends and makes no DH
// ratchet step with its next message, nor does the second one to receive it.
func establishedPair() (from, to *side, err error) {
	to, from, err = freshPair(ratchet.Secp256k1)
	if err != nil {
		return nil, nil, err
	}
	return from, to, settle(to, from)
}

// settle lets a new session go back and forth until it is established.
func settle[M any, T talker[M]](alice, bob T) error {
	for range 2 {
		if err := roundTrip(alice, bob, nil); err != nil {
			return err
		}
	}
	return nil
}

// flight is so many messages in a row.
func flight[M any](from talker[M], n int, payload []byte) ([]M, error) {
	sent := make([]M, n)
	for i := range sent {
		var err error
		if sent[i], err = from.send(payload); err != nil {
			return nil, err
		}
	}
	return sent, nil
}
