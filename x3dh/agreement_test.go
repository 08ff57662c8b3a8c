package x3dh

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/rookery-im/rookery/internal/curve"
)

// invalidPoints are 33 bytes that are no point of the curve (T38).
func invalidPoints() map[string]curve.PublicKey {
	return map[string]curve.PublicKey{
		"zero":              {},
		"x = 0":             {2},
		"x = 5, off curve":  {0: 3, 32: 5},
		"x over the field":  curve.PublicKey(append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...)),
		"uncompressed form": {0: 4, 32: 1},
		"prefix 05":         {0: 5, 32: 1},
	}
}

// Spec: 5.contact-request.2
func TestBothSidesAgree(t *testing.T) {
	source := seeded("agreements")
	for i := range 20 {
		alice, err1 := GenerateIdentity(source)
		bob, err2 := GenerateIdentity(source)
		prekey, err3 := GeneratePreKey(source)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		sk, ephemeral, err := Initiate(&alice, bob.Public(), prekey.Public(), source)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Respond(&bob, &prekey, alice.Public(), ephemeral)
		if err != nil || !got.Equal(&sk) || sk.IsZero() {
			t.Errorf("agreement %d: %v or different keys", i, err)
		}
	}
}

// Every key takes part: with another one in its place the two sides differ. The
// parity byte of a public key does not, as deployed.
// Spec: 5.x3dh.1 5.security-considerations.3
func TestEveryKeyOfAnAgreementCounts(t *testing.T) {
	alice, bob, mallory := newIdentity(t, "alice"), newIdentity(t, "bob"), newIdentity(t, "mallory")
	prekey, other := newPreKey(t, "prekey"), newPreKey(t, "other")
	sk, ephemeral, err := Initiate(&alice, bob.Public(), prekey.Public(), seeded("ephemeral"))
	if err != nil {
		t.Fatal(err)
	}
	_, another, err := Initiate(&alice, bob.Public(), prekey.Public(), seeded("another"))
	if err != nil || another == ephemeral {
		t.Fatalf("%v or the same ephemeral key twice", err)
	}
	for name, c := range map[string]struct {
		own       *IdentityKey
		prekey    *PreKey
		peer      IdentityPublicKey
		ephemeral EphemeralPublic
	}{
		"another responder":             {&mallory, &prekey, alice.Public(), ephemeral},
		"another prekey":                {&bob, &other, alice.Public(), ephemeral},
		"another initiator":             {&bob, &prekey, mallory.Public(), ephemeral},
		"another ephemeral key":         {&bob, &prekey, alice.Public(), another},
		"the responder as initiator":    {&bob, &prekey, bob.Public(), ephemeral},
		"the prekey as identity":        {&IdentityKey{prekey.key}, &prekey, alice.Public(), ephemeral},
		"the identity as prekey":        {&bob, &PreKey{bob.key}, alice.Public(), ephemeral},
		"identity as ephemeral key":     {&bob, &prekey, alice.Public(), EphemeralPublic(alice.Public())},
		"identity and prekey exchanged": {&IdentityKey{prekey.key}, &PreKey{bob.key}, alice.Public(), ephemeral},
	} {
		if got, err := Respond(c.own, c.prekey, c.peer, c.ephemeral); err != nil || got.Equal(&sk) {
			t.Errorf("%s: %v or the same SK", name, err)
		}
	}
	peer := alice.Public()
	peer[0] ^= 1
	ephemeral[0] ^= 1
	if got, err := Respond(&bob, &prekey, peer, ephemeral); err != nil || !got.Equal(&sk) {
		t.Errorf("negated points: %v or another SK", err)
	}
}

// T38: a point that is not on the curve never takes part.
func TestAgreementsRefuseInvalidPoints(t *testing.T) {
	alice, bob, prekey := newIdentity(t, "alice"), newIdentity(t, "bob"), newPreKey(t, "prekey")
	_, ephemeral, err := Initiate(&alice, bob.Public(), prekey.Public(), seeded("ephemeral"))
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range invalidPoints() {
		for what, try := range map[string]func() (SharedKey, error){
			"identity of the responder": func() (SharedKey, error) {
				sk, _, err := Initiate(&alice, IdentityPublicKey(p), prekey.Public(), seeded("x"))
				return sk, err
			},
			"prekey": func() (SharedKey, error) {
				sk, _, err := Initiate(&alice, bob.Public(), PreKeyPublic(p), seeded("x"))
				return sk, err
			},
			"identity of the initiator": func() (SharedKey, error) {
				return Respond(&bob, &prekey, IdentityPublicKey(p), ephemeral)
			},
			"ephemeral key": func() (SharedKey, error) {
				return Respond(&bob, &prekey, alice.Public(), EphemeralPublic(p))
			},
		} {
			if sk, err := try(); !errors.Is(err, ErrKey) || !errors.Is(err, curve.ErrPublicKey) || !sk.IsZero() {
				t.Errorf("%s as %s: %v", name, what, err)
			}
		}
	}
}

// T51: without randomness there is no key and no agreement.
func TestFailingRandomnessIsReported(t *testing.T) {
	alice, bob, prekey := newIdentity(t, "alice"), newIdentity(t, "bob"), newPreKey(t, "prekey")
	failed := errors.New("source failed")
	for name, c := range map[string]struct {
		before []byte
		then   error
		want   error
	}{
		"empty":         {nil, io.EOF, io.EOF},
		"short":         {make([]byte, 31), io.EOF, io.ErrUnexpectedEOF},
		"failing":       {nil, failed, failed},
		"constant zero": {make([]byte, 1000), failed, curve.ErrRandomness},
	} {
		source := func() io.Reader { return io.MultiReader(bytes.NewReader(c.before), iotest.ErrReader(c.then)) }
		if k, err := GenerateIdentity(source()); !errors.Is(err, c.want) || k.Public() != (IdentityPublicKey{}) {
			t.Errorf("%s: identity: %v", name, err)
		}
		if k, err := GeneratePreKey(source()); !errors.Is(err, c.want) || k.Public() != (PreKeyPublic{}) {
			t.Errorf("%s: prekey: %v", name, err)
		}
		if sk, ephemeral, err := Initiate(&alice, bob.Public(), prekey.Public(), source()); !errors.Is(err, c.want) || !sk.IsZero() || ephemeral != (EphemeralPublic{}) {
			t.Errorf("%s: agreement: %v", name, err)
		}
		if payload, ephemeral, err := SealDHOnly(bob.Public(), nil, source()); !errors.Is(err, c.want) || payload != nil || ephemeral != (EphemeralPublic{}) {
			t.Errorf("%s: DH-only: %v", name, err)
		}
	}
	// The ephemeral key is drawn, the nonce is not.
	if payload, _, err := SealDHOnly(bob.Public(), nil, io.LimitReader(seeded("x"), 40)); !errors.Is(err, io.ErrUnexpectedEOF) || payload != nil {
		t.Errorf("a source that ends in the nonce: %v", err)
	}
}
