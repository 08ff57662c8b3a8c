package ratchet_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// signedAt (ns since the epoch) is when the bundles of these benchmarks are signed,
// and the time when they are looked at.
const signedAt = 1_795_226_644_013_031_427

// host is somebody with an identity and a signed prekey in a bundle, in the forms
// that both ways of doing X3DH have them.
type host struct {
	identity x3dh.IdentityKey
	prekey   x3dh.PreKey
	bundle   wire.Bundle

	deployed       *ecdsa.PrivateKey // the identity
	deployedPreKey deployedPair
}

func newHost(tb testing.TB) *host {
	tb.Helper()
	identity, err := x3dh.GenerateIdentity(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	prekey, err := x3dh.GeneratePreKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	h := &host{identity: identity, prekey: prekey, bundle: wire.Bundle{
		Timestamp: signedAt,
		PreKeys: []wire.SignedPreKey{{
			InstallationID: "0a8f5d6e-1c2b-4d3e-8f90-a1b2c3d4e5f6", Key: wire.PublicKey(prekey.Public()), Version: 1, ProtocolVersion: 1,
		}},
	}}
	if err := x3dh.SignBundle(&identity, &h.bundle); err != nil {
		tb.Fatal(err)
	}
	if h.deployed, err = crypto.ToECDSA(identity.Scalar()); err != nil {
		tb.Fatal(err)
	}
	public := prekey.Public()
	h.deployedPreKey = deployedPair{private: prekey.Scalar(), public: public[:]}
	return h
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

// startDeployed is start in the way of the reference.
func (h *host) startDeployed(with *wire.Bundle, payload []byte) (*deployedSession, firstFlight[deployedMessage], error) {
	flight := firstFlight[deployedMessage]{identity: h.identity.Public()}
	if err := deployedCheck(with); err != nil {
		return nil, flight, err
	}
	prekey := with.PreKeys[0].Key[:]
	sk, ephemeral, err := deployedInitiate(h.deployed, with.Identity[:], prekey)
	if err != nil {
		return nil, flight, err
	}
	copy(flight.ephemeral[:], ephemeral)
	s, err := newDeployedInitiator(sk, prekey)
	if err != nil {
		return nil, flight, err
	}
	flight.message, err = s.send(payload)
	return s, flight, err
}

// acceptDeployed is accept in the way of the reference.
func (h *host) acceptDeployed(flight firstFlight[deployedMessage]) (*deployedSession, []byte, error) {
	sk, err := deployedRespond(h.deployed, h.deployedPreKey.private, flight.identity[:], flight.ephemeral[:])
	if err != nil {
		return nil, nil, err
	}
	s := newDeployedResponder(sk, h.deployedPreKey)
	plaintext, err := s.receive(flight.message)
	return s, plaintext, err
}

// BenchmarkSetup starts a session. The initiator checks the bundle, agrees on SK,
// makes the ratchet and encrypts the first message; the responder agrees on SK,
// makes the ratchet and decrypts it. Its own sending ratchet key is made when it
// answers; the reference makes that at once. With the first answer both have done
// the same.
func BenchmarkSetup(b *testing.B) {
	payload := make([]byte, 100)
	alice, bob := newHost(b), newHost(b)
	f := newFloor(b)
	b.Run("initiator", func(b *testing.B) {
		sideBySide(
			b,
			row{"rookery", func() error { _, _, err := alice.start(&bob.bundle, payload); return err }},
			row{"reference", func() error { _, _, err := alice.startDeployed(&bob.bundle, payload); return err }},
			floorOf(func() {
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
				f.encrypt(len(payload))
			}),
		)
	})
	_, flight, err1 := alice.start(&bob.bundle, payload)
	_, deployedFlight, err2 := alice.startDeployed(&bob.bundle, payload)
	if err1 != nil || err2 != nil {
		b.Fatal(err1, err2)
	}
	accepted := func() {
		for range 3 {
			f.multiply()
		}
		f.keccak(3 * 32)
		f.multiply()
		f.compress(rootBlocks)
		f.decrypt(flight.message.Ciphertext)
	}
	b.Run("responder", func(b *testing.B) {
		sideBySide(
			b,
			row{"rookery", func() error { _, _, err := bob.accept(flight); return err }},
			row{"reference", func() error { _, _, err := bob.acceptDeployed(deployedFlight); return err }},
			floorOf(accepted),
		)
	})
	b.Run("responder_and_answer", func(b *testing.B) {
		sideBySide(
			b,
			row{"rookery", func() error { s, _, err := bob.accept(flight); return answered(s, payload, err) }},
			row{"reference", func() error { s, _, err := bob.acceptDeployed(deployedFlight); return answered(s, payload, err) }},
			floorOf(func() {
				accepted()
				f.baseMultiply()
				f.multiply()
				f.compress(rootBlocks)
				f.encrypt(len(payload))
			}),
		)
	})
}

// answered sends the first answer of a session, unless there is none.
func answered[M any](s talker[M], payload []byte, err error) error {
	if err != nil {
		return err
	}
	_, err = s.send(payload)
	return err
}
