package faults

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"filippo.io/age"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/x3dh"
)

// person is an identity of every scenario.
type person struct {
	secret []byte
	public rookery.PublicKey
}

func newPerson(fill byte) person {
	secret := bytes.Repeat([]byte{fill}, 32)
	key, err := x3dh.NewIdentity(secret)
	if err != nil {
		panic(err)
	}
	return person{secret, key.Public()}
}

var (
	alice  = newPerson(1)
	bob    = newPerson(2)
	alice1 = device{alice.public, "a11ce000-0000-4000-8000-000000000001"}
	alice2 = device{alice.public, "a11ce000-0000-4000-8000-000000000002"}
	bob1   = device{bob.public, "b0b00000-0000-4000-8000-000000000001"}
)

// scenario is a piece of two lives. Its steps can be done again from the start:
// what was done before is left out.
type scenario struct {
	name string
	// before is what has happened on the disk when the scenario begins: nothing,
	// or a conversation.
	before func(*world) error
	// keeps: what is reported is not acknowledged from the start.
	keeps bool
	// opening: the scenario opens the store itself, and closes it.
	opening bool
	run     func(*world) error
}

var scenarios = []scenario{
	{name: "open-new", before: nil, opening: true, run: settle},
	{name: "open-existing", before: leftOvers, opening: true, run: settle},
	{name: "send", before: settle, run: send},
	{name: "receive", before: settle, run: receive},
	{name: "ack", before: leftOvers, keeps: true, run: ack},
	{name: "prekey", before: settle, run: prekey},
	{name: "devices", before: settle, run: devices},
	{name: "rotate", before: settle, run: rotate},
	{name: "backup", before: settle, run: backup},
	{name: "direct", before: settle, run: direct},
}

// all does one after the other until one fails.
func all(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// settle makes the two and lets them talk until both have a session.
func settle(w *world) error {
	return all(
		func() error { return w.create(alice, alice1.installation) },
		func() error { return w.create(bob, bob1.installation) },
		func() error {
			return w.step("introduce", func() error {
				return errors.Join(w.introduce(alice1, bob1), w.introduce(bob1, alice1))
			})
		},
		func() error { return w.send(alice1, bob.public, "hello") },
		w.arrived,
		func() error { return w.send(bob1, alice.public, "hello yourself") },
		w.arrived,
	)
}

// leftOvers leaves three messages that nobody has acknowledged, one of them out
// of order so that there are skipped keys.
func leftOvers(w *world) error {
	if err := settle(w); err != nil {
		return err
	}
	w.keep.Store(true)
	w.air.hold()
	for n := range 3 {
		if err := w.send(alice1, bob.public, fmt.Sprint("left over ", n)); err != nil {
			return err
		}
	}
	if err := w.out(); err != nil {
		return err
	}
	w.air.release()
	return w.arrived()
}

// out waits until everything that has a receipt was published.
func (w *world) out() error {
	return w.until("publications", func(p past) bool { return !p.unpublished() })
}

// send is both ways, several before the other side has read any.
func send(w *world) error {
	w.air.hold()
	for n := range 2 {
		if err := w.send(alice1, bob.public, fmt.Sprint("a ", n)); err != nil {
			return err
		}
		if err := w.send(bob1, alice.public, fmt.Sprint("b ", n)); err != nil {
			return err
		}
	}
	if err := w.out(); err != nil {
		return err
	}
	w.air.release()
	return all(w.arrived, func() error { return w.send(alice1, bob.public, "a last") }, w.arrived)
}

// receive is what comes out of order, and is not acknowledged.
func receive(w *world) error {
	w.keep.Store(true)
	w.air.hold()
	for n := range 4 {
		if err := w.send(alice1, bob.public, fmt.Sprint("out of order ", n)); err != nil {
			return err
		}
	}
	if err := w.out(); err != nil {
		return err
	}
	w.air.release()
	return all(w.arrived, func() error { return w.send(bob1, alice.public, "got all") }, w.arrived)
}

// ack is the end of what was left over. Of a disk that fails it may not hear: then
// it is reported once more after the next start.
func ack(w *world) error {
	err := w.until("reports of what was left over", func(p past) bool {
		return len(p.delivered)-w.begun >= len(w.waiting)
	})
	if err != nil {
		return err
	}
	w.readAll()
	return all(
		func() error {
			return w.until("ends of what was left over", func(p past) bool { return w.struck() || p.ends(w.waiting) })
		},
		func() error { return w.send(bob1, alice.public, "read them") },
		w.arrived,
	)
}

// prekey is the day after: both have new prekeys, and sessions made from them.
func prekey(w *world) error {
	w.ahead(25 * time.Hour)
	return all(
		func() error { return w.introduce(alice1, bob1) },
		func() error { return w.send(alice1, bob.public, "on a new prekey") },
		w.arrived,
		func() error { return w.introduce(bob1, alice1) },
		func() error { return w.send(bob1, alice.public, "on another") },
		w.arrived,
	)
}

// devices is a second device of alice that is approved, gets copies and writes,
// and is disabled.
func devices(w *world) error {
	return all(
		func() error { return w.create(alice, alice2.installation) },
		func() error { return w.introduce(alice1, alice2) },
		func() error { return w.introduce(alice2, alice1) },
		func() error { return w.enable(alice1, alice2, true) },
		func() error { return w.enable(alice2, alice1, true) },
		func() error { return w.introduce(alice2, bob1) },
		func() error { return w.introduce(bob1, alice1) },
		func() error { return w.send(alice1, bob.public, "from the first device") },
		w.arrived,
		func() error { return w.send(alice2, bob.public, "from the second") },
		w.arrived,
		func() error { return w.send(bob1, alice.public, "to both") },
		w.arrived,
		w.copiesArrived, // from then on they are refused
		func() error { return w.enable(alice1, alice2, false) },
		func() error { return w.send(alice1, bob.public, "without copies") },
		w.arrived,
	)
}

// enable approves or disables a device for another of its identity, once.
func (w *world) enable(at, which device, enabled bool) error {
	return w.step(enabling(at, which, enabled), func() error {
		ctx, cancel := w.limited()
		defer cancel()
		i, err := w.at(at)
		if err != nil {
			return err
		}
		// It may be durable although nobody hears of it.
		w.ledger.note(func(p *past) { p.tried = append(p.tried, enabling(at, which, enabled)) })
		if enabled {
			return i.Approve(ctx, which.key, which.installation)
		}
		return i.Disable(ctx, which.key, which.installation)
	})
}

func enabling(at, which device, enabled bool) string {
	return fmt.Sprintf("%s enables %s: %t", at.installation, which.installation, enabled)
}

// rotate ends an epoch of the store in the middle of a conversation.
func rotate(w *world) error {
	return all(
		func() error { return w.send(alice1, bob.public, "before the rotation") },
		w.arrived,
		w.newEpoch,
		func() error { return w.send(bob1, alice.public, "after the rotation") },
		w.arrived,
	)
}

// backup is one that is made while messages come and go.
func backup(w *world) error {
	recipient, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	if err := w.send(alice1, bob.public, "before the backup"); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		ctx, cancel := w.limited()
		defer cancel()
		var out bytes.Buffer
		_, err := w.engine.Backup(ctx, &out, recipient.Recipient())
		if err == nil && out.Len() == 0 {
			err = errors.New("the backup is empty")
		}
		done <- err
	}()
	err = w.send(bob1, alice.public, "during the backup")
	return all(
		func() error { return errors.Join(err, <-done) },
		w.arrived,
		func() error { return w.send(alice1, bob.public, "after the backup") },
		w.arrived,
	)
}

// direct is what is encrypted without waiting for the disk: enough for several
// blocks, with answers in between.
func direct(w *world) error {
	for n := range 12 {
		if err := w.carry(alice1, bob.public, fmt.Sprint("carried ", n)); err != nil {
			return err
		}
		if n%5 == 4 {
			err := all(w.arrived, func() error { return w.send(bob1, alice.public, fmt.Sprint("answer ", n)) }, w.arrived)
			if err != nil {
				return err
			}
		}
	}
	return all(w.arrived, func() error { return w.send(alice1, bob.public, "not carried") }, w.arrived)
}
