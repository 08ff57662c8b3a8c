package rookery_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
)

// stalling is a store whose writes wait while it is shut.
type stalling struct {
	lasting

	mu    sync.Mutex
	gate  chan struct{} // nil: open
	waits chan struct{} // one for each write that has come to the shut gate
}

func newStalling() *stalling {
	return &stalling{lasting: lasting{memstore.New()}, waits: make(chan struct{}, 1000)}
}

func (s *stalling) Apply(ctx context.Context, batch persistence.Batch) error {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		s.waits <- struct{}{}
		<-gate
	}
	return s.lasting.Apply(ctx, batch)
}

// shut gives what opens the store again; calling it twice does nothing.
func (s *stalling) shut() (open func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.gate = gate
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.gate = nil
		close(gate)
	})
}

// T13: over the bound a sender is refused at once, and what was accepted is
// sent.
func TestOverloadIsRefusedAndNothingAcceptedIsLost(t *testing.T) {
	const bound, attempts = 4, 64
	tests := []struct {
		name      string
		configure func(*rookery.Options)
		other     error // of a send to somebody else meanwhile
	}{
		{"per contact", func(o *rookery.Options) { o.MaxInFlightPerContact = bound }, context.DeadlineExceeded},
		{"in all", func(o *rookery.Options) { o.MaxInFlight = bound }, cause.ErrOverloaded},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := newStalling()
			w := newWorld(t, on(store), test.configure)
			alice, bob, carol := w.person(1)[0], w.person(1)[0], w.person(1)[0]
			w.introduce(w.at(alice), w.at(bob))
			open := store.shut()
			defer open()
			type outcome struct {
				payload string
				receipt rookery.Receipt
				err     error
			}
			outcomes := make(chan outcome, attempts)
			for n := range attempts {
				go func() {
					payload := fmt.Sprint("message ", n)
					receipt, err := w.at(alice).Send(w.context(), bob.key, []byte(payload))
					outcomes <- outcome{payload, receipt, err}
				}()
			}
			for range attempts - bound {
				if o := <-outcomes; !errors.Is(o.err, cause.ErrOverloaded) {
					t.Errorf("%s: %v", o.payload, o.err)
				}
			}
			short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			_, err := w.at(alice).Send(short, carol.key, []byte("x"))
			wantError(t, err, test.other)
			open()
			for range bound {
				o := <-outcomes
				if o.err != nil {
					t.Errorf("%s: %v", o.payload, o.err)
				}
				w.awaitDelivery(note{id: o.receipt.ID, payload: o.payload}, bob, nil)
			}
			eventually(t, "room", func() bool {
				_, err := w.at(alice).Send(w.context(), bob.key, []byte("room again"))
				return err == nil
			})
		})
	}
}

// dice are randomness that waits while it is locked.
type dice struct {
	sync.RWMutex
	waiting atomic.Int64
}

func (d *dice) Read(b []byte) (int, error) {
	d.waiting.Add(1)
	defer d.waiting.Add(-1)
	d.RLock()
	defer d.RUnlock()
	return rand.Read(b)
}

func (d *dice) shut() (open func()) {
	d.Lock()
	return sync.OnceFunc(d.Unlock)
}

// The bound is on messages under way, not on callers who wait for them; and the
// payload is the caller's again when Send returns.
func TestSenderThatStopsWaitingLeavesItsPlaceTaken(t *testing.T) {
	store, random := newStalling(), &dice{}
	for name, stall := range map[string]struct {
		shut    func() (open func())
		stalled func() bool
	}{
		"before it is encrypted": {random.shut, func() bool { return random.waiting.Load() > 0 }},
		"before it is durable":   {store.shut, func() bool { return len(store.waits) > 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, on(store), func(o *rookery.Options) { o.MaxInFlightPerContact, o.Random = 1, random })
			stopWaiting(t, w, stall.shut, stall.stalled)
		})
	}
}

func stopWaiting(t *testing.T, w *world, shut func() (open func()), stalled func() bool) {
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	eventually(t, "two keys made ahead", func() bool { return w.keysReady() == 2 }) // nobody else waits for randomness
	open := shut()
	defer open()
	waits, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		for !stalled() && waits.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		stop() // only now: what was never told takes no place
	}()
	payload := []byte("sent all the same")
	_, err := w.at(alice).Send(waits, bob.key, payload)
	wantError(t, err, context.Canceled)
	clear(payload) // it is the caller's again
	_, err = w.at(alice).Send(w.context(), bob.key, []byte("one too many"))
	wantError(t, err, cause.ErrOverloaded)
	open()
	w.awaitMessages(1, bob)
	if m := messages(w.bag.all(), bob)[0]; string(m.Payload) != "sent all the same" {
		t.Errorf("%q was received", m.Payload)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for range 3 { // what was never told takes no place
		_, err = w.at(alice).Send(ended, bob.key, []byte("x"))
		wantError(t, err, context.Canceled)
	}
	eventually(t, "room", func() bool {
		_, err := w.at(alice).Send(w.context(), bob.key, []byte("room again"))
		return err == nil
	})
}

// T13: what a receiver has no room for stays with the network.
func TestReceiverWithoutRoomLeavesEnvelopesToTheNetwork(t *testing.T) {
	const sent, bound = 40, 4
	type stalling struct {
		name      string
		configure func(*rookery.Options)
		stall     func() (resume func())
		// decrypts: what there is room for is decrypted although it is not
		// handled, and only then it counts.
		decrypts bool
	}
	handler := func(name string, bounded func(*rookery.Options)) stalling {
		release := make(chan struct{})
		letGo := sync.OnceFunc(func() { close(release) })
		return stalling{name, func(o *rookery.Options) {
			bounded(o)
			handle := o.Handler
			o.Handler = func(e rookery.Event) {
				<-release
				handle(e)
			}
		}, func() func() { return letGo }, true}
	}
	store := newStalling()
	tests := []stalling{
		{"the store stalls", func(o *rookery.Options) { o.MaxInFlightPerContact = bound }, store.shut, false},
		handler("the handler stalls", func(o *rookery.Options) { o.MaxUnhandled = bound }),
		handler("the handler stalls before large payloads", func(o *rookery.Options) { o.MaxUnhandledBytes = bound * int64(len("message 1")) }),
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sender := newWorld(t, backends[1])
			// The network is the sender's; the receiver is another engine on it.
			receiver := newWorld(t, on(store), test.configure, func(o *rookery.Options) { o.Transport = sender.air })
			alice, bob := sender.person(1)[0], receiver.person(1)[0]
			sender.introduce(sender.at(alice), receiver.at(bob))
			resume := test.stall()
			defer resume()
			for n := range sent {
				sender.send(alice, bob.key, fmt.Sprint("message ", n))
				if test.decrypts {
					eventually(t, "fate of the envelope", func() bool {
						return receiver.engine.Counts().Received+sender.air.Counts().Refused > uint64(n)
					})
				}
			}
			if n := sender.air.Counts().Refused; n == 0 {
				t.Error("the network was left with nothing")
			}
			resume()
			eventually(t, "all messages", func() bool {
				sender.air.Redeliver()
				return len(messages(receiver.bag.all(), bob)) == sent
			})
			seen := make(map[string]bool)
			for _, m := range messages(receiver.bag.all(), bob) {
				seen[string(m.Payload)] = true
			}
			if len(seen) != sent {
				t.Errorf("%d different messages of %d", len(seen), sent)
			}
			if r := refusals(receiver.bag.all()); len(r) != 0 {
				t.Errorf("refused: %v", r[0].Err)
			}
		})
	}
}

// broken is a store whose writes fail while it is broken.
type broken struct {
	lasting

	mu  sync.Mutex
	err error
}

func (b *broken) Apply(ctx context.Context, batch persistence.Batch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	return b.lasting.Apply(ctx, batch)
}

func (b *broken) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

// T03: while the store fails nothing is sent and nothing received; afterwards
// all goes on, and no message key is used twice.
func TestFailingStoreSendsNothingAndReceivesNothing(t *testing.T) {
	disk := errors.New("the disk is on fire")
	store := &broken{lasting: lasting{memstore.New()}}
	w := newWorld(t, on(store))
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.send(alice, bob.key, "before")
	w.awaitMessages(1, bob)
	w.air.setRule(func(transport.Envelope) verdict { return hold })
	w.send(alice, bob.key, "while it fails")
	settle(t, store)
	before, published := digest(t, store), len(w.air.history())
	store.set(disk)
	for range 3 {
		_, err := w.at(alice).Send(w.context(), bob.key, []byte("never"))
		if !errors.Is(err, cause.ErrNotDurable) || !errors.Is(err, disk) {
			t.Errorf("send: %v", err)
		}
	}
	w.air.release()
	eventually(t, "refusal", func() bool { return w.air.Counts().Refused == 1 })
	_, err := w.engine.CreateIdentity(w.context(), rookery.NewIdentity{})
	wantError(t, err, disk)
	if n := len(w.air.history()); n != published {
		t.Errorf("%d envelopes were published", n-published)
	}
	store.set(nil)
	w.air.setRule(nil)
	eventually(t, "receiving again", func() bool {
		w.air.Redeliver()
		return len(messages(w.bag.all(), bob)) >= 2
	})
	w.send(alice, bob.key, "after")
	w.send(bob, alice.key, "after, too")
	w.awaitMessages(3, bob)
	w.awaitMessages(1, alice)
	if digest(t, store) == before {
		t.Error("the store still does not write")
	}
	if n := len(w.engine.Identities()); n != 2 {
		t.Errorf("%d identities are hosted", n)
	}
}
