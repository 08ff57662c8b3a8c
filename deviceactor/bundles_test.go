package deviceactor

import (
	"errors"
	"testing"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// script is a bundle actor that answers when it is told to.
type script struct {
	asked chan any
}

func (s *script) Tell(m any) { s.asked <- m }

// next is what was asked.
func (s *script) next(t *testing.T) any {
	t.Helper()
	return wait(t, s.asked)
}

// Our bundle changes while a contact waits for it: what the contact gets is good
// for those who asked, and not for the next message.
func TestBundleThatChangedMeanwhileIsAskedForAgain(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	old := alice.ownBundle()
	asked := &script{make(chan any, 10)}
	alice.bundle = asked
	alice.meets(bob)
	contact := alice.contact(bob.key.Public())
	answers := make(chan error, 10)
	send := func() {
		contact.Tell(Send{Payload: []byte("x"), Reply: actors.ReplyFunc(func(_ Receipt, err error) { answers <- err })})
	}
	answer := func(p bundleactor.Published, err error) {
		m := asked.next(t).(bundleactor.GetBundle)
		if err != nil {
			m.Fail(err)
			return
		}
		m.Send(p)
	}
	send()
	contact.Tell(ForgetBundle{})
	answer(bundleactor.Published{Bundle: old, Until: noon + 1000}, nil)
	if err := wait(t, answers); err != nil {
		t.Fatal(err)
	}
	send()
	fresh := alice.ownBundle()
	answer(bundleactor.Published{Bundle: fresh, Until: noon + 1000}, nil)
	if err := wait(t, answers); err != nil {
		t.Fatal(err)
	}
	send() // it is kept now
	if err := wait(t, answers); err != nil {
		t.Fatal(err)
	}
	contact.Tell(ForgetBundle{})
	send()
	send()
	answer(bundleactor.Published{}, errDisk)
	for range 2 {
		if err := wait(t, answers); !errors.Is(err, errDisk) {
			t.Errorf("without a bundle: %v", err)
		}
	}
	if len(asked.asked) != 0 {
		t.Error("asked more often than needed")
	}
}

// T29: bundles of others, and of other identities, are taken from nobody.
// Spec: 54.pairing.1
func TestForeignBundleIsNotTaken(t *testing.T) {
	w := newWorld(t)
	alice, bob, mallory := w.host("alice"), w.host("bob"), w.host("mallory")
	talk(alice, bob)
	before := bob.disk.hash(t)
	if err := bob.tryTake(alice, mallory.ownBundle()); !errors.Is(err, x3dh.ErrBundleIdentity) {
		t.Errorf("got %v", err)
	}
	forged := alice.ownBundle()
	forged.PreKeys = mallory.ownBundle().PreKeys
	if err := bob.tryTake(alice, forged); !errors.Is(err, x3dh.ErrBundleSignature) {
		t.Errorf("got %v", err)
	}
	// In a message they are passed over.
	bob.receive(alice, &wire.Message{InstallationID: "alice", Bundles: []wire.Bundle{mallory.ownBundle()}})
	if bob.disk.hash(t) != before {
		t.Error("the store has changed")
	}
	m := alice.send(bob, "x")
	m.Bundles = append([]wire.Bundle{mallory.ownBundle()}, m.Bundles...)
	bob.receive(alice, m)
	if c := bob.known(alice); len(c.Installations) != 1 || c.Installations[0].ID != "alice" {
		t.Errorf("installations %+v", c.Installations)
	}
}

// A peer whose clock is wrong is still read; what it signed is not kept.
func TestBundleThatCannotBeBelievedIsPassedOver(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	known := bob.known(alice).Installations[0].Entry
	ahead := alice.ownBundle()
	ahead.Timestamp += int64(48 * time.Hour)
	if err := x3dh.SignBundle(alice.key, &ahead); err != nil {
		t.Fatal(err)
	}
	m := alice.send(bob, "from the day after tomorrow")
	m.Bundles = []wire.Bundle{ahead}
	bob.receive(alice, m)
	if got := bob.received(); got[len(got)-1] != "from the day after tomorrow" {
		t.Errorf("received %v", got)
	}
	if got := bob.known(alice).Installations[0].Entry; got != known {
		t.Errorf("took %+v", got)
	}
	refusals{t, bob, alice}.check("nothing but the bundle", &wire.Message{InstallationID: "alice", Bundles: []wire.Bundle{ahead}}, x3dh.ErrBundleTimestamp)
}

// Spec: 5.prekeys.4 5.contact-request.2 5.partitioned-devices.2
func TestBundleOfAnEmptyMessageIsTaken(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	bob.receive(alice, &wire.Message{InstallationID: "alice", Bundles: []wire.Bundle{alice.ownBundle()}})
	if m := bob.send(alice, "x"); m.Entries[0].Part.X3DH == nil {
		t.Error("not sent to the device that the bundle names")
	}
}

// A bundle may be lost on the way. The device that spoke is then answered on the
// session it started, and never without forward secrecy.
// Spec: draft.ghost-device.2
func TestDeviceWithoutABundleIsAnsweredOnItsSession(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	m := alice.send(bob, "x")
	bundles := m.Bundles
	m.Bundles = nil
	bob.receive(alice, m)
	discovered := false
	for _, e := range bob.events {
		if e, ok := e.(InstallationDiscovered); ok && e.Installation == "alice" && e.Enabled {
			discovered = true
		}
	}
	if !discovered {
		t.Error("the device was not reported")
	}
	bob.restart(alice.key.Public())
	answer := bob.send(alice, "answer")
	if p := answer.Entries[0].Part; p.DR == nil || p.X3DH != nil || p.DH != nil {
		t.Fatalf("answered with %+v", p)
	}
	alice.receive(bob, answer)
	bob.receive(alice, &wire.Message{InstallationID: "alice", Bundles: bundles})
	alice.receive(bob, bob.send(alice, "with the bundle"))
}
