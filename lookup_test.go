package rookery_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence/memory"
)

// A transport that hands out what it has while it subscribes, and waits for it
// to be dealt with, does not stop the contact that is being looked up.
func TestLookUpDoesNotHoldUpTheContact(t *testing.T) {
	w := newWorld(t, on(lasting{memory.New()}))
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(bob), w.at(alice))
	w.awaitCodes(1, alice)
	w.pass(16 * 24 * time.Hour)
	w.close()
	w.configure = append(w.configure, func(o *rookery.Options) { o.Transport = impatient{w.air, w.air.everything()} })
	w.open()
	if _, err := w.at(bob).Send(w.context(), alice.key, []byte("hi")); err != nil && !errors.Is(err, cause.ErrNoTarget) {
		t.Errorf("send: %v", err)
	}
	if _, err := w.at(bob).Contact(w.context(), alice.key); err != nil {
		t.Errorf("contact: %v", err)
	}
}

// A contact code accepts nobody, and is no longer followed after a denial.
func TestContactCodeDoesNotUndoADenial(t *testing.T) {
	w, alice, bob, _ := strangers(t, rookery.Ask, true)
	if err := w.at(bob).Follow(alice.key); err != nil {
		t.Fatal(err)
	}
	w.awaitCodes(1, alice)
	awaitThese[rookery.InstallationDiscovered](w, 1, bob)
	if s := w.standing(bob, alice); s != deviceactor.Stranger {
		t.Errorf("by a contact code alice is %v", s)
	}
	if err := w.at(bob).Deny(w.context(), alice.key); err != nil {
		t.Fatal(err)
	}
	w.pass(7 * time.Hour)
	w.awaitCodes(2, alice)
	w.send(alice, bob.key, "back again")
	awaitThese[rookery.ContactRequest](w, 1, bob)
	if n := len(messages(w.bag.all(), bob)); n != 0 {
		t.Errorf("%d messages without a request", n)
	}
}
