package deviceactor

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/x3dh"
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

// Whenever somebody asks: what was given up was not taken. It does not matter whether it
// was dropped by now, nor in which life of the contact it was given up.
func TestSenderIsToldWhenItsMessageWasGivenUp(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.keepUnsent = time.Hour
	alice.meets(bob)
	bobs := bob.key.Public()
	alice.restart(bobs)
	taken, err := alice.trySend(bob, "taken")
	if err != nil {
		t.Fatal(err)
	}
	alice.line.refusing(true)
	r, err := alice.trySend(bob, "never")
	if err != nil {
		t.Fatal(err)
	}
	w.now.Add(int64(time.Hour) + 1)
	for range 3 {
		w.sweep(alice, bob)
	}
	if n := len(reported[Unsent](alice)); n != 1 {
		t.Fatalf("given up %d times", n)
	}
	asked := func(when string) {
		t.Helper()
		if err := wait(t, alice.awaitTaken(bob, r.ID)); !errors.Is(err, ErrUnsent) {
			t.Errorf("%s: %v", when, err)
		}
	}
	asked("after it was given up")
	alice.restart(bobs)
	waiting := alice.awaitTaken(bob, r.ID)
	alice.contact(bobs).Tell(Discard{r.ID})
	if err := wait(t, waiting); !errors.Is(err, ErrUnsent) {
		t.Errorf("while it is dropped: %v", err)
	}
	asked("after it was dropped")
	alice.restart(bobs)
	asked("in the next life")
	if outbox, left := alice.disk.count(t, persistence.KindOutbox), alice.disk.count(t, persistence.KindReceipt); outbox != 0 || left != 1 {
		t.Errorf("%d in the outbox, and %d left of what was in it", outbox, left)
	}
	if err := wait(t, alice.awaitTaken(bob, taken.ID)); err != nil {
		t.Errorf("of another one: %v", err)
	}
}

// While the store cannot be read nobody knows whether a message was given up.
func TestSenderIsNotToldWhatTheStoreDoesNotTell(t *testing.T) {
	failing := errors.New("the disk is on fire")
	a := New(&Config{Reader: unreadable{err: failing}}, x3dh.IdentityPublicKey{}, nil)
	var got error
	if err := a.Receive(nil, AwaitTaken{Reply: actors.ReplyFunc(func(_ struct{}, err error) { got = err })}); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(got, failing) {
		t.Errorf("got %v", got)
	}
}

// unreadable is a store that fails.
type unreadable struct {
	Reader
	err error
}

func (u unreadable) Get(context.Context, persistence.Name) ([]byte, error) { return nil, u.err }
