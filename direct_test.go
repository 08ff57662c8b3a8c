package rookery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
)

// direct prepares direct sending; it is closed with the test.
func (w *world) direct(from device, to rookery.PublicKey) *rookery.Direct {
	w.t.Helper()
	d, err := w.at(from).Direct(to)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(d.Close)
	return d
}

func (w *world) encrypt(d *rookery.Direct, payload string) rookery.DirectMessage {
	w.t.Helper()
	m, err := d.Encrypt(w.context(), []byte(payload))
	if err != nil {
		w.t.Fatalf("encrypt %q: %v", payload, err)
	}
	return m
}

// carry publishes a message as who made it does.
func (w *world) carry(from device, to rookery.PublicKey, m rookery.DirectMessage) {
	w.air.Publish(transport.Envelope{Topic: transport.PersonalTopic(to), Sender: from.key, Payload: m.Message}, func(error) {})
}

// blockOf sets how many numbers are reserved at a time.
func blockOf(n int) func(*rookery.Options) {
	return func(o *rookery.Options) { o.DirectBlock = n }
}

// settle waits until a contact has heard what it was told before.
func (w *world) settle(at device, contact rookery.PublicKey) {
	w.t.Helper()
	if _, err := w.at(at).Contact(w.context(), contact); err != nil {
		w.t.Fatal(err)
	}
}

// headerFor is the ratchet header of the part for one installation.
func headerFor(t *testing.T, m rookery.DirectMessage, to device) *wire.DRHeader {
	t.Helper()
	decoded, err := wire.Decode(m.Message)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range decoded.Entries {
		if e.Recipient == to.installation {
			return e.Part.DR
		}
	}
	t.Fatalf("nothing for %s", to.installation)
	return nil
}

// What is made directly arrives at all installations of the contact under the id
// that its maker was told, several blocks long, in any order, before and after
// answers.
func TestDirectMessagesArriveUnderTheirID(t *testing.T) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			w := newWorld(t, b, blockOf(4))
			alice, bob := w.person(1)[0], w.person(2)
			w.introduceAll([]device{alice}, bob)
			d := w.direct(alice, bob[0].key)
			var sent []note
			var made []rookery.DirectMessage
			for n := range 23 {
				m := w.encrypt(d, fmt.Sprint("message ", n))
				if len(m.Installations) != 2 || len(m.Failed) != 0 || m.NoCopy {
					t.Fatalf("for %v, not for %v, no copy %v", m.Installations, m.Failed, m.NoCopy)
				}
				made = append(made, m)
				sent = append(sent, note{alice, bob[0], m.ID, fmt.Sprint("message ", n)})
				if n == 11 {
					for i := len(made) - 1; i >= 0; i-- {
						w.carry(alice, bob[0].key, made[i])
					}
					made = nil
					w.awaitMessages(12, bob...)
					w.send(bob[0], alice.key, "an answer")
					w.awaitMessages(1, alice)
				}
			}
			for _, m := range made {
				w.carry(alice, bob[0].key, m)
			}
			for _, n := range sent {
				for _, at := range bob {
					w.awaitDelivery(n, at, nil)
				}
			}
			w.send(alice, bob[0].key, "and one by the outbox")
			w.awaitMessages(24, bob...)
		})
	}
}

// Many goroutines share one Direct: all messages differ, and all arrive.
func TestDirectIsSafeForConcurrentUse(t *testing.T) {
	const workers, each = 8, 40
	w := newWorld(t, backends[1], blockOf(16))
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduceAll([]device{alice}, []device{bob})
	d := w.direct(alice, bob.key)
	var all sync.WaitGroup
	for n := range workers {
		all.Go(func() {
			for i := range each {
				m, err := d.Encrypt(w.context(), fmt.Appendf(nil, "%d of %d", i, n))
				if err != nil {
					t.Error(err)
					return
				}
				w.carry(alice, bob.key, m)
			}
		})
	}
	all.Wait()
	w.awaitMessages(workers*each, bob)
}

// What a message rests on is followed with the next one: who is sent to, the
// session, our bundle, the standing of the contact.
func TestDirectFollowsWhatChanges(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(w *world, alice []device, bob []device)
		want   func(w *world, to device, before, after rookery.DirectMessage) error
	}{
		{"an installation is disabled", func(w *world, alice, bob []device) {
			if err := w.at(alice[0]).Disable(w.context(), bob[0].key, bob[1].installation); err != nil {
				w.t.Fatal(err)
			}
		}, func(_ *world, _ device, _, after rookery.DirectMessage) error {
			if len(after.Installations) != 1 {
				return fmt.Errorf("goes to %v", after.Installations)
			}
			return nil
		}},
		{"a prekey of the contact is replaced", func(w *world, alice, bob []device) {
			w.pass(30 * time.Hour)
			w.introduce(w.at(alice[0]), w.at(bob[0]))
		}, func(w *world, to device, before, after rookery.DirectMessage) error {
			if bytes.Equal(headerFor(w.t, before, to).RatchetKey, headerFor(w.t, after, to).RatchetKey) {
				return errors.New("goes on in the old session")
			}
			return nil
		}},
		{"our bundle is out of date", func(w *world, _, _ []device) {
			w.pass(30 * time.Hour)
		}, func(_ *world, _ device, before, after rookery.DirectMessage) error {
			a, _ := wire.Decode(before.Message)
			b, _ := wire.Decode(after.Message)
			if a.Bundles[0].Timestamp >= b.Bundles[0].Timestamp {
				return errors.New("has the old bundle")
			}
			return nil
		}},
		{"a device of ours is approved", func(w *world, alice, bob []device) {
			second, err := w.at(alice[0]).AddInstallation(w.context())
			if err != nil {
				w.t.Fatal(err)
			}
			w.introduce(w.at(alice[0]), second)
			if err := w.at(alice[0]).Approve(w.context(), alice[0].key, second.InstallationID()); err != nil {
				w.t.Fatal(err)
			}
			w.settle(alice[0], bob[0].key)
		}, func(_ *world, _ device, before, after rookery.DirectMessage) error {
			if before.NoCopy || !after.NoCopy {
				return fmt.Errorf("no copy: %v, then %v", before.NoCopy, after.NoCopy)
			}
			return nil
		}},
		{"the contact leaves memory", func(w *world, alice, bob []device) {
			for n := range 5 { // upkeep may wake it in between
				w.engine.Sweep(w.now().Add(time.Duration(n) * 6 * time.Minute))
				w.settle(alice[0], alice[0].key) // at most one sweep waits
			}
			w.settle(alice[0], bob[0].key)
		}, func(w *world, to device, _, after rookery.DirectMessage) error {
			if n := headerFor(w.t, after, to).N; n != 16 {
				return fmt.Errorf("has number %d", n)
			}
			return nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, backends[1])
			alice, bob := w.person(1), w.person(2)
			w.introduceAll(alice, bob)
			d := w.direct(alice[0], bob[0].key)
			before := w.encrypt(d, "before")
			test.change(w, alice, bob)
			after := w.encrypt(d, "after")
			if err := test.want(w, bob[0], before, after); err != nil {
				t.Error(err)
			}
			w.carry(alice[0], bob[0].key, after)
			w.carry(alice[0], bob[0].key, before)
			w.awaitMessages(2, bob[0])
		})
	}
}

// Nothing is sent directly to somebody of whom nothing is known or any more.
func TestDirectNeedsAnInstallation(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	_, err := w.direct(alice, bob.key).Encrypt(w.context(), []byte("x"))
	wantError(t, err, cause.ErrNoTarget)
	w.introduceAll([]device{alice}, []device{bob})
	d := w.direct(alice, bob.key)
	w.encrypt(d, "x")
	if err := w.at(alice).Deny(w.context(), bob.key); err != nil {
		t.Fatal(err)
	}
	_, err = d.Encrypt(w.context(), []byte("y"))
	wantError(t, err, cause.ErrNoTarget)
	w.introduceAll([]device{alice}, []device{bob})
	w.carry(alice, bob.key, w.encrypt(d, "z"))
	w.awaitMessages(1, bob)
}

// A note to ourselves goes to our other installations.
func TestDirectToOurselvesIsANote(t *testing.T) {
	w := newWorld(t, backends[1])
	alone, alice := w.person(1)[0], w.person(2)
	_, err := w.direct(alone, alone.key).Encrypt(w.context(), []byte("x"))
	wantError(t, err, cause.ErrNoTarget)
	m := w.encrypt(w.direct(alice[0], alice[0].key), "note")
	if m.NoCopy {
		t.Error("the note says that it is not copied")
	}
	w.carry(alice[0], alice[0].key, m)
	got := awaitThese[rookery.SentElsewhere](w, 1, alice[1])
	if string(got.Payload) != "note" || got.ID != m.ID {
		t.Errorf("got %q", got.Payload)
	}
}

// Nothing is reserved, and so nothing skipped, for who never sends: else a peer
// would find more missing than it lets a sender skip.
func TestUnusedDirectSkipsNothing(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduceAll([]device{alice}, []device{bob})
	w.send(alice, bob.key, "one")
	for range 70 {
		w.direct(alice, bob.key).Close()
	}
	w.send(alice, bob.key, "two")
	w.awaitMessages(2, bob)
}

func TestDirectRefusals(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduceAll([]device{alice}, []device{bob})
	d := w.direct(alice, bob.key)
	for _, payload := range [][]byte{nil, make([]byte, rookery.MaxPayload+1)} {
		_, err := d.Encrypt(w.context(), payload)
		wantError(t, err, rookery.ErrPayloadSize)
	}
	if got := fmt.Sprintf("%+v %x", d, d); !bytes.HasPrefix([]byte(got), []byte("direct sending of")) {
		t.Error(got)
	}
	d.Close()
	d.Close()
	_, err := d.Encrypt(w.context(), []byte("x"))
	wantError(t, err, rookery.ErrClosed)
	ended, cancel := context.WithCancel(w.context())
	cancel()
	open := w.direct(alice, bob.key)
	_, err = open.Encrypt(ended, []byte("x"))
	wantError(t, err, context.Canceled)
	w.close()
	_, err = open.Encrypt(w.context(), []byte("x"))
	wantError(t, err, rookery.ErrClosed)
	for _, size := range []int{-1, 251} {
		w.configure = append(w.configure, blockOf(size))
		w.open()
		_, err = w.at(alice).Direct(bob.key)
		wantError(t, err, rookery.ErrOptions)
		w.close()
	}
	w.open() // for the end of the test
}
