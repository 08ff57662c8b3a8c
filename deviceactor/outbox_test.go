package deviceactor

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
)

func TestOutboxRecordGoesWhenTheTransportHasTheMessage(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	alice.send(bob, "x") // waits for the empty outbox
	w.sweep(alice, bob)
	if again := alice.line.take(); len(again) != 0 {
		t.Errorf("%d messages published again", len(again))
	}
}

func (w *world) sweep(n, peer *node) {
	w.t.Helper()
	w.system.Sweep(time.Unix(0, w.now.Load()))
	n.settle(peer)
	n.settle(peer)
}

func TestRefusedPublicationIsMadeAgainWithTheSweep(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t)
		alice, bob := w.host("alice"), w.host("bob")
		alice.meets(bob)
		alice.line.refusing(true)
		first := alice.send(bob, "x")
		for range 3 {
			w.sweep(alice, bob)
			if again := alice.line.take(); len(again) != 1 || !bytes.Equal(again[0].Encode(), first.Encode()) {
				t.Fatalf("%d messages published by the sweep, want the same one", len(again))
			}
		}
		if restart {
			alice.restart(bob.key.Public())
			alice.settle(bob)
		}
		alice.line.refusing(false)
		w.sweep(alice, bob)
		if again := alice.line.take(); len(again) != 1 || !bytes.Equal(again[0].Encode(), first.Encode()) {
			t.Fatalf("after a restart %v: %d messages published", restart, len(again))
		}
		await(t, "an empty outbox", func() bool { return alice.disk.count(t, persistence.KindOutbox) == 0 })
		w.sweep(alice, bob)
		if again := alice.line.take(); len(again) != 0 {
			t.Errorf("published again after it was taken")
		}
		bob.receive(alice, first)
	}
}

func TestRepublishOfAMessageThatIsGoneDoesNothing(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.contact(bob.key.Public()).Tell(Republish{MessageID{1}})
	w.sweep(alice, bob)
	if sent := alice.line.take(); len(sent) != 0 {
		t.Errorf("%d messages published", len(sent))
	}
}

// A contact may leave memory with messages that the transport has not taken:
// somebody hears of it, wakes it, and the sweep publishes them.
func TestContactThatLeavesMessagesOverSaysSo(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	bobs := bob.key.Public()
	alice.restart(bobs)
	if n := alice.leftOver.Load(); n != 0 {
		t.Fatalf("told %d times with an empty outbox", n)
	}
	alice.line.refusing(true)
	first := alice.send(bob, "x")
	alice.restart(bobs)
	if n := alice.leftOver.Load(); n != 1 {
		t.Errorf("told %d times", n)
	}
	alice.line.refusing(false)
	alice.contact(bobs).Tell(Wake{})
	w.sweep(alice, bob)
	if again := alice.line.take(); len(again) != 1 || !bytes.Equal(again[0].Encode(), first.Encode()) {
		t.Errorf("%d messages published after the wake", len(again))
	}
	await(t, "an empty outbox", func() bool { return alice.disk.count(t, persistence.KindOutbox) == 0 })
}

// A network that is down does not fill the disk: over the bound Send is refused
// before anything is encrypted.
func TestOutboxOfAContactIsBounded(t *testing.T) {
	a := New(Config{})
	a.unaccepted = make(map[MessageID]bool)
	for n := range maxUnaccepted {
		a.unaccepted[MessageID{byte(n), byte(n >> 8)}] = true
	}
	var got error
	if err := a.Receive(nil, Send{Payload: []byte("x"), Reply: actors.ReplyFunc(func(_ Receipt, err error) { got = err })}); err != nil {
		t.Fatal(err)
	}
	var overloaded *actors.OverloadedError
	if !errors.As(got, &overloaded) || overloaded.Limit != "outbox" || overloaded.Max != maxUnaccepted {
		t.Errorf("got %v", got)
	}
}

// What was refused in an outage comes again a part at a time.
func TestRepublishingIsSpread(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	alice.line.refusing(true)
	const sent = republished + 10
	for n := range sent {
		alice.send(bob, fmt.Sprint(n))
	}
	alice.line.refusing(false)
	for _, want := range []int{republished, sent - republished, 0} {
		w.sweep(alice, bob)
		if got := len(alice.line.take()); got != want {
			t.Errorf("%d published again by one sweep, want %d", got, want)
		}
	}
}

// A record of the outbox that cannot be read is reported once and holds up
// nothing else.
func TestOutboxRecordThatCannotBeReadIsReported(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	alice.line.refusing(true)
	first := alice.send(bob, "x")
	err := alice.disk.Store.Apply(t.Context(), persistence.Batch{Records: []persistence.Record{
		{Name: OutboxName(alice.owner, bob.key.Public(), MessageID{1}), Value: []byte("\xff")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	alice.restart(bob.key.Public())
	alice.settle(bob)
	alice.line.refusing(false)
	for range 2 {
		w.sweep(alice, bob)
	}
	if sent := alice.line.take(); len(sent) != 1 || !bytes.Equal(sent[0].Encode(), first.Encode()) {
		t.Errorf("%d messages published", len(sent))
	}
	if e := reported[MessageRefused](alice); len(e) != 1 || !errors.Is(e[0].Err, ErrCorrupt) {
		t.Errorf("reported %+v", e)
	}
}

// Records that no contact can have written stop it from starting.
func TestNamesOfTheWrongLengthAreReported(t *testing.T) {
	for name, kind := range map[string]persistence.Kind{"outbox": persistence.KindOutbox, "copies": persistence.KindCopy} {
		w := newWorld(t)
		alice := w.host("alice")
		own := alice.key.Public()
		record := persistence.NewName(kind, alice.owner[:], own[:], []byte("short"))
		if kind == persistence.KindCopy {
			record = persistence.NewName(kind, alice.owner[:], []byte("short"))
		}
		err := alice.disk.Store.Apply(t.Context(), persistence.Batch{Records: []persistence.Record{{Name: record, Value: []byte("x")}}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = ask(t, alice.contact(own), func(r actors.Reply[Contact]) any { return GetContact{r} })
		if !errors.Is(err, actors.ErrStopped) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
