package rookery_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
)

// unsure is a store that says of some batches that they failed although they are
// there: what a disk does that takes a write and refuses its sync.
type unsure struct {
	lasting
	lies atomic.Bool
}

func (u *unsure) Apply(ctx context.Context, batch persistence.Batch) error {
	err := u.lasting.Apply(ctx, batch)
	if err == nil && u.lies.Load() && len(batch.Records) > 0 {
		return &persistence.StoreError{Op: "apply", Path: "unsure", Kind: persistence.ErrFull}
	}
	return err
}

// T03, T04: a message whose commit failed and is in the store all the same is
// reported when the network delivers it again, and then not once more; a copy
// that was left that way is made.
func TestMessageThatLandedInAFailedCommitIsReportedOnce(t *testing.T) {
	store := &unsure{lasting: lasting{memstore.New()}}
	w := newWorld(t, on(store))
	alice, bob := w.person(2), w.person(1)[0]
	w.introduceAll(alice, []device{bob})
	w.introduceAll([]device{bob}, alice)
	w.send(alice[0], bob.key, "before")
	w.awaitMessages(1, bob)
	awaitThese[rookery.SentElsewhere](w, 1, alice[1])

	w.bag.keepAll()
	w.air.setRule(holdIf(between(alice[0].key, bob.key)))
	w.send(alice[0], bob.key, "landed")
	awaitThese[rookery.SentElsewhere](w, 2, alice[1])
	store.lies.Store(true)
	w.air.setRule(nil)
	refused := w.air.Counts().Refused
	w.air.release()
	eventually(t, "a refusal", func() bool { return w.air.Counts().Refused > refused })
	if n := len(messages(w.bag.all(), bob)); n != 1 {
		t.Fatalf("%d messages were reported before they were durable", n)
	}
	store.lies.Store(false)
	for range 3 { // the network goes on until it is taken, and repeats
		w.air.Redeliver()
		w.awaitMessages(2, bob)
		w.air.deliver(notHeld(w.air))
		w.sweep()
	}
	w.send(alice[0], bob.key, "after")
	w.awaitMessages(3, bob)
	if n := len(messages(w.bag.all(), bob)); n != 3 {
		t.Errorf("%d messages were reported", n)
	}

	store.lies.Store(true)
	_, err := w.at(alice[0]).Send(w.context(), bob.key, []byte("with a copy"))
	wantError(t, err, rookery.ErrNotDurable)
	store.lies.Store(false)
	eventually(t, "the copy", func() bool {
		w.air.Redeliver() // what was refused meanwhile
		w.sweep()
		return len(these[rookery.SentElsewhere](w.bag.all(), alice[1])) >= 4
	})
	w.awaitMessages(4, bob)
}

// T03, T04: the same for a copy of what another device of ours has sent, of which
// the network cannot tell the id.
func TestCopyThatLandedInAFailedCommitIsReportedOnce(t *testing.T) {
	store := &unsure{lasting: lasting{memstore.New()}}
	w := newWorld(t, on(store))
	alice, bob := w.person(2), w.person(1)[0]
	w.introduceAll(alice, []device{bob})
	w.introduceAll([]device{bob}, alice)
	w.send(alice[0], bob.key, "before")
	awaitThese[rookery.SentElsewhere](w, 1, alice[1])

	w.bag.keepAll()
	w.air.setRule(holdIf(between(alice[0].key, alice[0].key)))
	receipt := w.send(alice[0], bob.key, "landed")
	w.awaitMessages(2, bob)
	eventually(t, "the end of the copy's record", func() bool { return count(t, store, persistence.KindCopy) == 0 })
	store.lies.Store(true)
	refused := w.air.Counts().Refused
	eventually(t, "the copy on its way", func() bool { return w.air.release() > 0 })
	w.air.setRule(nil)
	eventually(t, "a refusal", func() bool { return w.air.Counts().Refused > refused })
	if n := len(these[rookery.SentElsewhere](w.bag.all(), alice[1])); n != 1 {
		t.Fatalf("%d copies were reported before they were durable", n)
	}
	store.lies.Store(false)
	for range 3 {
		w.air.Redeliver()
		if c := awaitThese[rookery.SentElsewhere](w, 2, alice[1]); c.ID != receipt.ID {
			t.Errorf("the copy has id %v, want %v", c.ID, receipt.ID)
		}
		w.air.deliver(notHeld(w.air))
		w.sweep()
	}
	w.send(alice[0], bob.key, "after")
	awaitThese[rookery.SentElsewhere](w, 3, alice[1])
	if n := len(these[rookery.SentElsewhere](w.bag.all(), alice[1])); n != 3 {
		t.Errorf("%d copies were reported", n)
	}
}
