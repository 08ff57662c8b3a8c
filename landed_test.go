package rookery_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
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
	for range 3 { // the network goes on until it is taken
		w.air.Redeliver()
		w.sweep()
	}
	if n := len(messages(w.bag.all(), bob)); n != 1 {
		t.Fatalf("%d messages were reported while nothing could be made durable", n)
	}
	store.lies.Store(false)
	for range 3 {
		w.sweepUntil("a report", func() bool {
			w.air.Redeliver() // the network goes on, and repeats
			return len(messages(w.bag.all(), bob)) >= 2
		})
		w.air.deliver(notHeld(w.air))
		w.sweep()
	}
	w.send(alice[0], bob.key, "after")
	w.awaitMessages(3, bob)
	if n := len(messages(w.bag.all(), bob)); n != 3 {
		t.Errorf("%d messages were reported", n)
	}

	// A commit that fails takes those behind it along, which do not land.
	eventually(t, "an empty outbox", func() bool { return count(t, store, persistence.KindOutbox) == 0 })
	w.flush(alice[0])
	store.lies.Store(true)
	_, err := w.at(alice[0]).Send(w.context(), bob.key, []byte("with a copy"))
	wantError(t, err, cause.ErrNotDurable)
	store.lies.Store(false)
	w.sweepUntil("the copy, and the message itself", func() bool {
		w.air.Redeliver() // what was refused meanwhile
		return len(these[rookery.SentElsewhere](w.bag.all(), alice[1])) >= 4 && len(messages(w.bag.all(), bob)) >= 4
	})
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
		w.sweepUntil("the copy", func() bool {
			w.air.Redeliver()
			return len(these[rookery.SentElsewhere](w.bag.all(), alice[1])) >= 2
		})
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

// A look through the store tells what is lost to the handler, and nothing of what
// it knows or is about to be told: not even public messages, which nobody counts.
func TestLookAfterAFailureTellsNothingTwice(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &unsure{lasting: lasting{memstore.New()}}
		w := newWorld(t, on(store))
		w.pass(sinceBubbles)
		alice, bob := w.person(2), w.person(1)[0]
		w.introduceAll(alice, []device{bob})
		w.introduceAll([]device{bob}, alice)
		w.bag.keepAll()
		w.send(alice[0], bob.key, "before")
		awaitThese[rookery.SentElsewhere](w, 1, alice[1])
		w.join(chat, alice[1])
		w.sendPublic(alice[0], "in public")
		awaitThese[rookery.PublicMessage](w, 1, alice[1])
		store.lies.Store(true)
		_, err := w.at(bob).Send(w.context(), alice[0].key, []byte("x"))
		wantError(t, err, cause.ErrNotDurable)
		store.lies.Store(false)
		for range 3 {
			for _, e := range w.air.history() {
				if between(alice[0].key, alice[0].key)(e) {
					w.air.deliver([]transport.Envelope{e})
				}
			}
			synctest.Wait()
			w.sweep()
			synctest.Wait()
		}
		w.send(alice[0], bob.key, "after")
		awaitThese[rookery.SentElsewhere](w, 2, alice[1])
		w.sweep()
		w.close()
		copies, public := len(these[rookery.SentElsewhere](w.bag.all(), alice[1])), len(these[rookery.PublicMessage](w.bag.all(), alice[1]))
		if copies != 2 || public != 1 {
			t.Errorf("%d copies and %d public messages were reported", copies, public)
		}
	})
}

// A handler that panics at one of the messages that were found hears the others.
func TestPanicAtAFoundMessageCostsNoOther(t *testing.T) {
	store := &unsure{lasting: lasting{memstore.New()}}
	var armed atomic.Bool
	w := newWorld(t, on(store), func(o *rookery.Options) {
		handle := o.Handler
		o.Handler = func(e rookery.Event) {
			if _, ok := e.(rookery.Message); ok && armed.CompareAndSwap(true, false) {
				panic("bug")
			}
			handle(e)
		}
	})
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.introduce(w.at(bob), w.at(alice))
	w.send(alice, bob.key, "before")
	w.awaitMessages(1, bob)
	settle(t, store)
	w.bag.keepAll()
	w.air.setRule(holdIf(between(alice.key, bob.key)))
	w.send(alice, bob.key, "one")
	w.send(alice, bob.key, "two")
	eventually(t, "both on their way", func() bool { return w.air.holding() == 2 })
	w.air.setRule(nil)
	store.lies.Store(true)
	eventually(t, "both in the inbox", func() bool {
		w.air.release()
		w.air.Redeliver()
		return count(t, store, persistence.KindInbox) == 2
	})
	armed.Store(true)
	store.lies.Store(false)
	w.sweepUntil("the other one", func() bool {
		w.air.Redeliver()
		return len(messages(w.bag.all(), bob)) == 2 && !armed.Load()
	})
}
