package core

import (
	"crypto/rand"
	"errors"

	"github.com/rookery-im/rookery/internal/bench/measure"
	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// signedAt (ns since the epoch) is when the bundles here are signed, and the time
// when they are looked at.
const signedAt = 1_795_226_644_013_031_427

// host is somebody with an identity and a signed prekey in a bundle.
type host struct {
	identity x3dh.IdentityKey
	prekey   x3dh.PreKey
	bundle   wire.Bundle
}

func newHost() (*host, error) {
	identity, err1 := x3dh.GenerateIdentity(rand.Reader)
	prekey, err2 := x3dh.GeneratePreKey(rand.Reader)
	h := &host{identity: identity, prekey: prekey, bundle: wire.Bundle{
		Timestamp: signedAt,
		PreKeys: []wire.SignedPreKey{{
			InstallationID: "0a8f5d6e-1c2b-4d3e-8f90-a1b2c3d4e5f6", Key: wire.PublicKey(prekey.Public()), Version: 1, ProtocolVersion: 1,
		}},
	}}
	return h, errors.Join(err1, err2, x3dh.SignBundle(&identity, &h.bundle))
}

// firstFlight is the first message of a session with what its X3DH header says.
type firstFlight[M any] struct {
	identity  x3dh.IdentityPublicKey
	ephemeral x3dh.EphemeralPublic
	message   M
}

// start goes from the other side's bundle to the first message.
func (h *host) start(with *wire.Bundle, payload []byte) (*side, firstFlight[ratchet.Message], error) {
	flight := firstFlight[ratchet.Message]{identity: h.identity.Public()}
	if err := x3dh.CheckBundle(with, signedAt); err != nil {
		return nil, flight, err
	}
	prekey := with.PreKeys[0].Key
	sk, ephemeral, err := x3dh.Initiate(&h.identity, x3dh.IdentityPublicKey(with.Identity), x3dh.PreKeyPublic(prekey), rand.Reader)
	if err != nil {
		return nil, flight, err
	}
	flight.ephemeral = ephemeral
	state, err := ratchet.NewInitiator(ratchet.Secp256k1, sk, ratchet.Secp256k1PublicKey(curve.PublicKey(prekey)), rand.Reader)
	if err != nil {
		return nil, flight, err
	}
	s := &side{state: state}
	flight.message, err = s.send(payload)
	return s, flight, err
}

// accept goes from the first message to its plaintext.
func (h *host) accept(flight firstFlight[ratchet.Message]) (*side, []byte, error) {
	sk, err := x3dh.Respond(&h.identity, &h.prekey, flight.identity, flight.ephemeral)
	if err != nil {
		return nil, nil, err
	}
	state, err := ratchet.NewResponder(ratchet.Secp256k1, sk, ratchet.Secp256k1KeyPair(h.prekey.Pair()))
	if err != nil {
		return nil, nil, err
	}
	s := &side{state: state}
	plaintext, err := s.receive(flight.message)
	return s, plaintext, err
}

// X3DH starts a session. The initiator checks the bundle, agrees on SK, makes the
// ratchet and encrypts the first message; the responder agrees on SK, makes the
// ratchet and decrypts it. Its own sending ratchet key is made when it answers.
func X3DH() []measure.Comparison {
	return []measure.Comparison{
		comparison("set-up-initiator", "set-up, initiator: bundle checked, agreement, first message", func() ([]measure.Way, error) {
			s, err := newSetUp()
			if err != nil {
				return nil, err
			}
			return []measure.Way{
				measure.Each(measure.Rookery, func() error { _, _, err := s.alice.start(&s.bob.bundle, s.payload); return err }),
				s.floor.way(Floor, s.started),
			}, nil
		}),
		comparison("set-up-responder", "set-up, responder: first message to plaintext", func() ([]measure.Way, error) {
			s, err := newSetUp()
			if err != nil {
				return nil, err
			}
			return []measure.Way{
				measure.Each(measure.Rookery, func() error { _, _, err := s.bob.accept(s.flight); return err }),
				s.floor.way(Floor, s.accepted),
			}, nil
		}),
		comparison("set-up-answer", "set-up, responder with its first answer", func() ([]measure.Way, error) {
			s, err := newSetUp()
			if err != nil {
				return nil, err
			}
			return []measure.Way{
				measure.Each(measure.Rookery, func() error { side, _, err := s.bob.accept(s.flight); return answered(side, s.payload, err) }),
				s.floor.way(Floor, func() {
					s.accepted()
					s.floor.baseMultiply()
					s.floor.multiply()
					s.floor.compress(rootBlocks)
					s.floor.encrypt(len(s.payload))
				}),
			}, nil
		}),
	}
}

// setUp is two that start a session, and its first message.
type setUp struct {
	payload    []byte
	alice, bob *host
	flight     firstFlight[ratchet.Message]
	floor      *floor
}

func newSetUp() (*setUp, error) {
	alice, err1 := newHost()
	bob, err2 := newHost()
	f, err3 := newFloor()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	s := &setUp{payload: make([]byte, 100), alice: alice, bob: bob, floor: f}
	_, flight, err := alice.start(&bob.bundle, s.payload)
	s.flight = flight
	return s, err
}

// started are the primitives of the initiator.
func (s *setUp) started() {
	f := s.floor
	f.keccak(36 + 33 + 1 + 19) // the signed bytes
	f.recoverSigner()
	f.baseMultiply()
	for range 3 {
		f.multiply()
	}
	f.keccak(3 * 32) // SK
	f.baseMultiply()
	f.multiply()
	f.compress(rootBlocks)
	f.compress(chainBlocks) // SK is not kept, but the key after it
	f.encrypt(len(s.payload))
}

// accepted are those of the responder.
func (s *setUp) accepted() {
	f := s.floor
	for range 3 {
		f.multiply()
	}
	f.keccak(3 * 32)
	f.multiply()
	f.compress(rootBlocks)
	f.decrypt(s.flight.message.Ciphertext)
}

// answered sends the first answer of a session, unless there is none.
func answered[M any](s talker[M], payload []byte, err error) error {
	if err != nil {
		return err
	}
	_, err = s.send(payload)
	return err
}
