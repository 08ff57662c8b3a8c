package x3dh

import (
	"testing"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
)

// dh is a Diffie-Hellman of two keys of which an attacker needs one private half.
type dh struct{ one, other string }

// attempt computes SK as somebody who has only some private keys: a term of
// which they have no private half is one with a key of their own instead.
func attempt(t *testing.T, all map[string]*curve.PrivateKey, has map[string]bool, terms []dh) secret.Key {
	t.Helper()
	var joined []byte
	for _, term := range terms {
		private, public := "attacker", term.other
		switch {
		case has[term.one]:
			private = term.one
		case has[term.other]:
			private, public = term.other, term.one
		}
		shared, err := all[private].DH(all[public].Public())
		if err != nil {
			t.Fatal(err)
		}
		joined = append(joined, shared.Bytes()...)
	}
	return secret.KeyOf(curve.Keccak256(joined))
}

// T37: what whoever has stolen long-term keys can do, as executable statement:
// pose as Alice to Bob, and read what Alice starts a session with. An ephemeral
// key of an attacker is their own; Alice's is gone with her first message.
//
// Bob's identity key alone does neither: nobody can pose as Alice to Bob with it.
// Bob's signed prekey alone lets anybody pose as anybody to Bob, as long as he
// accepts that prekey: X3DH has no signature of the initiator. To read what was
// sent to Bob both of his keys are needed, or Alice's ephemeral key and one more.
// Spec: 5.security-considerations.2
func TestStolenKeysDoNoMoreThanX3DHLeavesOpen(t *testing.T) {
	source := seeded(t.Name())
	all := make(map[string]*curve.PrivateKey)
	for _, name := range []string{"alice", "bob", "prekey", "ephemeral", "attacker"} {
		k, err := curve.GenerateKey(source)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &k
	}
	bob, prekey := IdentityKey{*all["bob"]}, PreKey{*all["prekey"]}
	claimed := IdentityPublicKey(all["alice"].Public())
	for _, test := range []struct {
		name         string
		stolen       []string
		poses, reads bool
	}{
		{"nothing", nil, false, false},
		{"Bob's identity key", []string{"bob"}, false, false},
		{"Bob's signed prekey", []string{"prekey"}, true, false},
		{"both keys of Bob", []string{"bob", "prekey"}, true, true},
		{"Alice's identity key", []string{"alice"}, true, false},
		{"both identity keys", []string{"alice", "bob"}, true, false},
		{"Alice's identity key and Bob's signed prekey", []string{"alice", "prekey"}, true, false},
		{"Alice's identity key and her ephemeral key", []string{"alice", "ephemeral"}, true, true},
		{"Alice's ephemeral key and Bob's signed prekey", []string{"ephemeral", "prekey"}, true, true},
		{"Alice's ephemeral key", []string{"ephemeral"}, false, false},
	} {
		has := map[string]bool{"attacker": true}
		for _, name := range test.stolen {
			has[name] = true
		}
		posing := attempt(t, all, has, []dh{{"alice", "prekey"}, {"attacker", "bob"}, {"attacker", "prekey"}})
		accepted, err := Respond(&bob, &prekey, claimed, EphemeralPublic(all["attacker"].Public()))
		if err != nil {
			t.Fatal(err)
		}
		if got := posing.Equal(&accepted); got != test.poses {
			t.Errorf("with %s: poses as Alice to Bob: %v", test.name, got)
		}
		reading := attempt(t, all, has, []dh{{"alice", "prekey"}, {"ephemeral", "bob"}, {"ephemeral", "prekey"}})
		sent, err := Respond(&bob, &prekey, claimed, EphemeralPublic(all["ephemeral"].Public()))
		if err != nil {
			t.Fatal(err)
		}
		if got := reading.Equal(&sent); got != test.reads {
			t.Errorf("with %s: reads what Alice has sent: %v", test.name, got)
		}
	}
}
