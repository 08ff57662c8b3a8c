package core

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/ratchet"
)

// decredSide does the DH ratchet step of State with decred's curve, and all the
// rest with State. It is what a build without cgo would be if it took that curve,
// which does not run in constant time. Gaps in the previous chain are not looked
// at.
type decredSide struct {
	side
	remote *secp256k1.PublicKey // of state.Remote, once it was received
}

func (s *decredSide) send(payload []byte) (ratchet.Message, error) {
	if s.state.SendPending {
		if err := s.answer(); err != nil {
			return ratchet.Message{}, err
		}
	}
	return s.side.send(payload)
}

func (s *decredSide) receive(m ratchet.Message) ([]byte, error) {
	if m.Header.Key != s.state.Remote {
		if err := s.turn(m.Header.Key); err != nil {
			return nil, err
		}
	}
	return s.side.receive(m)
}

func (s *decredSide) answer() error {
	scalar, err := secret.ReadKey(rand.Reader)
	if err != nil {
		return err
	}
	public, err := ratchet.NewPublicKey(secp256k1.PrivKeyFromBytes(scalar.Bytes()).PubKey().SerializeCompressed())
	if err != nil {
		return err
	}
	shared, err := decredDH(&scalar, s.remote)
	if err != nil {
		return err
	}
	st := &s.state
	st.Self, st.SendPending, st.Send = ratchet.KeyPair{Private: scalar, Public: public}, false, ratchet.Chain{}
	st.Root, st.Send.Key, _ = ratchet.KDFRoot(&st.Root, &shared)
	return nil
}

func (s *decredSide) turn(remote ratchet.PublicKey) (err error) {
	if s.remote, err = secp256k1.ParsePubKey(remote.Bytes()); err != nil {
		return err
	}
	st := &s.state
	shared, err := decredDH(&st.Self.Private, s.remote)
	if err != nil {
		return err
	}
	st.PN, st.Remote, st.Recv = st.Send.N, remote, ratchet.Chain{}
	st.Root, st.Recv.Key, _ = ratchet.KDFRoot(&st.Root, &shared)
	st.Self, st.Send, st.SendPending = ratchet.KeyPair{}, ratchet.Chain{}, true
	return nil
}

func decredDH(scalar *secret.Key, remote *secp256k1.PublicKey) (secret.Key, error) {
	return secret.NewKey(secp256k1.GenerateSharedSecret(secp256k1.PrivKeyFromBytes(scalar.Bytes()), remote))
}

func decredPair() (alice, bob *decredSide, err error) {
	a, b, err := freshPair(ratchet.Secp256k1)
	if err != nil {
		return nil, nil, err
	}
	return &decredSide{side: *a}, &decredSide{side: *b}, nil
}

// The row on decred's curve is the same ratchet: it talks with the product.
func TestRowOnDecredsCurveInteroperates(t *testing.T) {
	alice, plainBob, err := freshPair(ratchet.Secp256k1)
	if err != nil {
		t.Fatal(err)
	}
	bob := &decredSide{side: *plainBob}
	for i := range byte(8) {
		want := bytes.Repeat([]byte{i}, 100)
		m, err := alice.send(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := bob.receive(m); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("turn %d to decred's curve: %q, %v", i, got, err)
		}
		if m, err = bob.send(want); err != nil {
			t.Fatal(err)
		}
		if got, err := alice.receive(m); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("turn %d from decred's curve: %q, %v", i, got, err)
		}
	}
}
