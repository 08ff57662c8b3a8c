package ratchet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rookery-im/rookery/internal/curve"
)

func storedKey(chain byte, n uint32, seq uint64) SkippedKey {
	k := SkippedKey{KeyRef: KeyRef{Ratchet: PublicKey{n: 32, b: [33]byte{chain}}, N: n}, Seq: seq}
	copy(k.Key.Bytes(), fmt.Sprintf("key %d of chain %d", n, chain))
	return k
}

func TestSkippedMergesEffects(t *testing.T) {
	a, b, c := storedKey(1, 0, 0), storedKey(1, 1, 1), storedKey(2, 0, 5)
	s := NewSkipped([]SkippedKey{a, b})
	s.Apply(Effects{Add: []SkippedKey{c}, Remove: []KeyRef{a.KeyRef}})
	if got, want := s.Refs(), []KeyRef{b.KeyRef, c.KeyRef}; !slices.Equal(got, want) || s.Len() != 2 {
		t.Errorf("%v of %d, want %v", got, s.Len(), want)
	}
	if k, ok := s.find(b.KeyRef); !ok || !k.Key.Equal(&b.Key) || k.Seq != 1 {
		t.Error("a kept key is not found")
	}
	if _, ok := s.find(a.KeyRef); ok {
		t.Error("a removed key is found")
	}
	if !s.Knows(b.Ratchet) || !s.Knows(c.Ratchet) || s.Knows(PublicKey{n: 33}) {
		t.Error("the chains of its keys are not known")
	}
	s.Apply(Effects{Remove: []KeyRef{b.KeyRef, a.KeyRef}})
	if s.Knows(b.Ratchet) {
		t.Error("a chain without keys is known")
	}
	s.Wipe()
	if s.Len() != 0 || len(s.Refs()) != 0 || s.Knows(c.Ratchet) {
		t.Error("keys are left after wiping")
	}
	s.Apply(Effects{Add: []SkippedKey{a}})
	if s.Len() != 1 {
		t.Error("a wiped set takes no keys")
	}
}

func TestNoSetAndTheEmptySetAreTheSame(t *testing.T) {
	var none *Skipped
	for name, s := range map[string]*Skipped{"nil": none, "zero": {}, "empty": NewSkipped(nil)} {
		if _, ok := s.find(KeyRef{}); ok || s.Knows(PublicKey{}) || len(s.Refs()) != 0 {
			t.Errorf("%s: it holds something", name)
		}
		if e := s.enforce(nil, 0, DeployedLimits()); len(e.Add)+len(e.Remove) != 0 {
			t.Errorf("%s: %+v", name, e)
		}
	}
	alice, bob := newPair(t, Secp256k1)
	sent := alice.sendMany(t, 2)
	_, effects, _, err := bob.state.Decrypt(nil, sent[1], nil, bob.limits)
	if err != nil || len(effects.Add) != 1 || len(effects.Remove) != 0 {
		t.Errorf("without a set: %d added, %v", len(effects.Add), err)
	}
}

// The list that keeps the order is cleaned up, or it would grow for as long as
// a session lasts.
func TestTheOrderOfKeysDoesNotGrow(t *testing.T) {
	alice, bob := newPair(t, Secp256k1)
	for range 3000 {
		sent := alice.sendMany(t, 2)
		bob.mustReceive(t, sent[1], numbered(1))
		bob.mustReceive(t, sent[0], numbered(0))
	}
	if n := len(bob.skipped.order); n > 20 {
		t.Errorf("%d places for %d keys", n, bob.skipped.Len())
	}
}

// Removing from the middle keeps the rest in order, so that the oldest is still
// the first to go.
func TestEvictionFollowsTheOrderOfMaking(t *testing.T) {
	var s Skipped
	var keys []SkippedKey
	for i := range 40 {
		keys = append(keys, storedKey(byte(i/10), uint32(i%10), uint64(i)))
	}
	s.Apply(Effects{Add: keys})
	for i := 0; i < 40; i += 2 {
		s.Apply(Effects{Remove: []KeyRef{keys[i].KeyRef}})
	}
	e := s.enforce([]SkippedKey{storedKey(9, 0, 40)}, 41, Limits{MaxKeep: 1000, MaxStored: 18})
	if want := []KeyRef{keys[1].KeyRef, keys[3].KeyRef, keys[5].KeyRef}; !slices.Equal(e.Remove, want) || len(e.Add) != 1 {
		t.Errorf("removed %v, want %v", e.Remove, want)
	}
	e = s.enforce(nil, 41, Limits{MaxKeep: 34, MaxStored: 100})
	if want := []KeyRef{keys[1].KeyRef, keys[3].KeyRef, keys[5].KeyRef, keys[7].KeyRef}; !slices.Equal(e.Remove, want) {
		t.Errorf("removed %v for their age, want %v", e.Remove, want)
	}
}

// A peer that goes back to a ratchet key it used before cannot make one name
// stand for two keys: the set stays within its limit, in memory too, and no key
// is added and removed at once.
func TestAReusedRatchetKeyIsBounded(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		bob.answerable(t, alice)
		bob.limits = Limits{MaxSkip: 10, MaxKeep: 1000, MaxStored: 5}
		pair, err := suite.GenerateKeyPair(alice.rand)
		if err != nil {
			t.Fatal(err)
		}
		refused := 0
		for range 100 {
			// Alice answers with the same pair each time, and loses a message.
			shared, err := suite.dh(&pair, alice.state.Remote, new(curve.Point))
			if err != nil {
				t.Fatal(err)
			}
			evil := alice.clone()
			evil.state.Self, evil.state.SendPending, evil.state.Send = pair, false, Chain{}
			evil.state.Root, evil.state.Send.Key = rootStep(&evil.state.Root, &shared)
			evil.send(t, nil)
			m := evil.send(t, nil)
			before := bob.clone()
			next, effects, _, err := bob.state.Decrypt(bob.skipped, m, nil, bob.limits)
			if err != nil {
				refused++
				if !bob.equal(before) {
					t.Fatal("a refusal left traces")
				}
				alice.answer(t, bob) // honest again
				bob.answer(t, alice)
				continue
			}
			for _, k := range effects.Add {
				if slices.Contains(effects.Remove, k.KeyRef) {
					t.Fatal("a key is added and removed at once")
				}
				if _, ok := bob.skipped.find(k.KeyRef); ok {
					t.Fatal("a key is added under the name of another one")
				}
			}
			bob.state = next
			bob.skipped.Apply(effects)
			alice = evil
			bob.answer(t, alice)
		}
		if refused == 0 {
			t.Error("the reused key is accepted while keys of its chain are stored")
		}
		if n := len(bob.skipped.order); bob.skipped.Len() > 5 || n > 2*5+16 {
			t.Errorf("%d keys in %d places", bob.skipped.Len(), n)
		}
	})
}

// T48: see redaction_test.go for states; a set holds its keys in fields that
// fmt cannot ask to redact themselves.
func TestSkippedPrintsItsSizeOnly(t *testing.T) {
	s := NewSkipped([]SkippedKey{storedKey(1, 0, 0), storedKey(1, 1, 1)})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, v := range []any{s, *s, struct{ S *Skipped }{s}, []Skipped{*s}} {
			out := fmt.Sprintf(verb, v)
			for _, k := range []SkippedKey{storedKey(1, 0, 0), storedKey(1, 1, 1)} {
				if form := shownAs(out, k.Key.Bytes()); form != "" {
					t.Errorf("%s of %T shows a key as %s", verb, v, form)
				}
			}
		}
	}
	if got, want := fmt.Sprint(s), "2 skipped message keys"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The chains that are known are those of the keys, whatever came and went, also
// twice.
func TestKnownChainsAreThoseOfTheKeys(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 2))
	s := &Skipped{}
	for seq := range uint64(2000) {
		k := storedKey(byte(source.IntN(5)), source.Uint32N(8), seq)
		s.Apply(Effects{Add: []SkippedKey{k, k}, Remove: []KeyRef{
			storedKey(byte(source.IntN(5)), source.Uint32N(8), 0).KeyRef,
			storedKey(byte(source.IntN(5)), source.Uint32N(8), 0).KeyRef,
		}})
		held := make(map[PublicKey]bool)
		for _, ref := range s.Refs() {
			held[ref.Ratchet] = true
		}
		for chain := range byte(6) {
			if key := storedKey(chain, 0, 0).Ratchet; s.Knows(key) != held[key] {
				t.Fatalf("after %d steps: chain %d is known: %v", seq+1, chain, s.Knows(key))
			}
		}
	}
}

// What a message skips in two chains is collected in one place: a slice that grows
// would leave message keys behind that nobody wipes (T48).
func TestSkippedKeysOfBothChainsHaveTheirRoom(t *testing.T) {
	for _, lost := range [][2]int{{0, 0}, {3, 0}, {0, 3}, {3, 4}} {
		alice, bob := newPair(t, Secp256k1)
		alice.answer(t, bob)
		before := alice.sendMany(t, lost[0])
		bob.answer(t, alice)
		after := alice.sendMany(t, lost[1])
		_, effects, _, err := bob.state.Decrypt(bob.skipped, alice.send(t, nil), nil, bob.limits)
		if err != nil || len(effects.Add) != len(before)+len(after) || cap(effects.Add) != len(effects.Add) {
			t.Errorf("%v lost: %d keys in room for %d, %v", lost, len(effects.Add), cap(effects.Add), err)
		}
	}
}
