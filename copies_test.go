package rookery_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/proto/wire"
)

// Spec: 5.pairing.7 5.paired-group.4 draft.multi-device.1
func TestWhatOneDeviceSendsShowsOnTheOthersUnderTheSameID(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(3), w.person(2)
	w.introduceAll(alice, bob)
	shown := make(map[device]int)
	for n, from := range alice {
		payload := fmt.Sprint("from device ", n)
		receipt := w.send(from, bob[0].key, payload)
		if len(receipt.Installations) != 2 {
			t.Errorf("%s: receipt %+v", payload, receipt)
		}
		w.awaitMessages(n+1, bob...)
		for _, d := range alice {
			if d == from {
				continue
			}
			shown[d]++
			c := awaitThese[rookery.SentElsewhere](w, shown[d], d)
			if c.ID != receipt.ID || string(c.Payload) != payload || c.Recipient != bob[0].key || c.Sender != from.key ||
				c.Installation != from.installation || !c.ForwardSecrecy {
				t.Errorf("%s shows %q to %v, id %v, of %s", d.installation, c.Payload, c.Recipient, c.ID, c.Installation)
			}
		}
		for _, d := range bob {
			if m := messages(w.bag.all(), d)[n]; m.ID != receipt.ID {
				t.Errorf("%q has another id at %s", payload, d.installation)
			}
		}
	}
	w.close()
	for n, d := range alice {
		if got := len(these[rookery.SentElsewhere](w.bag.all(), d)); got != 2 {
			t.Errorf("device %d: %d copies, want 2", n, got)
		}
	}
	store := w.look()
	for _, kind := range []persistence.Kind{persistence.KindCopy, persistence.KindOutbox, persistence.KindInbox} {
		if n := count(t, store, kind); n != 0 {
			t.Errorf("%d records of kind %v are left", n, kind)
		}
	}
	w.open()
	if n := w.engine.Counts(); n.Copies != 0 {
		t.Errorf("%d copies were made again", n.Copies)
	}
}

// A note goes to our own other devices and to nobody else.
// Spec: 5.pairing.7
func TestNoteToSelf(t *testing.T) {
	w := newWorld(t, backends[1])
	alice := w.person(3)
	receipt := w.send(alice[0], alice[0].key, "milk, eggs")
	if len(receipt.Installations) != 2 || !receipt.ForwardSecrecy {
		t.Errorf("receipt %+v", receipt)
	}
	for _, d := range alice[1:] {
		c := awaitThese[rookery.SentElsewhere](w, 1, d)
		if string(c.Payload) != "milk, eggs" || c.ID != receipt.ID || c.Recipient != alice[0].key || c.Sender != alice[0].key {
			t.Errorf("%s shows %q to %v, id %v", d.installation, c.Payload, c.Recipient, c.ID)
		}
	}
	w.reopen()
	if n := len(these[rookery.SentElsewhere](w.bag.all(), alice[0])); n != 0 {
		t.Errorf("the device that wrote it shows %d", n)
	}
	if n := w.engine.Counts().Sent; n != 0 {
		t.Errorf("%d messages after a restart", n)
	}
}

// T33: a device that was not approved reads nothing of what we send, and one
// that was removed nothing further.
// Spec: draft.ghost-device.1 5.pairing.10
func TestGhostDeviceGetsNoCopies(t *testing.T) {
	store := lasting{memstore.New()}
	w := newWorld(t, on(store))
	alice, bob := w.person(2), w.person(1)[0]
	ghost, err := w.at(alice[0]).AddInstallation(w.context())
	if err != nil {
		t.Fatal(err)
	}
	haunts := device{alice[0].key, ghost.InstallationID()}
	w.introduceAll(alice, []device{haunts})
	w.introduceAll(alice, []device{bob})
	w.send(alice[0], bob.key, "one")
	awaitThese[rookery.SentElsewhere](w, 1, alice[1])
	if err := w.at(alice[0]).Disable(w.context(), alice[0].key, alice[1].installation); err != nil {
		t.Fatal(err)
	}
	w.send(alice[0], bob.key, "two")
	w.awaitMessages(2, bob)
	settle(t, store)
	if n := count(t, store, persistence.KindCopy); n != 0 {
		t.Errorf("%d copies wait for nobody", n)
	}
	_, err = w.at(alice[0]).Send(w.context(), alice[0].key, []byte("note"))
	wantError(t, err, cause.ErrNoTarget)
	for _, e := range w.air.history() {
		m, err := wire.Decode(e.Payload)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range m.Entries {
			if entry.Recipient == haunts.installation {
				t.Error("a part was encrypted for the ghost")
			}
		}
	}
	if n := len(these[rookery.SentElsewhere](w.bag.all(), alice[1])); n != 1 {
		t.Errorf("the device that was removed shows %d copies", n)
	}
}

// A device that cannot be reached costs its copy, and we are told.
func TestCopyThatNobodyCanBeGivenIsAnAlarm(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(2), w.person(1)[0]
	w.pass(16 * 24 * time.Hour) // nothing was heard of the other device meanwhile
	w.introduce(w.at(alice[0]), w.at(bob))
	w.send(alice[0], bob.key, "for bob")
	w.awaitMessages(1, bob)
	a := awaitThese[rookery.Alarm](w, 1, alice[0])
	wantError(t, a.Err, cause.ErrCopyLost)
	wantError(t, a.Err, cause.ErrStalePreKey)
	if a.Contact != alice[0].key {
		t.Errorf("about %v", a.Contact)
	}
	w.close()
	if n := count(t, w.look(), persistence.KindCopy); n != 0 {
		t.Errorf("%d copies are left", n)
	}
	w.open()
}

// T02: the process ends after a message is durable and before its copy is. The
// copy is made at the next start, though nobody sends anything.
func TestCopyLeftByACrashIsMadeAtTheNextStart(t *testing.T) {
	store := &journal{lasting: lasting{memstore.New()}}
	w := newWorld(t, on(store))
	alice, bob := w.person(2), w.person(1)[0]
	w.introduceAll(alice[:1], []device{bob})
	begin := store.moment()
	receipt := w.send(alice[0], bob.key, "for bob")
	awaitThese[rookery.SentElsewhere](w, 1, alice[1])
	w.close()
	crashes := 0
	for moment := begin; moment <= store.moment(); moment++ {
		image := store.image(t, moment)
		if count(t, image, persistence.KindCopy) == 0 {
			continue
		}
		crashes++
		again := newWorld(t, on(lasting{image}))
		eventually(t, "copy", func() bool {
			again.sweep()
			return len(these[rookery.SentElsewhere](again.bag.all(), alice[1])) == 1
		})
		if c := awaitThese[rookery.SentElsewhere](again, 1, alice[1]); c.ID != receipt.ID || c.Recipient != bob.key {
			t.Errorf("after change %d: a copy of %v, to %v", moment, c.ID, c.Recipient)
		}
		again.close()
		if n := count(t, image, persistence.KindCopy); n != 0 {
			t.Errorf("after change %d: %d copies are left", moment, n)
		}
	}
	if crashes == 0 {
		t.Fatal("no change left a copy to be made")
	}
}
