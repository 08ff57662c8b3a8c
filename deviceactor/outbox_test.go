package deviceactor

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
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
		for round := range 5 {
			for n := range skips(bob.key.Public(), 1+round) {
				w.sweep(alice, bob)
				if again := alice.line.take(); len(again) != 0 {
					t.Fatalf("published in sweep %d after round %d", n, round)
				}
			}
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
		alice.contact(bob.key.Public()).Tell(NetworkBack{})
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

// A message for no installation in particular goes where everybody listens, also when it
// is published again and all that are known have agreed to another topic by then.
func TestMessageForAnybodyStaysOnTheTopicOfEverybody(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t)
		alice, bob := w.host("alice"), w.host("bob")
		alice.line.refusing(true)
		alice.send(bob, "whoever reads it")
		talk(alice, bob)
		alice.line.mu.Lock()
		last := len(alice.line.agreed) - 1
		if !alice.line.agreed[last] {
			t.Error("nothing is agreed: the test shows nothing")
		}
		alice.line.mu.Unlock()
		if restart {
			alice.restart(bob.key.Public())
			alice.settle(bob)
		}
		alice.line.refusing(false)
		alice.contact(bob.key.Public()).Tell(NetworkBack{})
		w.sweep(alice, bob)
		again := alice.line.take()
		if len(again) != 3 {
			t.Fatalf("%d messages published again", len(again))
		}
		for n, m := range again {
			agreed := alice.line.agreed[last+1+n]
			if anybody := m.Entries[0].Recipient == wire.NoInstallation; agreed == anybody {
				t.Errorf("restart %v: message for %s, agreed %v", restart, m.Entries[0].Recipient, agreed)
			}
		}
	}
}

func TestRepublishOfAnEmptyOutboxDoesNothing(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.contact(bob.key.Public()).Tell(Republish{})
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
	alice.contact(bobs).Tell(Republish{})
	w.sweep(alice, bob)
	if again := alice.line.take(); len(again) != 1 || !bytes.Equal(again[0].Encode(), first.Encode()) {
		t.Errorf("%d messages published after the wake", len(again))
	}
	await(t, "an empty outbox", func() bool { return alice.disk.count(t, persistence.KindOutbox) == 0 })
}

// A network that is down does not fill the disk: over the bound Send is refused
// before anything is encrypted.
func TestOutboxOfAContactIsBounded(t *testing.T) {
	a := New(&Config{}, x3dh.IdentityPublicKey{}, nil)
	a.unaccepted = make(map[MessageID]unaccepted)
	for n := range maxUnaccepted {
		a.unaccepted[MessageID{byte(n), byte(n >> 8)}] = unaccepted{refused: true}
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

// What was refused in an outage comes again a part at a time: the next when the network
// has taken the one before, without waiting for a sweep, and no more after a refusal.
func TestRepublishingIsSpread(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	alice.line.refusing(true)
	const sent = 3*republished + 10
	for n := range sent {
		alice.send(bob, fmt.Sprint(n))
	}
	alice.line.take()
	w.sweep(alice, bob) // refused again
	if got := len(alice.line.take()); got != republished {
		t.Errorf("%d published again at a time, want %d", got, republished)
	}
	alice.line.refusing(false)
	alice.contact(bob.key.Public()).Tell(NetworkBack{})
	w.sweep(alice, bob)
	await(t, "an empty outbox", func() bool { return alice.disk.count(t, persistence.KindOutbox) == 0 })
	if got := len(alice.line.take()); got != sent {
		t.Errorf("%d published again, want %d", got, sent)
	}
	w.sweep(alice, bob)
	if got := len(alice.line.take()); got != 0 {
		t.Errorf("%d published again that were taken", got)
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
		alice.outboxes.Know([]x3dh.IdentityPublicKey{own})
		_, err = ask(t, alice.contact(own), func(r actors.Reply[Contact]) any { return GetContact{r} })
		if !errors.Is(err, actors.ErrStopped) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Messages that were refused are published in the order in which they were sent, also
// by the next life of the contact.
func TestRepublishingKeepsTheOrder(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t)
		alice, bob := w.host("alice"), w.host("bob")
		alice.meets(bob)
		alice.line.refusing(true)
		var sent []*wire.Message
		for n := range 20 {
			w.now.Add(1)
			sent = append(sent, alice.send(bob, fmt.Sprint(n)))
		}
		if restart {
			alice.restart(bob.key.Public())
			alice.settle(bob)
		}
		alice.line.refusing(false)
		w.sweep(alice, bob)
		again := alice.line.take()
		if len(again) != len(sent) {
			t.Fatalf("%d published again", len(again))
		}
		for n := range sent {
			if !bytes.Equal(again[n].Encode(), sent[n].Encode()) {
				t.Fatalf("restart %v: another one came as number %d", restart, n)
			}
		}
	}
}

// The sweeps that are left out grow, are bounded, and are not the same for all.
func TestRoundsAfterRefusalsGrowApart(t *testing.T) {
	for failures := range 40 {
		most := 1<<min(max(failures-1, 0), 6) - 1
		seen := make(map[int]bool)
		for n := range 200 {
			skip := skips(x3dh.IdentityPublicKey{2, byte(n)}, failures)
			if skip < most/2 || skip > (3*most+1)/2 {
				t.Errorf("%d sweeps after %d rounds", skip, failures)
			}
			seen[skip] = true
		}
		if failures > 4 && len(seen) < 8 {
			t.Errorf("%d ways after %d rounds", len(seen), failures)
		}
	}
}

// A message that no network takes is published until it is too old, and then reported:
// once in a life of the contact, and again in the next one until somebody has said that
// he knows. Only then its record goes.
func TestMessageThatNobodyTakesIsReportedAndDropped(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.keepUnsent = time.Hour
	alice.meets(bob)
	bobs := bob.key.Public()
	alice.restart(bobs)
	alice.line.refusing(true)
	alice.send(bob, "old")
	id := alice.outboxIDs(bobs)[0]
	created := w.now.Load()
	failed := make(chan error, 1)
	alice.contact(bobs).Tell(AwaitTaken{ID: id, Reply: actors.ReplyFunc(func(_ struct{}, err error) { failed <- err })})
	w.now.Add(int64(time.Hour))
	alice.send(bob, "new")
	alice.line.take()
	w.sweep(alice, bob)
	if again := alice.line.take(); len(again) != 2 || len(reported[Unsent](alice)) != 0 {
		t.Fatalf("%d published, %d reported at the last moment", len(again), len(reported[Unsent](alice)))
	}
	w.now.Add(1)
	for range 3 {
		w.sweep(alice, bob)
	}
	want := Unsent{Identity: bobs, ID: id, Created: created}
	if got := reported[Unsent](alice); len(got) != 1 || got[0] != want {
		t.Fatalf("reported %+v, want %+v", got, want)
	}
	if err := <-failed; !errors.Is(err, ErrUnsent) {
		t.Errorf("who waits is told %v", err)
	}
	alice.line.take()
	alice.line.refusing(false)
	alice.restart(bobs) // nobody has said that he knows
	alice.contact(bobs).Tell(Republish{})
	w.sweep(alice, bob)
	w.sweep(alice, bob)
	if got := reported[Unsent](alice); len(got) != 2 || got[1] != want {
		t.Fatalf("reported %+v", got)
	}
	if again := alice.line.take(); len(again) != 1 {
		t.Errorf("%d published, want the new one", len(again))
	}
	await(t, "the new one to leave the outbox", func() bool { return alice.disk.count(t, persistence.KindOutbox) < 2 })
	if left := alice.outboxIDs(bobs); len(left) != 1 || left[0] != id {
		t.Errorf("%d records before somebody knows", len(left))
	}
	alice.contact(bobs).Tell(Discard{id})
	alice.contact(bobs).Tell(Discard{MessageID{1}})
	await(t, "an empty outbox", func() bool { return alice.disk.count(t, persistence.KindOutbox) == 0 })
	alice.restart(bobs)
	w.sweep(alice, bob)
	if got := reported[Unsent](alice); len(got) != 2 {
		t.Errorf("reported %+v", got)
	}
}

// What is not too old is not dropped, whoever asks; nor is anything by default.
func TestOnlyWhatWasGivenUpIsDropped(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	alice.line.refusing(true)
	alice.send(bob, "x")
	bobs := bob.key.Public()
	w.now.Add(int64(10 * 365 * 24 * time.Hour))
	alice.contact(bobs).Tell(Discard{alice.outboxIDs(bobs)[0]})
	w.sweep(alice, bob)
	if n := alice.disk.count(t, persistence.KindOutbox); n != 1 || len(reported[Unsent](alice)) != 0 {
		t.Errorf("%d records, reported %+v", n, reported[Unsent](alice))
	}
}

// outboxIDs are the messages that wait for the transport.
func (n *node) outboxIDs(peer x3dh.IdentityPublicKey) (ids []MessageID) {
	n.t.Helper()
	err := n.disk.Scan(n.t.Context(), persistence.NewName(persistence.KindOutbox, n.owner[:], peer[:]), func(_ persistence.Name, value []byte) error {
		o, err := DecodeOutgoing(value)
		ids = append(ids, o.ID)
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return ids
}
