package rookery_test

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
)

// onlyFences fails if a store has anything else.
func onlyFences(t *testing.T, store persistence.Store) {
	t.Helper()
	err := store.Scan(context.Background(), "", func(name persistence.Name, _ []byte) error {
		if name.Kind() != persistence.KindFence {
			t.Errorf("the store has %v", name)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// writes is a store of which each write can be looked at or refused.
type writes struct {
	lasting
	mu   sync.Mutex
	seen int64
	// refuse tells of the nth write whether it fails; nil: none does.
	refuse func(n int64) bool
	// after is called after each.
	after func()
}

func (w *writes) write(do func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen++; w.refuse != nil && w.refuse(w.seen) {
		return errBroken
	}
	err := do()
	if w.after != nil {
		w.after()
	}
	return err
}

func (w *writes) Apply(ctx context.Context, b persistence.Batch) error {
	return w.write(func() error { return w.lasting.Apply(ctx, b) })
}

func (w *writes) Own(ctx context.Context, owner persistence.OwnerID) (epoch uint64, err error) {
	err = w.write(func() error {
		epoch, err = w.lasting.Own(ctx, owner)
		return err
	})
	return epoch, err
}

// T02: a process that is killed leaves no private key behind that belongs to nobody.
func TestNewIdentityIsInTheStoreAsAWholeOrNotAtAll(t *testing.T) {
	store := &writes{lasting: lasting{memstore.New()}}
	store.after = func() {
		kinds := make(map[persistence.Kind]int)
		for _, kind := range []persistence.Kind{persistence.KindIdentity, persistence.KindPrekey, persistence.KindPublication} {
			kinds[kind] = count(t, store.lasting, kind)
		}
		if n := kinds[persistence.KindIdentity]; kinds[persistence.KindPrekey] != n || kinds[persistence.KindPublication] != n {
			t.Errorf("the store has %v", kinds)
		}
	}
	w := newWorld(t, on(store))
	d := w.person(3)
	w.reopen()
	for _, one := range d {
		if _, err := w.at(one).Bundle(w.context()); err != nil {
			t.Error(err)
		}
	}
}

// T03: a creation that fails at any of its writes leaves nothing, and can be tried again.
func TestFailedCreationLeavesNothing(t *testing.T) {
	for name, refuses := range map[string]func(n, at int64) bool{
		"once":             func(n, at int64) bool { return n == at },
		"from one time on": func(n, at int64) bool { return n >= at },
	} {
		t.Run(name, func(t *testing.T) {
			for at := int64(1); ; at++ {
				store := &writes{lasting: lasting{memstore.New()}}
				w := newWorld(t, on(store))
				store.mu.Lock()
				store.refuse = func(n int64) bool { return refuses(n, at) }
				store.mu.Unlock()
				n := rookery.NewIdentity{Key: bytes.Repeat([]byte{7}, 32), InstallationID: "here"}
				_, err := w.engine.CreateIdentity(w.context(), n)
				if err == nil && at > 2 {
					return // it does not write so often
				}
				wantError(t, err, errBroken)
				onlyFences(t, store)
				if all := w.engine.Identities(); len(all) != 0 {
					t.Errorf("%d identities are hosted", len(all))
				}
				store.mu.Lock()
				store.refuse = nil
				store.mu.Unlock()
				if _, err := w.engine.CreateIdentity(w.context(), n); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// Of an installation that another engine on the store has made nothing is deleted when
// it cannot be taken over, and nothing is forgotten when it can.
func TestCreationOfWhatAnotherEngineHostsTakesItOver(t *testing.T) {
	store := lasting{memstore.New()}
	var deaf atomic.Bool
	later := newWorld(t, on(store), func(o *rookery.Options) { o.Transport = perhapsDeaf{o.Transport.(*air), &deaf} })
	w := newWorld(t, on(store))
	alice, bob := w.person(1)[0], w.person(1)[0]
	n := rookery.NewIdentity{Key: bytes.Repeat([]byte{7}, 32), InstallationID: "here"}
	made, err := w.engine.CreateIdentity(w.context(), n)
	if err != nil {
		t.Fatal(err)
	}
	d := device{made.PublicKey(), made.InstallationID()}
	w.introduce(made, w.at(bob))
	w.air.setRule(func(transport.Envelope) verdict { return refuse })
	w.send(d, bob.key, "nobody takes this")
	w.flush(alice) // what is durable shows
	before := digestOf(t, store, whatContactsAreTo(t, d))

	deaf.Store(true)
	_, err = later.engine.CreateIdentity(later.context(), n)
	wantError(t, err, errNoListening)
	if digestOf(t, store, whatContactsAreTo(t, d)) != before {
		t.Error("records of another engine's identity have changed")
	}
	deaf.Store(false)
	if _, err := later.engine.CreateIdentity(later.context(), n); err != nil {
		t.Fatal(err)
	}
	if _, err := later.at(d).Contact(later.context(), bob.key); err != nil {
		t.Fatal(err)
	}
	later.sweepUntil("the message in the outbox", func() bool { return count(t, store, persistence.KindOutbox) == 0 })
}

// perhapsDeaf is a network on which nobody can listen while it is deaf.
type perhapsDeaf struct {
	*air
	deaf *atomic.Bool
}

func (n perhapsDeaf) Subscribe(topic transport.Topic, deliver transport.Deliver) (func(), error) {
	if n.deaf.Load() {
		return nil, errNoListening
	}
	return n.air.Subscribe(topic, deliver)
}

// endable is a store that refuses everything after its end, but for who looks.
type endable struct {
	lasting
	ended atomic.Bool
}

func (e *endable) Close() error {
	e.ended.Store(true)
	return nil
}

func (e *endable) Own(ctx context.Context, owner persistence.OwnerID) (uint64, error) {
	if e.ended.Load() {
		return 0, persistence.ErrClosed
	}
	return e.lasting.Own(ctx, owner)
}

func (e *endable) Apply(ctx context.Context, b persistence.Batch) error {
	if e.ended.Load() {
		return persistence.ErrClosed
	}
	return e.lasting.Apply(ctx, b)
}

// holding is a network that lets nobody listen before release.
type holding struct {
	*air
	reached, release chan struct{}
}

func (h holding) Subscribe(topic transport.Topic, deliver transport.Deliver) (func(), error) {
	h.reached <- struct{}{}
	<-h.release
	return h.air.Subscribe(topic, deliver)
}

// A creation that Close overtakes has an error, and leaves nothing: the store is there
// until it is over.
func TestCloseWaitsForACreation(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &endable{lasting: lasting{memstore.New()}}
		network := holding{newAir(), make(chan struct{}), make(chan struct{})}
		w := newWorld(t, on(store), func(o *rookery.Options) { o.Transport = network })
		w.pass(sinceBubbles)
		created, closed := make(chan error, 1), make(chan error, 1)
		engine, ctx := w.engine, w.context()
		go func() {
			_, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
			created <- err
		}()
		<-network.reached
		go func() { closed <- engine.Close(ctx) }()
		synctest.Wait()
		if store.ended.Load() {
			t.Error("the store is closed")
		}
		close(network.release)
		if err := <-closed; err != nil {
			t.Error(err)
		}
		wantError(t, <-created, rookery.ErrClosed)
		onlyFences(t, store)
	})
}
