package rookery_test

import (
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/keep"
	memstore "github.com/rookery-im/rookery/persistence/memory"
)

// What a call has done when it returns is there for an engine that finds the store as
// it is at that moment: the one before was not closed.
func TestWhatACallHasDoneOutlivesAKill(t *testing.T) {
	contact := func(w *world, alice, bob device) deviceactor.Contact {
		c, err := w.at(alice).Contact(w.context(), bob.key)
		if err != nil {
			w.t.Error(err)
		}
		return c
	}
	tests := []struct {
		name string
		call func(w *world, alice, bob device) error
		done func(w *world, alice, bob device) bool
	}{
		{
			"Keep",
			func(w *world, _, _ device) error {
				return w.engine.Keep(w.context(), keep.Record{Collection: "c", Name: "n", Value: []byte("x")})
			},
			func(w *world, _, _ device) bool { return w.kept("c")["n"] == "x" },
		},
		{
			"CreateIdentity",
			func(w *world, _, _ device) error {
				_, err := w.engine.CreateIdentity(w.context(), rookery.NewIdentity{Name: "carol"})
				return err
			},
			func(w *world, _, _ device) bool {
				for _, i := range w.engine.Identities() {
					if _, err := i.Bundle(w.context()); i.Name() == "carol" && err == nil {
						return true
					}
				}
				return false
			},
		},
		{
			"TakeBundle",
			func(w *world, alice, bob device) error {
				bundle, err := w.at(bob).Bundle(w.context())
				if err != nil {
					return err
				}
				return w.at(alice).TakeBundle(w.context(), bob.key, bundle)
			},
			func(w *world, alice, bob device) bool { return len(contact(w, alice, bob).Installations) == 1 },
		},
		{
			"AddContact",
			func(w *world, alice, bob device) error { return w.at(alice).AddContact(w.context(), bob.key) },
			func(w *world, alice, bob device) bool {
				return contact(w, alice, bob).Standing == deviceactor.Accepted
			},
		},
		{
			"Block",
			func(w *world, alice, bob device) error { return w.at(alice).Block(w.context(), bob.key) },
			func(w *world, alice, bob device) bool { return contact(w, alice, bob).Blocked },
		},
		{
			"Disable",
			func(w *world, alice, bob device) error {
				w.introduce(w.at(alice), w.at(bob))
				return w.at(alice).Disable(w.context(), bob.key, bob.installation)
			},
			func(w *world, alice, bob device) bool {
				c := contact(w, alice, bob)
				in, ok := c.Find(bob.installation)
				return ok && !in.Enabled
			},
		},
		{
			"Approve",
			func(w *world, alice, bob device) error {
				w.introduce(w.at(alice), w.at(bob))
				if err := w.at(alice).Disable(w.context(), bob.key, bob.installation); err != nil {
					return err
				}
				return w.at(alice).Approve(w.context(), bob.key, bob.installation)
			},
			func(w *world, alice, bob device) bool {
				c := contact(w, alice, bob)
				in, ok := c.Find(bob.installation)
				return ok && in.Enabled
			},
		},
		{
			"Accept",
			func(w *world, alice, bob device) error {
				w.send(bob, alice.key, "may I?")
				awaitThese[rookery.ContactRequest](w, 1, alice)
				return w.at(alice).Accept(w.context(), bob.key)
			},
			func(w *world, alice, bob device) bool {
				return contact(w, alice, bob).Standing == deviceactor.Accepted
			},
		},
		{
			"Deny",
			func(w *world, alice, bob device) error {
				w.send(bob, alice.key, "may I?")
				awaitThese[rookery.ContactRequest](w, 1, alice)
				settle(w.t, w.look()) // else bob publishes it again, which is a request again
				return w.at(alice).Deny(w.context(), bob.key)
			},
			func(w *world, alice, bob device) bool { return contact(w, alice, bob).FirstSeen == 0 },
		},
		{
			"Send",
			func(w *world, alice, bob device) error {
				w.introduce(w.at(alice), w.at(bob))
				w.air.refuseFrom(alice.key)
				_, err := w.at(alice).Send(w.context(), bob.key, []byte("hello"))
				w.air.setRule(nil)
				return err
			},
			func(w *world, _, bob device) bool {
				awaitThese[rookery.ContactRequest](w, 1, bob)
				return true
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, on(lasting{memstore.New()}), func(o *rookery.Options) { o.Requests = rookery.Ask })
			alice, bob := w.person(1)[0], w.person(1)[0]
			if err := test.call(w, alice, bob); err != nil {
				t.Fatal(err)
			}
			killed := w.engine
			w.open()
			if !test.done(w, alice, bob) {
				t.Error("it was not durable when the call returned")
			}
			if err := killed.Close(w.context()); err != nil {
				t.Error(err)
			}
		})
	}
}
