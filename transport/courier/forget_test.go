package courier_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier/memory"
	"github.com/rookery-im/rookery/transport/courier"
)

// records are what the store has of topics: their keys, how far they were read, and
// the parts of messages on them.
func (h *house) records() []persistence.Name {
	h.t.Helper()
	names := make(map[persistence.Name]bool)
	for _, kind := range []persistence.Kind{persistence.KindListening, persistence.KindTopicKey, persistence.KindSegment} {
		err := h.store.Scan(h.t.Context(), persistence.NewName(kind), func(name persistence.Name, _ []byte) error {
			names[name] = true
			return nil
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// mentions tells whether a record of the store names an identity in any form.
func (h *house) mentions(p *person) bool {
	h.t.Helper()
	forms := [][]byte{p.public[:], p.public[1:], []byte(hex.EncodeToString(p.public[1:]))}
	found := false
	err := h.store.Scan(h.t.Context(), "", func(name persistence.Name, value []byte) error {
		for _, form := range forms {
			found = found || bytes.Contains([]byte(name), form) || bytes.Contains(value, form)
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return found
}

// guest lives in a house with all that one listens to, until it leaves.
func (h *house) guest(p *person, topics ...transport.Topic) (leave func()) {
	h.t.Helper()
	left, err := h.courier.Host(&p.key)
	if err != nil {
		h.t.Fatal(err)
	}
	cancels := []func(){h.listen(p, transport.PersonalTopic(p.public)), h.listen(p, transport.ContactCodeTopic(p.public))}
	for _, topic := range topics {
		cancels = append(cancels, h.listen(p, topic))
	}
	return func() {
		for _, cancel := range cancels {
			cancel()
		}
		left()
	}
}

// Of an identity that was forgotten the store has nothing: no key of a topic, no
// place in the history, no part of a message; also what it followed alone is gone.
// What others have stays to the record.
func TestForgottenIdentityLeavesNoRecord(t *testing.T) {
	for name, restarted := range map[string]bool{"at once": false, "after a restart": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := memory.New(memory.Options{Seed: 2})
				there := newHouse(t, network)
				here, far := newHouse(t, network), newHouse(t, network, func(o *courier.Options) { o.SegmentSize = 1000 })
				alice, bob, carol := newPerson(t, "alice"), newPerson(t, "bob"), newPerson(t, "carol")
				both := []transport.Topic{transport.ContactCodeTopic(bob.public), transport.PublicTopic("room")}
				there.live(bob)
				far.live(bob)
				here.guest(carol, both...)
				here.write(carol, bob, "of carol")
				there.writeAgreed(bob, carol, "to carol")
				settle()
				before := here.records()

				leave := here.guest(alice, append(both, transport.PublicTopic("of alice"), transport.ContactCodeTopic(carol.public))...)
				here.write(alice, bob, "of alice")
				here.write(alice, carol, "to a neighbour")
				there.writeAgreed(bob, alice, "to alice")
				here.publish(transport.Envelope{Topic: transport.PublicTopic("never joined"), Sender: alice.public, Payload: []byte("x")})
				settle()
				network.SetFaults(memory.Faults{Loss: 0.5})
				far.writeAgreed(bob, alice, strings.Repeat("0123456789", 1000)) // half of it comes
				settle()
				if n := here.count(persistence.KindSegment); n == 0 || !here.mentions(alice) || len(here.records()) < len(before)+8 {
					t.Fatalf("too little to forget: %d segments, %d records", n, len(here.records())-len(before))
				}
				if err := here.courier.Forget(t.Context(), alice.public); err != nil {
					t.Fatal(err)
				}
				settle()
				if !here.mentions(alice) {
					t.Error("forgotten although it lives here")
				}
				leave()
				if restarted {
					here.crash()
					here.open()
					here.guest(carol, both...)
					settle()
				}
				if err := here.courier.Forget(t.Context(), alice.public); err != nil {
					t.Fatal(err)
				}
				// What carol has with alice is carol's.
				ofCarol := func() []persistence.Name {
					return slices.DeleteFunc(here.records(), func(name persistence.Name) bool { return !slices.Contains(before, name) })
				}
				if got := ofCarol(); !slices.Equal(got, before) {
					t.Errorf("%d of the %d records of another one are left", len(got), len(before))
				}
				check := func(when string) {
					t.Helper()
					if got := here.records(); !slices.Equal(got, before) || here.mentions(alice) {
						t.Errorf("%s: %d records, want %d; alice is mentioned: %v", when, len(got), len(before), here.mentions(alice))
						for _, name := range got {
							if !slices.Contains(before, name) {
								t.Logf("left: %v", name)
							}
						}
					}
				}
				check("at once")
				time.Sleep(10 * time.Minute) // what was under way comes to its end
				check("later")
				here.close()
				check("at the end")
			})
		})
	}
}

// A topic key is stored while its topic is listened to, and not of topics that are
// only published on: nobody would ever delete it.
func TestKeysOfTopicsThatNobodyListensToAreNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here := newHouse(t, memory.New(memory.Options{Seed: 2}), func(o *courier.Options) { o.MaxNegotiated = 2 })
		alice := newPerson(t, "alice")
		here.live(alice)
		here.publish(transport.Envelope{Topic: transport.PublicTopic("chat"), Sender: alice.public, Payload: []byte("x")})
		settle()
		if n := here.count(persistence.KindTopicKey); n != 0 {
			t.Errorf("%d keys", n)
		}
		cancel := here.listen(alice, transport.PublicTopic("chat"))
		for _, name := range []string{"b", "c", "d", "e"} { // two of them lose their topics again
			here.writeAgreed(alice, newPerson(t, name), "x")
			settle()
		}
		here.publish(transport.Envelope{Topic: transport.PublicTopic("chat"), Sender: alice.public, Payload: []byte("x")})
		settle()
		if n := here.count(persistence.KindTopicKey); n != 2 {
			t.Errorf("%d keys of two negotiated topics", n)
		}
		cancel()
	})
}

// A store that does not take the deletion is no deletion; it can be asked for again.
func TestForgettingWaitsForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		moody := &moody{}
		here := newHouse(t, memory.New(memory.Options{Seed: 2}))
		moody.Store, here.store = here.store, moody
		here.close()
		here.open()
		alice := newPerson(t, "alice")
		leave := here.guest(alice)
		here.write(alice, newPerson(t, "bob"), "x")
		settle()
		leave()
		moody.broken.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := here.courier.Forget(ctx, alice.public); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		moody.broken.Store(false)
		if err := here.courier.Forget(t.Context(), alice.public); err != nil {
			t.Error(err)
		}
		if n := len(here.records()); n != 0 || here.mentions(alice) {
			t.Errorf("%d records", n)
		}
		here.close()
		if err := newHouse(t, memory.New(memory.Options{})).closedForget(alice); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

func (h *house) closedForget(p *person) error {
	c := h.courier
	h.close()
	return c.Forget(h.t.Context(), p.public)
}

// moody is a store that takes nothing while it is broken.
type moody struct {
	persistence.Store
	broken atomic.Bool
}

func (m *moody) Apply(ctx context.Context, b persistence.Batch) error {
	if m.broken.Load() {
		return errScripted
	}
	return m.Store.Apply(ctx, b)
}
