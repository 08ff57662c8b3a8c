package deviceactor

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
)

// T11: the state that was handed over counts, not the older one in the store.
func TestPanicOfOneSessionCostsOneMessageOfIt(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob-1")
	second := w.hostDevice(bob.key, "bob-2")
	alice.meets(bob, second)
	bob.receive(alice, alice.send(bob, "0"))

	// The second device's session hangs while it reads the store, so that no
	// state of the first one gets to the committer.
	alice.restart(bob.key.Public())
	public := bob.key.Public()
	sessions := persistence.NewName(persistence.KindSession, alice.owner[:], public[:], []byte("bob-2"))
	release := make(chan struct{})
	alice.reader.mu.Lock()
	alice.reader.names[sessions] = release
	alice.reader.mu.Unlock()
	answers := make(chan Receipt, 10)
	tell := func(payload string) {
		alice.contact(bob.key.Public()).Tell(Send{Payload: []byte(payload), Reply: actors.ReplyFunc(func(r Receipt, err error) {
			if err != nil {
				t.Errorf("%q: %v", payload, err)
			}
			answers <- r
		})})
		alice.settle(bob)
	}
	before := alice.random.read()
	tell("1")
	await(t, "the first session", func() bool { return alice.random.read() > before })
	alice.random.panics.Store(true)
	tell("2")
	await(t, "the panic", func() bool { return !alice.random.panics.Load() })
	before = alice.random.read()
	tell("3")
	await(t, "the first session's next life", func() bool { return alice.random.read() > before })
	close(release)
	failed := 0
	for range 3 {
		failed += len(wait(t, answers).Failed)
	}
	if failed != 1 {
		t.Errorf("%d parts failed, want that of the panic", failed)
	}
	alice.settle(bob)
	used := make(keysUsed)
	sent := alice.line.take()
	used.note(t, sent)
	for _, m := range sent {
		for _, device := range []*node{bob, second} {
			if err := device.tryReceive(alice, m); err != nil && !errors.Is(err, ErrNotTargeted) {
				t.Errorf("%s: %v", device.name, err)
			}
		}
	}
	if got := fmt.Sprint(bob.received(), second.received()); got != "[0 1 3] [1 2 3]" {
		t.Errorf("received %s", got)
	}
}

func TestPanicOfTheOnlySessionIsAnswered(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	alice.random.panics.Store(true)
	if _, err := alice.trySend(bob, "lost"); !errors.Is(err, actors.ErrQuarantined) || !errors.Is(err, ErrNoTarget) {
		t.Fatalf("got %v", err)
	}
	bob.receive(alice, alice.send(bob, "next"))
}

// T11: a message that panics its session costs itself.
func TestPoisonedMessageCostsItself(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	m := alice.send(bob, "good")
	before := bob.disk.hash(t)
	if err := bob.tryReceive(alice, &wire.Message{InstallationID: "alice", Entries: []wire.Entry{{Recipient: "bob", Part: wire.Part{X3DH: nil, DR: &wire.DRHeader{RatchetKey: nil}}}}}); !errors.Is(err, ratchet.ErrHeader) {
		t.Errorf("got %v", err)
	}
	// No message is known that panics: a nil one stands for it.
	_, err := ask(t, bob.contact(alice.key.Public()), func(r actors.Reply[struct{}]) any { return Receive{Reply: r} })
	if !errors.Is(err, actors.ErrQuarantined) {
		t.Errorf("got %v", err)
	}
	bob.settle(alice)
	if bob.disk.hash(t) != before {
		t.Error("the store has changed")
	}
	bob.receive(alice, m)
}

// Whoever waits for a contact that cannot go on hears of it.
func TestContactThatEndsAnswersEverybody(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	bobs := bob.key.Public()
	initial := func() *wire.Message { // Bob starts anew, with a key Alice has to look up
		other := w.hostDevice(bob.key, "bob-2")
		other.meets(alice)
		return other.send(alice, "x")
	}()
	asked := &script{make(chan any, 10)}
	alice.ownBundle()
	alice.restart(bobs)
	alice.bundle = asked
	contact := alice.contact(bobs)

	answers := make(chan error, 10)
	took := actors.ReplyFunc[struct{}]
	alice.disk.gate.Lock()
	sends := 3
	for i := range sends {
		contact.Tell(TakeBundle{Bundle: bob.ownBundle(), Reply: took(func(_ struct{}, err error) { answers <- err })})
		contact.Tell(SetEnabled{Installation: "bob", Enabled: i%2 == 1, Reply: took(func(_ struct{}, err error) { answers <- err })})
	}
	contact.Tell(Receive{Message: initial, Encoded: initial.Encode(), Reply: took(func(_ struct{}, err error) { answers <- err })})
	lookup := asked.next(t).(bundleactor.FindPreKey)
	contact.Tell(Send{Payload: []byte("x"), Reply: actors.ReplyFunc(func(_ Receipt, err error) { answers <- err })})
	asked.next(t) // for our bundle; nobody answers

	// The disk breaks, and what is on it cannot be read any more.
	err := alice.disk.Store.Apply(t.Context(), persistence.Batch{Records: []persistence.Record{
		{Name: contactName(alice.owner, bobs), Value: []byte("\xff")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	alice.disk.failing(always)
	alice.disk.gate.Unlock()
	expect := func(n int) {
		t.Helper()
		for range n {
			if err := wait(t, answers); err != nil && !Unhandled(err) {
				t.Errorf("got %v", err)
			}
		}
	}
	// Taking a bundle that is known commits nothing and has succeeded before.
	expect(2*sends + 1)
	lookup.Send(nil)
	expect(1)
	if _, err := ask(t, contact, func(r actors.Reply[Contact]) any { return GetContact{r} }); !errors.Is(err, actors.ErrStopped) {
		t.Errorf("got %v", err)
	}
}

// A panic of the contact itself loses nothing that was on its way to the disk.
func TestPanicOfTheContactKeepsWhatIsInFlight(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	alice.ownBundle()
	alice.disk.gate.Lock()
	answers := make(chan error, 10)
	contact := alice.contact(bob.key.Public())
	send := func(payload string) {
		contact.Tell(Send{Payload: []byte(payload), Reply: actors.ReplyFunc(func(_ Receipt, err error) { answers <- err })})
	}
	send("in flight")
	await(t, "the commit", func() bool { return alice.committer.Queued() > 0 })
	if _, err := ask(t, contact, func(r actors.Reply[struct{}]) any { return Receive{Reply: r} }); !errors.Is(err, actors.ErrQuarantined) {
		t.Fatalf("got %v", err)
	}
	send("after the panic") // waits: the restarted contact builds on nothing that may be lost
	alice.disk.gate.Unlock()
	for range 2 {
		if err := wait(t, answers); err != nil {
			t.Error(err)
		}
	}
	alice.settle(bob)
	used := make(keysUsed)
	sent := alice.line.take()
	used.note(t, sent)
	for _, m := range sent {
		bob.receive(alice, m)
	}
	if got := bob.received(); fmt.Sprint(got[len(got)-2:]) != "[in flight after the panic]" {
		t.Errorf("received %v", got)
	}
}
