package deviceactor

import (
	"errors"
	"testing"

	"github.com/rookery-im/rookery/actors"
)

// awaitTaken asks to be told when a message was taken.
func (n *node) awaitTaken(to *node, id MessageID) <-chan error {
	answers := make(chan error, 1)
	n.contact(to.key.Public()).Tell(AwaitTaken{actors.ReplyFunc(func(_ struct{}, err error) { answers <- err }), id})
	return answers
}

func TestSenderIsToldWhenItsMessageWasTaken(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	r, err := alice.trySend(bob, "at once")
	if err != nil {
		t.Fatal(err)
	}
	if err := wait(t, alice.awaitTaken(bob, r.ID)); err != nil {
		t.Errorf("at once: %v", err)
	}
	alice.line.refusing(true)
	r, err = alice.trySend(bob, "later")
	if err != nil {
		t.Fatal(err)
	}
	for _, restart := range []bool{false, true} {
		first := alice.awaitTaken(bob, r.ID)
		if restart {
			alice.restart(bob.key.Public())
			if err := wait(t, first); !errors.Is(err, actors.ErrStopped) {
				t.Errorf("while it left: %v", err)
			}
			first = alice.awaitTaken(bob, r.ID)
		}
		second := alice.awaitTaken(bob, r.ID)
		w.sweep(alice, bob)
		if len(first)+len(second) != 0 {
			t.Fatalf("restarted %v: told of what was refused", restart)
		}
		if !restart {
			continue
		}
		alice.line.refusing(false)
		w.sweep(alice, bob)
		if err := errors.Join(wait(t, first), wait(t, second)); err != nil {
			t.Error(err)
		}
	}
}

func TestSenderIsToldWhenItsMessageWasWithdrawn(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	alice.line.refusing(true)
	r, err := alice.trySend(bob, "never mind")
	if err != nil {
		t.Fatal(err)
	}
	waiting := alice.awaitTaken(bob, r.ID)
	if err := alice.answerRequest(bob, false); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, waiting); !errors.Is(err, ErrWithdrawn) {
		t.Errorf("got %v", err)
	}
}
