package rookery_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
)

// T14: a handler that is slow with one identity holds up nobody else, not even
// that identity's own sending.
func TestSlowHandlerHoldsUpItsIdentityAlone(t *testing.T) {
	release := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	var slow atomic.Pointer[rookery.Identity]
	w := newWorld(t, backends[1], func(o *rookery.Options) {
		handle := o.Handler
		o.Handler = func(e rookery.Event) {
			if _, ok := e.(rookery.Message); ok && e.To() == slow.Load() {
				<-release
			}
			handle(e)
		}
	})
	defer letGo()
	alice, bob, carol := w.person(1)[0], w.person(1)[0], w.person(1)[0]
	slow.Store(w.at(bob))
	w.introduce(w.at(alice), w.at(bob))
	w.introduce(w.at(alice), w.at(carol))
	w.introduce(w.at(bob), w.at(carol))
	for range 5 {
		w.send(alice, bob.key, "for bob")
		w.send(alice, carol.key, "for carol")
	}
	w.send(bob, carol.key, "from bob")
	w.awaitMessages(6, carol)
	if n := len(messages(w.bag.all(), bob)); n != 0 {
		t.Fatalf("bob's handler has returned %d times", n)
	}
	letGo()
	w.awaitMessages(5, bob)
}

// However long the handler takes for one event, those that come meanwhile are reported
// behind it, as many as are let in, and what was acknowledged stays so.
func TestHandlerThatBlocksForLongLosesNothing(t *testing.T) {
	const waiting = 5000
	store := lasting{memstore.New()}
	earlier, entered, release := make(chan rookery.Message, 1), make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	var refused atomic.Int64
	w := newWorld(t, on(store), func(o *rookery.Options) {
		o.MaxUnhandled = 2 * waiting
		o.Handler = func(e rookery.Event) {
			switch e := e.(type) {
			case rookery.Message:
				if string(e.Payload) == "earlier" {
					earlier <- e
					return
				}
				close(entered)
				<-release
				e.Ack()
			case rookery.Refused:
				refused.Add(1)
			}
		}
	})
	defer letGo()
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.send(alice, bob.key, "earlier")
	m := <-earlier
	w.send(alice, bob.key, "takes long")
	<-entered
	reached := func() { // all that bob was told by now
		t.Helper()
		if _, err := w.at(bob).Contact(w.context(), alice.key); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3 {
		w.engine.Sweep(w.now().Add(time.Duration(n) * 6 * time.Minute))
		reached()
	}
	w.air.deliver(slices.Repeat([]transport.Envelope{envelopeTo(bob, alice.key, []byte{0xff})}, waiting))
	m.Ack()
	eventually(t, "all envelopes", func() bool { return w.engine.Counts().Refused == waiting })
	reached()
	letGo()
	eventually(t, "an empty inbox", func() bool { return count(t, store, persistence.KindInbox) == 0 })
	eventually(t, "the end of the work", func() bool { return !w.at(bob).Busy() })
	if n := refused.Load(); n != waiting {
		t.Errorf("%d of %d were reported", n, waiting)
	}
	w.asleep(bob)
}

// A handler that panics costs one event of one identity. Its message stays in
// the inbox and is reported again after a restart.
func TestHandlerThatPanicsCostsOneEvent(t *testing.T) {
	var armed atomic.Bool
	w := newWorld(t, backends[1], func(o *rookery.Options) {
		handle := o.Handler
		o.Handler = func(e rookery.Event) {
			if m, ok := e.(rookery.Message); ok && armed.Load() && string(m.Payload) == "poison" {
				panic("the application has a bug")
			}
			handle(e)
		}
	})
	alice, bob, carol := w.person(1)[0], w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.introduce(w.at(alice), w.at(carol))
	armed.Store(true)
	const rounds = 20
	poison := make(map[rookery.MessageID]bool)
	for range rounds {
		poison[w.send(alice, bob.key, "poison").ID] = true
		w.send(alice, bob.key, "good")
		w.send(alice, carol.key, "good")
	}
	w.awaitMessages(rounds, bob, carol)
	for _, m := range messages(w.bag.all(), bob) {
		if string(m.Payload) != "good" {
			t.Errorf("%q was handled", m.Payload)
		}
	}
	w.close()
	armed.Store(false)
	w.bag.empty()
	w.open()
	w.awaitMessages(rounds, bob)
	w.close()
	got := messages(w.bag.all(), bob)
	for _, m := range got {
		if string(m.Payload) != "poison" || !poison[m.ID] {
			t.Errorf("%q was reported again", m.Payload)
		}
	}
	if len(got) != rounds || len(messages(w.bag.all(), carol)) != 0 {
		t.Errorf("%d messages were reported again, want %d", len(got), rounds)
	}
}

// A panic while an acknowledgement is on its way to the store must not make the
// identity wait for it for ever.
func TestHandlerThatPanicsBehindAnAcknowledgementDoesNotBlockClose(t *testing.T) {
	store := newStalling()
	acked, panicked := make(chan func(), 1), make(chan struct{})
	w := newWorld(t, on(store), func(o *rookery.Options) {
		o.Handler = func(e rookery.Event) {
			switch e := e.(type) {
			case rookery.Message:
				open := store.shut()
				e.Ack()
				acked <- open
			case rookery.Refused:
				close(panicked)
				panic("the application has a bug")
			}
		}
	})
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.air.setRule(func(transport.Envelope) verdict { return hold })
	w.send(alice, bob.key, "hello")
	eventually(t, "empty outbox", func() bool { return count(t, store, persistence.KindOutbox) == 0 })
	w.air.release()
	open := <-acked
	defer open()
	<-store.waits // the acknowledgement is being written
	w.air.deliver([]transport.Envelope{envelopeTo(bob, alice.key, []byte{0xff})})
	<-panicked
	open()
	// Commits are settled in order: after this one the acknowledgement is.
	w.send(bob, alice.key, "still here")
	if err := w.engine.Close(w.context()); err != nil {
		t.Errorf("close: %v", err)
	}
}

// refusing is a store on a disk that takes no writes, for that reason, while it is full.
type refusing struct {
	lasting
	kind    error
	full    atomic.Bool
	refused atomic.Int64 // batches
}

func (r *refusing) Apply(ctx context.Context, batch persistence.Batch) error {
	if r.full.Load() {
		r.refused.Add(1)
		return &persistence.StoreError{Op: "apply", Path: "refusing", Kind: r.kind}
	}
	return r.lasting.Apply(ctx, batch)
}

// T04: an acknowledgement that a full disk holds up outlives a panic of the
// handler.
func TestHandlerThatPanicsOnAFullDiskKeepsAcknowledgements(t *testing.T) {
	for name, full := range unwritable {
		t.Run(name, func(t *testing.T) { panicOnAFullDisk(t, full.kind) })
	}
}

func panicOnAFullDisk(t *testing.T, kind error) {
	store := &refusing{lasting: lasting{memstore.New()}, kind: kind}
	ack, panicked := make(chan rookery.Message, 1), make(chan struct{})
	w := newWorld(t, on(store), func(o *rookery.Options) {
		o.Handler = func(e rookery.Event) {
			switch e := e.(type) {
			case rookery.Message:
				ack <- e
			case rookery.Refused:
				close(panicked)
				panic("the application has a bug")
			}
		}
	})
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.send(alice, bob.key, "hello")
	m := <-ack
	eventually(t, "empty outbox", func() bool { return count(t, store, persistence.KindOutbox) == 0 })
	store.full.Store(true)
	m.Ack()
	eventually(t, "refusal", func() bool { return store.refused.Load() > 0 })
	// Commits are settled in order: after this one the acknowledgement is.
	_, err := w.at(alice).Send(w.context(), bob.key, []byte("never"))
	wantError(t, err, kind)
	w.air.deliver([]transport.Envelope{envelopeTo(bob, alice.key, []byte{0xff})})
	<-panicked
	store.full.Store(false)
	eventually(t, "empty inbox", func() bool {
		w.sweep()
		return count(t, store, persistence.KindInbox) == 0
	})
}

// The handler may use the identity it was called for.
func TestHandlerMayAnswer(t *testing.T) {
	w := newWorld(t, backends[1], func(o *rookery.Options) {
		handle := o.Handler
		o.Handler = func(e rookery.Event) {
			if m, ok := e.(rookery.Message); ok && len(m.Payload) < 10 {
				if _, err := m.Identity.Send(context.Background(), m.Sender, append(m.Payload, '!')); err != nil {
					t.Errorf("answer: %v", err)
				}
			}
			handle(e)
		}
	})
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.send(alice, bob.key, "hello")
	w.awaitMessages(3, alice, bob)
	if m := messages(w.bag.all(), bob)[2]; string(m.Payload) != "hello!!!!" {
		t.Errorf("the last but one message is %q", m.Payload)
	}
}
