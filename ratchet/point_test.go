package ratchet

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unsafe"

	"github.com/rookery-im/rookery/internal/curve"
)

// The receiving half of a DH ratchet step takes the peer's key apart, and the
// sending half uses that: with a point that only looks right its answer is wrong.
func TestSendingHalfReusesThePoint(t *testing.T) {
	alice, bob := newPair(t, Secp256k1)
	bob.mustReceive(t, alice.send(t, nil), []byte{})
	if bob.state.RemotePoint == nil || !bob.state.RemotePoint.Is(curve.PublicKey(bob.state.Remote.b)) {
		t.Fatal("the receiving half keeps no point")
	}
	// Another y of the same parity, of which the encoded key says nothing.
	coordinates := (*[64]byte)(unsafe.Pointer(bob.state.RemotePoint))
	coordinates[32] ^= 1
	if !bob.state.RemotePoint.Is(curve.PublicKey(bob.state.Remote.b)) {
		t.Fatal("the coordinates are not where this test looks for them")
	}
	_, m, err := bob.state.Encrypt(nil, nil, RandomIV, seeded("answer"))
	if errors.Is(err, ErrHeader) && strings.HasPrefix(curve.Backend, "pure Go") {
		return // the pure Go code looks at points before it multiplies
	}
	if err != nil {
		t.Fatal(err)
	}
	alice.mustRefuse(t, m, ErrMAC)
}

// Without the point, or with that of another key, an answer is the same: the point
// is not stored, and anything may stand there.
func TestAnswerNeedsNoPoint(t *testing.T) {
	alice, bob := newPair(t, Secp256k1)
	bob.mustReceive(t, alice.send(t, nil), []byte{})
	next, want, err := bob.state.Encrypt(numbered(0), nil, RandomIV, seeded("answer"))
	if err != nil {
		t.Fatal(err)
	}
	if next.RemotePoint != nil {
		t.Error("the sending half keeps the point, which nobody needs again")
	}
	other, err := curve.GenerateKey(seeded("other"))
	if err != nil {
		t.Fatal(err)
	}
	otherPoint, err := other.Public().Point()
	if err != nil {
		t.Fatal(err)
	}
	for name, point := range map[string]*curve.Point{"no point": nil, "that of another key": &otherPoint} {
		state := bob.state
		state.RemotePoint = point
		_, got, err := state.Encrypt(numbered(0), nil, RandomIV, seeded("answer"))
		if err != nil || got.Header != want.Header || !bytes.Equal(got.Ciphertext, want.Ciphertext) {
			t.Errorf("%s: another answer: %v", name, err)
		}
	}
	alice.mustReceive(t, want, numbered(0))
}
