package ratchet

import (
	"errors"
	"fmt"
	"testing"
)

// permutations calls f with every order of 0..n-1.
func permutations(n int, f func(order []int)) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var place func(k int)
	place = func(k int) {
		if k == n {
			f(order)
			return
		}
		for i := k; i < n; i++ {
			order[k], order[i] = order[i], order[k]
			place(k + 1)
			order[k], order[i] = order[i], order[k]
		}
	}
	place(0)
}

func TestPermutationsAreAllDifferent(t *testing.T) {
	seen := map[string]bool{}
	permutations(5, func(order []int) { seen[fmt.Sprint(order)] = true })
	if len(seen) != 120 {
		t.Errorf("%d orders of 5", len(seen))
	}
}

// T25: seven messages with a ratchet turn in between, in every order: each is
// delivered exactly once.
// Spec: draft.out-of-order.1
func TestEveryOrderOfSevenMessagesDeliversEachOnce(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		bob, old, alice := gapInPrevious(t, suite, 3)
		sent := append(old, alice.sendMany(t, 4)...)
		if sent[0].Header.Key == sent[6].Header.Key {
			t.Fatal("there is no turn in between")
		}
		want := func(i int) []byte {
			if i < 3 {
				return numbered(i)
			}
			return numbered(i - 3)
		}
		permutations(7, func(order []int) {
			b := bob.clone()
			for _, i := range order {
				b.mustReceive(t, sent[i], want(i))
			}
			for _, i := range order {
				if _, err := b.receive(sent[i]); err == nil {
					t.Fatalf("order %v: message %d is delivered twice", order, i)
				}
			}
			if b.skipped.Len() != 0 || b.state.KeysMade != 8 {
				t.Fatalf("order %v: %d keys left of %d", order, b.skipped.Len(), b.state.KeysMade)
			}
		})
	})
}

// T25: three ratchet turns: Bob answers whenever he can, Alice reads it and goes
// on in a new chain, and what she sent arrives in every order that this leaves
// open.
// Spec: draft.out-of-order.1
func TestEveryOrderAcrossThreeTurnsDeliversEachOnce(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		var late []Message
		for range 3 {
			batch := alice.sendMany(t, 2)
			bob.mustReceive(t, batch[1], numbered(1))
			late = append(late, batch[0])
			bob.answer(t, alice)
		}
		last := alice.sendMany(t, 2)
		late = append(late, last...)
		plain := func(i int) []byte { return numbered(i / 4) } // only the last one is a second of its chain
		permutations(len(late), func(order []int) {
			b := bob.clone()
			for _, i := range order {
				b.mustReceive(t, late[i], plain(i))
				// Answering in between must not lose what is still on its way.
				next, _, err := b.state.Encrypt(nil, nil, UnsafeDerivedIV, alice.rand)
				if err != nil {
					t.Fatal(err)
				}
				b.state = next
			}
			for _, m := range late {
				b.mustRefuse(t, m)
			}
		})
	})
}

// T26: a message is never delivered a second time, however it came.
func TestReplaysAreRefused(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		for _, s := range situations(t, suite) {
			s.bob.mustReceive(t, s.m, s.plain)
			for range 2 {
				s.bob.mustRefuse(t, s.m)
			}
			// Also by a copy restored from what was stored.
			var stored []SkippedKey
			for _, ref := range s.bob.skipped.Refs() {
				k, ok := s.bob.skipped.find(ref)
				if !ok {
					t.Fatal("a named key is missing")
				}
				stored = append(stored, k)
			}
			restored := s.bob.clone()
			restored.skipped = NewSkipped(stored)
			restored.mustRefuse(t, s.m)
		}
	})
}

// T26: the reasons, and that turns of either side do not bring a message back.
func TestReplaysStayRefusedAcrossTurns(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		first := alice.send(t, []byte("first"))
		bob.mustReceive(t, first, []byte("first"))
		bob.mustRefuse(t, first, ErrMessageKeyGone)
		var all []Message
		for range 4 {
			all = append(all, first)
			bob.answer(t, alice)
			for _, m := range all {
				bob.mustRefuse(t, m) // bob has answered: the old key looks like a new one
			}
			first = alice.send(t, []byte("next"))
			bob.mustReceive(t, first, []byte("next"))
			for _, m := range all {
				bob.mustRefuse(t, m, ErrUnknownRatchetKey)
			}
			bob.mustRefuse(t, first, ErrMessageKeyGone)
		}
	})
}

// T26: a message whose skipped key was evicted is lost, and stays lost.
func TestReplaysAreRefusedAfterEviction(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		bob.limits = Limits{MaxSkip: 10, MaxKeep: 100, MaxStored: 3}
		sent := alice.sendMany(t, 8)
		bob.mustReceive(t, sent[5], numbered(5)) // 0 to 4 skipped, 0 and 1 evicted at once
		bob.mustReceive(t, sent[7], numbered(7)) // 6 skipped, 2 evicted
		for _, n := range []int{0, 1, 2, 5, 7} {
			bob.mustRefuse(t, sent[n], ErrMessageKeyGone)
		}
		for _, n := range []int{6, 3, 4} {
			bob.mustReceive(t, sent[n], numbered(n))
			bob.mustRefuse(t, sent[n], ErrMessageKeyGone)
		}
	})
}

// While the peer's ratchet key is not answered, another one cannot be new.
func TestASecondTurnWithoutAnAnswerIsRefused(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		bob.answerable(t, alice)
		bob.mustReceive(t, alice.send(t, nil), []byte{})
		pair, err := suite.GenerateKeyPair(alice.rand)
		if err != nil {
			t.Fatal(err)
		}
		m := alice.send(t, nil)
		m.Header.Key = pair.Public
		if err := bob.mustRefuse(t, m); !errors.Is(err, ErrUnknownRatchetKey) {
			t.Error(err)
		}
	})
}
