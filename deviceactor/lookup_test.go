package deviceactor

import (
	"fmt"
	"testing"
	"time"

	"github.com/rookery-im/rookery/actors"
)

// sendAll gives the receipts of payloads sent one after the other, not waiting for
// any.
func (n *node) sendAll(to *node, payloads ...string) chan Receipt {
	n.t.Helper()
	receipts := make(chan Receipt, len(payloads))
	for _, payload := range payloads {
		n.contact(to.key.Public()).Tell(Send{Payload: []byte(payload), Reply: actors.ReplyFunc(func(r Receipt, err error) {
			if err != nil {
				n.t.Errorf("%s: %v", payload, err)
			}
			receipts <- r
		})})
	}
	return receipts
}

// The first messages to somebody unknown wait for his contact code, and then have
// forward secrecy and their order (5/SECURE-TRANSPORT, Bundle Retrieval).
//
// Spec: draft.contact-request.3
func TestFirstMessagesWaitForTheContactCode(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.lookUpWait = time.Hour
	receipts := alice.sendAll(bob, "one", "two")
	alice.settle(bob)
	if len(receipts) != 0 || alice.lookedUp.Load() != 1 {
		t.Fatalf("%d answered, looked up %d times", len(receipts), alice.lookedUp.Load())
	}
	alice.meets(bob)
	for range 2 {
		if r := wait(t, receipts); !r.ForwardSecrecy || fmt.Sprint(r.Installations) != "[bob]" {
			t.Errorf("receipt %+v", r)
		}
	}
	alice.settle(bob)
	for _, m := range alice.line.take() {
		bob.receive(alice, m)
	}
	if got := bob.received(); fmt.Sprint(got) != "[one two]" {
		t.Errorf("got %v", got)
	}
}

// A contact code that nobody publishes holds up the first messages for the agreed
// time, and later ones not at all.
//
// Spec: draft.contact-request.2
func TestFirstMessagesGoOutWithoutAContactCodeInTheEnd(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.lookUpWait = 20 * time.Millisecond
	receipts := alice.sendAll(bob, "one", "two")
	for range 2 {
		if r := wait(t, receipts); r.ForwardSecrecy || fmt.Sprint(r.Installations) != "[none]" {
			t.Errorf("receipt %+v", r)
		}
	}
	if _, err := alice.trySend(bob, "three"); err != nil {
		t.Error(err)
	}
	if alice.lookedUp.Load() != 1 {
		t.Errorf("looked up %d times", alice.lookedUp.Load())
	}
	alice.settle(bob)
	for _, m := range alice.line.take() {
		bob.receive(alice, m)
	}
	if got := bob.received(); fmt.Sprint(got) != "[one two three]" {
		t.Errorf("got %v", got)
	}
}

// What waits for a contact code when the contact stops was not sent, and says so.
func TestWaitingForAContactCodeEndsWithTheContact(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.lookUpWait = time.Hour
	failed := make(chan error, 1)
	alice.contact(bob.key.Public()).Tell(Send{Payload: []byte("x"), Reply: actors.ReplyFunc(func(_ Receipt, err error) { failed <- err })})
	alice.settle(bob)
	alice.restart(bob.key.Public())
	if err := wait(t, failed); err == nil {
		t.Error("sent")
	}
}
