package rookery_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
)

// inLoops has an engine's events wait for loops.
func inLoops(o *rookery.Options) { o.Handler, o.Events = nil, true }

// nextMessage takes events until one is a message.
func nextMessage(t *testing.T, engine *rookery.Engine) rookery.Message {
	t.Helper()
	for e, err := range engine.Events(patient(t)) {
		if err != nil {
			t.Fatalf("no message comes: %v", err)
		}
		if m, ok := e.(rookery.Message); ok {
			return m
		}
	}
	t.Fatal("the loop has ended without an error")
	return rookery.Message{}
}

// A loop may be left at any time, and the next goes on where it was: each message
// comes once, in order.
func TestEventLoopGoesOnWhereTheLastWasLeft(t *testing.T) {
	store := lasting{memstore.New()}
	w := newWorld(t, on(store), inLoops)
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	const messages = 5
	for n := range messages {
		w.send(alice, bob.key, fmt.Sprint(n))
	}
	for n := range messages {
		m := nextMessage(t, w.engine)
		if m.To() != w.at(bob) || string(m.Payload) != fmt.Sprint(n) {
			t.Errorf("message %d is %q", n, m.Payload)
		}
		m.Ack()
	}
	eventually(t, "an empty inbox", func() bool { return count(t, store, persistence.KindInbox) == 0 })
}

// What a loop has not acknowledged is given again after the next Open, under the same
// id, and what it has is not.
func TestEventThatALoopHasNotAcknowledgedComesAgain(t *testing.T) {
	w := newWorld(t, backends[0], inLoops)
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	receipt := w.send(alice, bob.key, "hello")
	if m := nextMessage(t, w.engine); m.ID != receipt.ID {
		t.Errorf("message %v, sent was %v", m.ID, receipt.ID)
	}
	w.reopen()
	m := nextMessage(t, w.engine)
	if m.ID != receipt.ID || string(m.Payload) != "hello" {
		t.Errorf("again came %v", m)
	}
	m.Ack()
	w.reopen()
	after := w.send(alice, bob.key, "after it")
	if m := nextMessage(t, w.engine); m.ID != after.ID {
		t.Errorf("an acknowledged message came again: %v", m)
	}
}

// Several loops share the events, and each identity's come one after the other: a loop
// holds up the identity whose event it is at, and no other.
func TestEventLoopHoldsUpItsIdentityAlone(t *testing.T) {
	w := newWorld(t, backends[1], inLoops)
	alice, bob, carol := w.person(1)[0], w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.introduce(w.at(alice), w.at(carol))
	var atBob atomic.Int32
	var got sync.Map // payloads
	release := make(chan struct{})
	ctx, cancel := context.WithCancel(w.context())
	var loops sync.WaitGroup
	for range 3 {
		loops.Go(func() {
			for e, err := range w.engine.Events(ctx) {
				m, ok := e.(rookery.Message)
				switch {
				case err != nil && !errors.Is(err, context.Canceled):
					t.Errorf("a loop ended with %v", err)
				case !ok:
				case m.To() == w.at(bob):
					if atBob.Add(1) > 1 {
						t.Error("two loops are at bob's events at once")
					}
					<-release
					atBob.Add(-1)
					fallthrough
				default:
					got.Store(string(m.Payload), true)
					m.Ack()
				}
			}
		})
	}
	const each = 10
	have := func(who string) func() bool {
		return func() bool {
			for n := range each {
				if _, ok := got.Load(fmt.Sprint(who, n)); !ok {
					return false
				}
			}
			return true
		}
	}
	for n := range each {
		w.send(alice, bob.key, fmt.Sprint("bob", n))
		w.send(alice, carol.key, fmt.Sprint("carol", n))
	}
	eventually(t, "carol's messages", have("carol"))
	if _, ok := got.Load("bob0"); ok {
		t.Error("bob's first event is over before its loop was")
	}
	close(release)
	eventually(t, "bob's messages", have("bob"))
	cancel()
	loops.Wait()
}

// A loop gets an error as its last, which says why it ends.
func TestEventLoopEndsWithAnError(t *testing.T) {
	w := newWorld(t, backends[1], inLoops)
	last := func(ctx context.Context) error {
		for e, err := range w.engine.Events(ctx) {
			if err != nil || e == nil {
				return err
			}
		}
		return nil
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	wantError(t, last(ended), context.Canceled)
	soon, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	wantError(t, last(soon), context.DeadlineExceeded)
	waiting := make(chan error)
	go func() { waiting <- last(context.Background()) }()
	w.close()
	wantError(t, <-waiting, rookery.ErrClosed)
	wantError(t, last(context.Background()), rookery.ErrClosed)
}

func TestEventLoopWithoutTheOptionIsRefused(t *testing.T) {
	w := newWorld(t, backends[1])
	for _, err := range w.engine.Events(w.context()) {
		wantError(t, err, rookery.ErrOptions)
	}
	_, err := rookery.Open(w.context(), rookery.Options{
		Store: memstore.New(), Transport: w.air, Events: true, Handler: func(rookery.Event) {},
	})
	wantError(t, err, rookery.ErrOptions)
}

// A loop may close the engine while the events of others wait for it.
func TestEventLoopMayCloseTheEngine(t *testing.T) {
	w := newWorld(t, backends[1], inLoops)
	alice, bob, carol := w.person(1)[0], w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.introduce(w.at(alice), w.at(carol))
	for range 3 {
		w.send(alice, bob.key, "x")
		w.send(alice, carol.key, "x")
	}
	nextMessage(t, w.engine)
	var last error
	for _, last = range w.engine.Events(w.context()) {
		if err := w.engine.Close(w.context()); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, last, rookery.ErrClosed)
}

// A loop may delete the identity whose event it is at, and one whose event waits.
func TestEventLoopMayDeleteIdentities(t *testing.T) {
	w := newWorld(t, backends[1], inLoops)
	alice, bob, carol := w.person(1)[0], w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.introduce(w.at(alice), w.at(carol))
	for range 3 {
		w.send(alice, bob.key, "x")
		w.send(alice, carol.key, "x")
	}
	eventually(t, "all received", func() bool { return w.engine.Counts().Received == 6 })
	for e, err := range w.engine.Events(w.context()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := e.(rookery.Message); !ok {
			continue
		}
		for _, gone := range []device{bob, carol} {
			if err := w.engine.DeleteIdentity(w.context(), gone.key, gone.installation); err != nil {
				t.Fatal(err)
			}
		}
		break
	}
	if n := len(w.engine.Identities()); n != 1 {
		t.Errorf("%d identities are left", n)
	}
}

// An Unsent event is over when a loop has seen to it, and not when the engine closes
// or the loop panics before that.
func TestUnsentMessageWaitsForALoop(t *testing.T) {
	store := lasting{memstore.New()}
	w := newWorld(t, on(store), inLoops, func(o *rookery.Options) { o.KeepUnsent = time.Hour })
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.air.refuseFrom(alice.key)
	receipt := w.send(alice, bob.key, "never")
	w.pass(2 * time.Hour)
	unsent := func(see func()) {
		t.Helper()
		stop := w.sweeping()
		defer stop()
		for e, err := range w.engine.Events(w.context()) {
			if err != nil {
				t.Fatal(err)
			}
			if u, ok := e.(rookery.Unsent); ok {
				if u.ID != receipt.ID {
					t.Errorf("%v was reported, sent was %v", u.ID, receipt.ID)
				}
				see()
				break
			}
		}
	}
	unsent(w.close)
	w.open()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not come through")
			}
		}()
		unsent(func() { panic("as the test wants it") })
	}()
	w.close()
	if n := count(t, store, persistence.KindOutbox); n != 1 {
		t.Fatalf("%d in the outbox although no loop has seen to it", n)
	}
	w.open()
	unsent(func() {})
	eventually(t, "an empty outbox", func() bool { return count(t, store, persistence.KindOutbox) == 0 })
}

// sweeping sweeps now and then until it is stopped.
func (w *world) sweeping() (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	engine := w.engine
	go func() {
		defer close(ended)
		for {
			engine.Sweep(w.now())
			select {
			case <-time.After(20 * time.Millisecond):
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// What no loop takes is bounded: over it envelopes stay with the network.
func TestEventsThatNoLoopTakesAreBounded(t *testing.T) {
	const bound = 4
	w := newWorld(t, backends[1], inLoops, func(o *rookery.Options) { o.MaxUnhandled = bound })
	alice := w.person(1)[0]
	for range 3 * bound {
		w.air.deliver([]transport.Envelope{envelopeTo(alice, alice.key, []byte{0xff})})
	}
	looked := w.engine.Counts().Refused
	if looked > bound+2 { // the first over it, and the one that is at the door
		t.Fatalf("%d envelopes were looked at, with a bound of %d", looked, bound)
	}
	seen := uint64(0)
	for e, err := range w.engine.Events(w.context()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := e.(rookery.Refused); ok {
			seen++
		}
		if seen == looked {
			break
		}
	}
}
