package deviceactor

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/ratchet"
)

func TestMessageIsDurableBeforeItIsDelivered(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	alicesKey := alice.key.Public()
	bob.delivers = func(e Event) {
		switch e := e.(type) {
		case MessageReceived:
			value, err := bob.disk.Get(t.Context(), InboxName(bob.owner, alicesKey, e.ID))
			if err != nil {
				t.Errorf("delivered, but %v", err)
				return
			}
			if m, err := DecodeReceived(value); err != nil || string(m.Payload) != string(e.Payload) || m.ID != e.ID {
				t.Errorf("the inbox holds %+v, %v", m, err)
			}
		case InstallationDiscovered:
			if bob.stored(alice) != 1 {
				t.Error("discovered, but not stored")
			}
		case MessageRefused:
			t.Errorf("refused: %v", e.Err)
		}
	}
	m := alice.send(bob, "1")
	bob.receive(alice, m)
	bob.disk.gate.Lock()
	m = alice.send(bob, "2")
	done := make(chan error, 1)
	bob.contact(alicesKey).Tell(Receive{Message: m, Reply: actors.ReplyFunc(func(_ struct{}, err error) { done <- err })})
	for range 3 {
		bob.settle(alice)
	}
	if len(done) != 0 || len(bob.received()) != 1 {
		t.Error("answered or delivered while the disk was held")
	}
	bob.disk.gate.Unlock()
	if err := wait(t, done); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(bob.received()); got != "[1 2]" {
		t.Errorf("received %s", got)
	}
	batches := bob.disk.since(0)
	last := batches[len(batches)-1]
	kinds := make(map[persistence.Kind]bool)
	for _, r := range last.Records {
		kinds[r.Name.Kind()] = true
	}
	if !kinds[persistence.KindSession] || !kinds[persistence.KindInbox] {
		t.Errorf("the message came in a batch of %v", kinds)
	}
}

// A message whose commit failed has not been received: it can come again.
func TestFailedCommitOfAReceivedMessageChangesNothing(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	for i := range 4 {
		m := alice.send(bob, fmt.Sprint("message ", i))
		before := bob.disk.hash(t)
		bob.disk.failing(always)
		if err := bob.tryReceive(alice, m); !errors.Is(err, ErrNotDurable) || !Unhandled(err) {
			t.Fatalf("got %v", err)
		}
		bob.disk.failing(nil)
		if bob.disk.hash(t) != before {
			t.Fatal("the store has changed")
		}
		bob.receive(alice, m)
		if got := bob.received(); got[len(got)-1] != fmt.Sprint("message ", i) {
			t.Fatalf("received %v", got)
		}
	}
	for _, e := range bob.events {
		if refused, ok := e.(MessageRefused); ok {
			t.Errorf("reported as refused: %v", refused.Err)
		}
	}
}

// A second copy is a duplicate only if the first one is not lost: it is answered
// after it, and comes again with it.
func TestDuplicateWaitsForItsFirstCopy(t *testing.T) {
	for _, fails := range []bool{false, true} {
		w := newWorld(t)
		alice, bob := w.host("alice"), w.host("bob")
		talk(alice, bob)
		m := alice.send(bob, "x")
		bob.disk.gate.Lock()
		answers := make(chan error, 2)
		for range 2 {
			bob.contact(alice.key.Public()).Tell(Receive{Message: m, Reply: actors.ReplyFunc(func(_ struct{}, err error) { answers <- err })})
		}
		await(t, "the commit", func() bool { return bob.committer.Queued() > 0 })
		bob.settle(alice)
		bob.settle(alice)
		if len(answers) != 0 {
			t.Fatalf("answered while the disk was held: %v", wait(t, answers))
		}
		if fails {
			bob.disk.failing(always)
		}
		bob.disk.gate.Unlock()
		first, second := wait(t, answers), wait(t, answers)
		if fails {
			if !Unhandled(first) || !Unhandled(second) {
				t.Errorf("after the failure: %v and %v", first, second)
			}
			bob.disk.failing(nil)
			bob.receive(alice, m)
		} else if first != nil || !errors.Is(second, ratchet.ErrMessageKeyGone) {
			t.Errorf("got %v and %v", first, second)
		}
	}
}

// A prekey that could not be looked up says nothing of the message: it comes
// again.
func TestMessageWhosePreKeyCannotBeFoundComesAgain(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	m := alice.send(bob, "x")
	bundle, asked := bob.bundle, &script{make(chan any, 1)}
	bob.bundle = asked
	answers := make(chan error, 1)
	bob.contact(alice.key.Public()).Tell(Receive{Message: m, Reply: actors.ReplyFunc(func(_ struct{}, err error) { answers <- err })})
	asked.next(t).(bundleactor.FindPreKey).Fail(errDisk)
	if err := wait(t, answers); !Unhandled(err) || !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
	if n := bob.counters.Refused.Load(); n != 0 || len(bob.events) != 0 {
		t.Errorf("%d counted as refused, events %v", n, bob.events)
	}
	bob.restart(alice.key.Public())
	bob.bundle = bundle
	bob.receive(alice, m)
}
