package rookery_test

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
)

// recordsOf counts what a store has of a hosted installation, but for its fence.
func recordsOf(t *testing.T, store persistence.Store, d device) (n int, kinds map[persistence.Kind]bool) {
	t.Helper()
	owner := persistence.NewOwnerID(d.key[:], d.installation)
	kinds = make(map[persistence.Kind]bool)
	err := store.Scan(t.Context(), "", func(name persistence.Name, _ []byte) error {
		if name.Kind() != persistence.KindFence && bytes.Contains([]byte(name), owner[:]) {
			n++
			kinds[name.Kind()] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n, kinds
}

func others(t *testing.T, store persistence.Store, but device) [32]byte {
	owner := persistence.NewOwnerID(but.key[:], but.installation)
	return digestOf(t, store, func(name persistence.Name) bool {
		return name.Kind() != persistence.KindHead && !bytes.Contains([]byte(name), owner[:])
	})
}

// Of a deleted identity the store has nothing left, whatever it had, and everybody
// else's records are to the byte what they were.
func TestDeletedIdentityLeavesNoRecord(t *testing.T) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			w := newWorld(t, b)
			alice, bob := w.person(2), w.person(1)[0]
			w.introduceAll(alice, []device{bob})
			w.introduce(w.at(bob), w.at(alice[0]))
			w.send(bob, alice[0].key, "to be deleted")
			w.awaitMessages(1, alice...)
			w.bag.keepAll()
			for range 3 {
				w.send(bob, alice[0].key, "unread")
			}
			w.awaitMessages(4, alice...)
			w.air.setRule(func(e transport.Envelope) verdict {
				if e.Sender == alice[0].key {
					return refuse
				}
				return pass
			})
			w.send(alice[0], bob.key, "waits for the network")
			stranger := w.person(1)[0]
			if err := w.at(alice[0]).Block(w.context(), stranger.key); err != nil {
				t.Fatal(err)
			}
			w.close()
			store := w.look()
			if _, kinds := recordsOf(t, store, alice[0]); len(kinds) < 7 {
				t.Fatalf("too little to delete: %v", kinds)
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			w.open()
			if err := w.engine.DeleteIdentity(w.context(), alice[0].key, alice[0].installation); err != nil {
				t.Fatal(err)
			}
			wantError(t, w.engine.DeleteIdentity(w.context(), alice[0].key, alice[0].installation), rookery.ErrNotHosted)
			w.close()
			store = w.look()
			if n, kinds := recordsOf(t, store, alice[0]); n != 0 {
				t.Errorf("%d records are left: %v", n, kinds)
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			w.bag.empty()
			w.open()
			if _, ok := w.engine.Identity(alice[0].key, alice[0].installation); ok || len(w.engine.Identities()) != 3 {
				t.Errorf("%d identities are hosted", len(w.engine.Identities()))
			}
			// The others go on, and the key may come back as another installation.
			w.air.setRule(nil)
			w.send(bob, alice[0].key, "to the other one")
			w.send(alice[1], bob.key, "from the other one")
			w.awaitMessages(4, alice[1]) // three were not acknowledged before
			w.awaitMessages(1, bob)
			if _, err := w.at(alice[1]).AddInstallation(w.context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDeletionTouchesNobodyElse(t *testing.T) {
	store := lasting{memstore.New()}
	w := newWorld(t, on(store))
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.send(alice, bob.key, "hello")
	w.awaitMessages(1, bob)
	w.reopen()
	before := others(t, store, alice)
	if err := w.engine.DeleteIdentity(w.context(), alice.key, alice.installation); err != nil {
		t.Fatal(err)
	}
	if others(t, store, alice) != before {
		t.Error("records of others have changed")
	}
	if n, _ := recordsOf(t, store, alice); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

func TestDeletedIdentityRefusesEverything(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.introduce(w.at(bob), w.at(alice))
	w.send(bob, alice.key, "hello")
	w.awaitMessages(1, alice)
	message := messages(w.bag.all(), alice)[0]
	i := w.at(alice)
	direct, err := i.Direct(bob.key)
	if err != nil {
		t.Fatal(err)
	}
	ctx := w.context()
	if _, err := direct.Encrypt(ctx, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := w.engine.DeleteIdentity(ctx, alice.key, alice.installation); err != nil {
		t.Fatal(err)
	}
	published := len(w.air.history())
	for name, call := range map[string]func() error{
		"send":         func() error { _, err := i.Send(ctx, bob.key, []byte("x")); return err },
		"direct":       func() error { _, err := direct.Encrypt(ctx, []byte("x")); return err },
		"another":      func() error { _, err := i.Direct(bob.key); return err },
		"bundle":       func() error { _, err := i.Bundle(ctx); return err },
		"contact code": func() error { _, err := i.ContactCode(ctx); return err },
		"contact":      func() error { _, err := i.Contact(ctx, bob.key); return err },
		"contacts": func() (err error) {
			for _, err = range i.Contacts(ctx) {
			}
			return err
		},
		"block":       func() error { return i.Block(ctx, bob.key) },
		"accept":      func() error { return i.Accept(ctx, bob.key) },
		"await":       func() error { return i.AwaitTaken(ctx, bob.key, message.ID) },
		"approve":     func() error { return i.Approve(ctx, bob.key, "x") },
		"join":        func() error { return i.Join("chat") },
		"send public": func() error { return i.SendPublic(ctx, "chat", []byte("x")) },
		"follow":      func() error { return i.Follow(bob.key) },
		"device":      func() error { _, err := i.AddInstallation(ctx); return err },
	} {
		if err := call(); !errors.Is(err, rookery.ErrDeleted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	message.Ack()
	w.sweep()
	if n := len(w.air.history()); n != published {
		t.Errorf("%d envelopes were published", n-published)
	}
	w.send(bob, alice.key, "into the void")
	if n := len(messages(w.bag.all(), alice)); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// moodyStore refuses batches while it is told to.
type moodyStore struct {
	lasting
	broken atomic.Bool
}

func (s *moodyStore) Apply(ctx context.Context, b persistence.Batch) error {
	if s.broken.Load() {
		return errBroken
	}
	return s.lasting.Apply(ctx, b)
}

// A deletion that the store refuses has not happened, and can be asked for again,
// before the next Open or after it.
func TestFailedDeletionIsNone(t *testing.T) {
	for _, reopened := range []bool{false, true} {
		store := &moodyStore{lasting: lasting{memstore.New()}}
		w := newWorld(t, on(store))
		alice, bob := w.person(1)[0], w.person(1)[0]
		w.introduce(w.at(alice), w.at(bob))
		w.send(alice, bob.key, "hello")
		w.awaitMessages(1, bob)
		settle(t, store)
		store.broken.Store(true)
		wantError(t, w.engine.DeleteIdentity(w.context(), alice.key, alice.installation), errBroken)
		store.broken.Store(false)
		if reopened {
			w.reopen()
			w.send(alice, bob.key, "still here")
			w.awaitMessages(2, bob)
		} else if _, err := w.at(alice).Send(w.context(), bob.key, []byte("x")); !errors.Is(err, rookery.ErrDeleted) {
			t.Errorf("got %v", err)
		}
		if err := w.engine.DeleteIdentity(w.context(), alice.key, alice.installation); err != nil {
			t.Fatal(err)
		}
		if n, _ := recordsOf(t, store, alice); n != 0 {
			t.Errorf("%d records are left", n)
		}
	}
}

// A handler that is at work is waited for, as long as its caller wants.
func TestDeletionWaitsForTheHandler(t *testing.T) {
	release := make(chan struct{})
	var at atomic.Pointer[rookery.Identity]
	w := newWorld(t, backends[1], func(o *rookery.Options) {
		handle := o.Handler
		o.Handler = func(e rookery.Event) {
			handle(e)
			if m, ok := e.(rookery.Message); ok {
				at.Store(m.Identity)
				<-release
			}
		}
	})
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(bob), w.at(alice))
	w.send(bob, alice.key, "hello")
	w.awaitMessages(1, alice)
	eventually(t, "the handler", func() bool { return at.Load() != nil })
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	wantError(t, w.engine.DeleteIdentity(short, alice.key, alice.installation), context.DeadlineExceeded)
	if _, ok := w.engine.Identity(alice.key, alice.installation); !ok {
		t.Error("it is gone already")
	}
	close(release)
	if err := w.engine.DeleteIdentity(w.context(), alice.key, alice.installation); err != nil {
		t.Error(err)
	}
}

// T16: an identity that is deleted in the middle of traffic takes nobody with it.
func TestDeletionUnderTraffic(t *testing.T) {
	store := lasting{memstore.New()}
	w := newWorld(t, on(store))
	bob := w.person(1)[0]
	for round := range 8 {
		alice := w.person(1)[0]
		i := w.at(alice)
		w.introduce(i, w.at(bob))
		w.introduce(w.at(bob), i)
		done := make(chan error, 2)
		for _, send := range []func() error{
			func() error { _, err := i.Send(w.context(), bob.key, []byte("out")); return err },
			func() error { _, err := w.at(bob).Send(w.context(), alice.key, []byte("in")); return err },
		} {
			go func() {
				for range 30 {
					if err := send(); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		time.Sleep(time.Duration(round) * time.Millisecond)
		if err := w.engine.DeleteIdentity(w.context(), alice.key, alice.installation); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-done; err != nil && !errors.Is(err, rookery.ErrDeleted) {
				t.Errorf("round %d: %v", round, err)
			}
		}
		if n, kinds := recordsOf(t, store, alice); n != 0 {
			t.Errorf("round %d: %d records are left: %v", round, n, kinds)
		}
	}
}

func TestNamesOfIdentities(t *testing.T) {
	w := newWorld(t, backends[0])
	for _, name := range []string{"", "Alice", "Zoë at work", "名前"} {
		i, err := w.engine.CreateIdentity(w.context(), rookery.NewIdentity{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		d := device{i.PublicKey(), i.InstallationID()}
		w.reopen()
		if got := w.at(d).Name(); got != name {
			t.Errorf("%q is now %q", name, got)
		}
	}
	for _, name := range []string{" x", "x\n", "a\x1b[2J", "\xff", "a\u202eb", string(make([]byte, rookery.MaxName+1))} {
		_, err := w.engine.CreateIdentity(w.context(), rookery.NewIdentity{Name: name})
		wantError(t, err, rookery.ErrName)
	}
}
