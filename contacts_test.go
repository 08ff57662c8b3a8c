package rookery_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/transport"
)

func (w *world) contactsOf(d device) []deviceactor.Contact {
	w.t.Helper()
	var all []deviceactor.Contact
	for c, err := range w.at(d).Contacts(w.context()) {
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

func TestContactsAreAllOfThemInOrder(t *testing.T) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			w := newWorld(t, b, func(o *rookery.Options) { o.Requests = rookery.Ask })
			alice := w.person(2)
			bob, carol, dave := w.person(1)[0], w.person(1)[0], w.person(1)[0]
			if got := w.contactsOf(alice[0]); len(got) != 0 {
				t.Errorf("our own identity is a contact: %+v", got)
			}
			w.introduce(w.at(alice[0]), w.at(bob))
			w.introduce(w.at(carol), w.at(alice[0]))
			w.send(carol, alice[0].key, "hello")
			awaitThese[rookery.ContactRequest](w, 1, alice[0])
			if err := w.at(alice[0]).Block(w.context(), dave.key); err != nil {
				t.Fatal(err)
			}
			got := w.contactsOf(alice[0])
			if len(got) != 3 || !slices.IsSortedFunc(got, func(a, b deviceactor.Contact) int { return slices.Compare(a.Identity[:], b.Identity[:]) }) {
				t.Fatalf("got %+v", got)
			}
			for _, c := range got {
				want := map[rookery.PublicKey]deviceactor.Standing{bob.key: deviceactor.Accepted, carol.key: deviceactor.Requested, dave.key: deviceactor.Stranger}[c.Identity]
				if c.Standing != want || c.Blocked != (c.Identity == dave.key) || (len(c.Installations) == 1) == c.Blocked {
					t.Errorf("%+v", c)
				}
			}
			for c, err := range w.at(alice[0]).Contacts(w.context()) {
				if err != nil || c.Identity != got[0].Identity {
					t.Errorf("the first is %v, %v", c.Identity, err)
				}
				break
			}
			if err := w.at(alice[0]).Deny(w.context(), bob.key); err != nil {
				t.Fatal(err)
			}
			if n := len(w.contactsOf(alice[0])); n != 2 {
				t.Errorf("%d contacts", n)
			}
		})
	}
}

func TestContactsEndWithTheirContext(t *testing.T) {
	w := newWorld(t, backends[1])
	alice := w.person(1)[0]
	over, cancel := context.WithCancel(t.Context())
	cancel()
	n := 0
	for _, err := range w.at(alice).Contacts(over) {
		n++
		wantError(t, err, context.Canceled)
	}
	if n != 1 {
		t.Errorf("%d turns", n)
	}
}

// T18: nothing of a blocked contact gets through, nothing is answered, and after a
// restart it is still so.
//
// Spec: draft.blocking.1
func TestBlockedContactIsRefusedUntilUnblocked(t *testing.T) {
	w := newWorld(t, backends[0])
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.introduce(w.at(bob), w.at(alice))
	w.send(alice, bob.key, "hello")
	w.awaitMessages(1, bob)
	if err := w.at(bob).Follow(alice.key); err != nil {
		t.Fatal(err)
	}
	if err := w.at(bob).Block(w.context(), alice.key); err != nil {
		t.Fatal(err)
	}
	for n, restart := range []bool{false, true} {
		if restart {
			w.reopen()
		}
		published := len(w.air.history())
		w.send(alice, bob.key, "hello?")
		wantError(t, awaitThese[rookery.Refused](w, n+1, bob).Err, cause.ErrBlocked)
		if n := len(w.air.history()); n != published+1 {
			t.Errorf("%d envelopes for one message", n-published)
		}
		_, err := w.at(bob).Send(w.context(), alice.key, []byte("x"))
		wantError(t, err, cause.ErrBlocked)
		wantError(t, w.at(bob).Deny(w.context(), alice.key), cause.ErrBlocked)
		wantError(t, w.at(bob).AddContact(w.context(), alice.key), cause.ErrBlocked)
		bundle, err := w.at(alice).Bundle(w.context())
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, w.at(bob).TakeBundle(w.context(), alice.key, bundle), cause.ErrBlocked)
	}
	if err := w.at(bob).Unblock(w.context(), alice.key); err != nil {
		t.Fatal(err)
	}
	w.send(alice, bob.key, "there you are")
	w.awaitMessages(2, bob)
	w.send(bob, alice.key, "yes")
	w.awaitMessages(1, alice)
	wantError(t, w.at(bob).Block(w.context(), bob.key), cause.ErrOwnIdentity)
}

// Somebody added by key alone is no stranger, and his contact code is found.
func TestAddedContactIsFollowed(t *testing.T) {
	w := newWorld(t, backends[1], func(o *rookery.Options) { o.Requests = rookery.Ask })
	alice, bob := w.person(1)[0], w.person(1)[0]
	if err := w.at(alice).AddContact(w.context(), bob.key); err != nil {
		t.Fatal(err)
	}
	wantError(t, w.at(alice).AddContact(w.context(), alice.key), cause.ErrOwnIdentity)
	wantError(t, w.at(alice).AddContact(w.context(), rookery.PublicKey{5}), rookery.ErrPublicKey)
	if err := w.at(bob).PublishContactCode(w.context(), func(error) {}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "bob's bundle", func() bool {
		c, err := w.at(alice).Contact(w.context(), bob.key)
		return err == nil && len(c.Installations) == 1
	})
	w.introduce(w.at(bob), w.at(alice))
	w.send(bob, alice.key, "hello")
	w.awaitMessages(1, alice)
	if n := len(these[rookery.ContactRequest](w.bag.all(), alice)); n != 0 {
		t.Error("it is a request")
	}
}

// The sender waits until the network has the message, also over a time in which the
// contact is not in memory.
func TestAwaitTakenWaitsForTheNetwork(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, backends[1])
		w.pass(sinceBubbles)
		alice, bob := w.person(1)[0], w.person(1)[0]
		w.introduce(w.at(alice), w.at(bob))
		first := w.send(alice, bob.key, "at once")
		if err := w.at(alice).AwaitTaken(w.context(), bob.key, first.ID); err != nil {
			t.Fatal(err)
		}
		w.air.setRule(func(transport.Envelope) verdict { return refuse })
		second := w.send(alice, bob.key, "later")
		short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		wantError(t, w.at(alice).AwaitTaken(short, bob.key, second.ID), context.DeadlineExceeded)
		w.reopen()
		taken := make(chan error, 1)
		from, ctx := w.at(alice), w.context()
		go func() { taken <- from.AwaitTaken(ctx, bob.key, second.ID) }()
		for range 3 {
			w.pass(10 * time.Minute) // contacts leave memory
			w.sweep()
			synctest.Wait()
		}
		if len(taken) != 0 {
			t.Fatalf("taken by nobody: %v", <-taken)
		}
		w.air.setRule(nil)
		w.sweepUntil("the network", func() bool { return len(taken) == 1 })
		if err := <-taken; err != nil {
			t.Error(err)
		}
	})
}
