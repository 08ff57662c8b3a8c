package ratchet

import (
	"errors"
	"reflect"
	"testing"

	"github.com/rookery-im/rookery/internal/secret"
)

// Every state a session goes through passes Check.
func TestCheckAcceptsEveryStateOfASession(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		check := func(when string) {
			t.Helper()
			for who, p := range map[string]*party{"alice": alice, "bob": bob} {
				if err := p.state.Check(); err != nil {
					t.Errorf("%s, %s: %v", who, when, err)
				}
			}
		}
		check("fresh")
		early := bob.send(t, nil)
		check("when the responder spoke")
		initial := alice.sendMany(t, 3)
		bob.mustReceive(t, initial[1], numbered(1))
		check("when the first message came")
		alice.mustReceive(t, early, []byte{})
		check("when the initiator heard of it")
		for range 3 {
			bob.answer(t, alice)
			check("when bob answered")
			alice.answer(t, bob)
			check("when alice answered")
		}
	})
}

func TestCheckRefusesWhatCannotBe(t *testing.T) {
	alice, bob := newPair(t, Secp256k1)
	initiator := alice.state
	bob.mustReceive(t, alice.send(t, nil), []byte{})
	pending := bob.state
	bob.answer(t, alice)
	turned := bob.state
	for _, c := range []struct {
		name  string
		from  State
		alter func(s *State)
	}{
		{"the zero value", State{}, func(*State) {}},
		{"no suite", turned, func(s *State) { s.Suite = 0 }},
		{"an unknown suite", turned, func(s *State) { s.Suite = 7 }},
		{"no root key", turned, func(s *State) { s.Root = secret.Key{} }},
		{"no receiving chain", turned, func(s *State) { s.Recv.Key = secret.Key{} }},
		{"no sending chain", turned, func(s *State) { s.Send.Key = secret.Key{} }},
		{"no private ratchet key", turned, func(s *State) { s.Self.Private = secret.Key{} }},
		{"no public ratchet key", turned, func(s *State) { s.Self.Public = PublicKey{} }},
		{"nobody to answer", pending, func(s *State) { s.Remote = PublicKey{} }},
		{"no root key while an answer is due", pending, func(s *State) { s.Root = secret.Key{} }},
		{"an answered state without a pair", pending, func(s *State) { s.SendPending = false }},
		{"no first message key", initiator, func(s *State) { s.Recv.Head = secret.Key{} }},
	} {
		s := c.from
		c.alter(&s)
		if err := s.Check(); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	s := turned
	s.Suite = 9
	if err := s.Check(); !errors.Is(err, ErrSuite) {
		t.Errorf("an unknown suite is not named: %v", err)
	}
	for name, s := range map[string]State{"initiator": initiator, "pending": pending, "turned": turned} {
		if err := s.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Spec: 5.security-considerations.4
func TestWipeOverwritesEveryKey(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		states := []State{alice.state, bob.state}
		bob.mustReceive(t, alice.send(t, nil), []byte{})
		bob.answer(t, alice)
		states = append(states, alice.state, bob.state)
		for i, s := range states {
			filled := false
			for _, k := range keysOf(&s) {
				filled = filled || !k.IsZero()
			}
			if !filled {
				t.Fatalf("state %d has no key", i)
			}
			s.Wipe()
			for j, k := range keysOf(&s) {
				if !k.IsZero() {
					t.Errorf("state %d: key %d is still there", i, j)
				}
			}
		}
	})
}

// keysOf must name every key of a state, or the tests that use it prove less
// than they say.
func TestKeysOfAStateAreAllKnown(t *testing.T) {
	var count func(t reflect.Type) int
	count = func(t reflect.Type) (n int) {
		if t == reflect.TypeFor[secret.Key]() {
			return 1
		}
		if t.Kind() == reflect.Struct {
			for i := range t.NumField() {
				n += count(t.Field(i).Type)
			}
		}
		return n
	}
	if n := count(reflect.TypeFor[State]()); n != len(keysOf(&State{})) {
		t.Errorf("a state has %d keys, %d are listed", n, len(keysOf(&State{})))
	}
}

// Forward secrecy by construction: a receiver that has read a message holds
// nothing that opens it again, and a turn takes the private ratchet key away.
// Spec: 5.forward-secrecy.1 draft.forward-secrecy.1 5.security-considerations.4
func TestATurnForgetsTheOldPair(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		bob.answerable(t, alice)
		old := bob.state
		bob.mustReceive(t, alice.send(t, nil), []byte{})
		for i, k := range keysOf(&bob.state) {
			for j, before := range keysOf(&old) {
				if !k.IsZero() && k.Equal(before) {
					t.Errorf("key %d before the turn is key %d after it", j, i)
				}
			}
		}
		if !bob.state.SendPending || bob.state.PN != old.Send.N {
			t.Errorf("pending %v, pn %d", bob.state.SendPending, bob.state.PN)
		}
	})
}

// A restored state whose peer key is no point cannot answer, and says so.
func TestAnsweringAnInvalidKeyFails(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		bob.mustReceive(t, alice.send(t, nil), []byte{})
		for _, b := range unusableKeys(suite) {
			key, err := NewPublicKey(b)
			if err != nil {
				t.Fatal(err)
			}
			bob.state.Remote = key
			if _, m, err := bob.state.Encrypt(nil, nil, RandomIV, bob.rand); !errors.Is(err, ErrHeader) || m.Ciphertext != nil {
				t.Errorf("key %x: %v", b, err)
			}
		}
		bob.state.Suite = 0
		if _, _, err := bob.state.Encrypt(nil, nil, RandomIV, bob.rand); !errors.Is(err, ErrSuite) {
			t.Errorf("without a suite: %v", err)
		}
	})
}
