package ratchet

import (
	"bytes"
	"testing"

	"github.com/rookery-im/rookery/internal/secret"
)

// A responder that sends before it received anything does so on the chain that
// starts as SK, with its first pair as ratchet key, as deployed ones do; the
// initiator understands it in any order.
func TestResponderMaySpeakFirst(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		permutations(4, func(order []int) {
			alice, bob := newPair(t, suite)
			first := bob.state.Self.Public
			early := bob.sendMany(t, 4)
			for i, m := range early {
				if m.Header != (Header{Key: first, N: uint32(i)}) {
					t.Fatalf("header %+v", m.Header)
				}
			}
			for _, i := range order {
				alice.mustReceive(t, early[i], numbered(i))
			}
			for _, m := range early {
				alice.mustRefuse(t, m, ErrMessageKeyGone)
			}
			if alice.skipped.Len() != 0 || alice.state.SendPending {
				t.Fatal("the initiator turned or kept keys")
			}
		})
	})
}

// Both speak before they hear each other; all of it arrives, and the ratchet
// starts to turn.
// Spec: 5.dr-header.2 5.dr-header.4
func TestBothSidesMaySpeakAtOnce(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		early := bob.sendMany(t, 3)
		initial := alice.sendMany(t, 3)
		bob.mustReceive(t, initial[1], numbered(1))
		alice.mustReceive(t, early[0], numbered(0))
		answer := bob.send(t, []byte("turned"))
		if answer.Header.PN != 3 || answer.Header.N != 0 || answer.Header.Key == early[0].Header.Key {
			t.Fatalf("n = %d, pn = %d", answer.Header.N, answer.Header.PN)
		}
		alice.mustReceive(t, answer, []byte("turned"))
		alice.mustReceive(t, early[2], numbered(2))
		alice.mustReceive(t, early[1], numbered(1))
		bob.mustReceive(t, initial[0], numbered(0))
		bob.mustReceive(t, initial[2], numbered(2))
		for range 4 {
			alice.answer(t, bob)
			bob.answer(t, alice)
		}
		if alice.skipped.Len()+bob.skipped.Len() != 0 {
			t.Error("keys are left over")
		}
	})
}

// The initiator's state does not hold SK: the chain that starts as SK is kept
// one step further.
func TestInitiatorDoesNotKeepSK(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		source := seeded("no SK")
		sk, err := secret.ReadKey(source)
		if err != nil {
			t.Fatal(err)
		}
		first := firstPair(t, suite, &sk, source)
		alice, err := NewInitiator(suite, sk, first.Public, source)
		if err != nil {
			t.Fatal(err)
		}
		for i, k := range keysOf(&alice) {
			if k.Equal(&sk) {
				t.Errorf("key %d of the initiator's state is SK", i)
			}
		}
		next, message := KDFChain(&sk)
		if !alice.Recv.Primed || !alice.Recv.Key.Equal(&next) || !alice.Recv.Head.Equal(&message) || alice.Recv.N != 0 {
			t.Error("the receiving chain does not start one step after SK")
		}
	})
}

// After the first message the responder has neither SK nor anything it can be
// computed from.
// Spec: 5.forward-secrecy.1 draft.forward-secrecy.1
func TestResponderForgetsSKWithTheFirstMessage(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		sk := bob.state.Root
		if !bytes.Equal(bob.state.Send.Key.Bytes(), sk.Bytes()) {
			t.Fatal("the responder's chain does not start as SK")
		}
		bob.mustReceive(t, alice.send(t, nil), []byte{})
		for i, k := range keysOf(&bob.state) {
			if k.Equal(&sk) {
				t.Errorf("key %d of the responder's state is SK", i)
			}
		}
		if !bob.state.SendPending || !bob.state.Self.Private.IsZero() || !bob.state.Send.Key.IsZero() {
			t.Error("the first pair or the first sending chain is still there")
		}
	})
}

// keysOf lists every secret of a state.
func keysOf(s *State) []*secret.Key {
	return []*secret.Key{&s.Root, &s.Send.Key, &s.Send.Head, &s.Recv.Key, &s.Recv.Head, &s.Self.Private}
}
