package deviceactor

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/actors"
)

// T40: once a device is known, nothing is sent without forward secrecy.
// Spec: 5.dh-header.1 5.dr-header.1 5.payload.1 5.payload.3 draft.contact-request.2
// Spec: draft.contact-request.5
func TestDHOnlyIsForUnknownContactsAlone(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	receipt, err := alice.trySend(bob, "request")
	if err != nil || receipt.ForwardSecrecy || fmt.Sprint(receipt.Installations) != "[none]" {
		t.Fatalf("receipt %+v, %v", receipt, err)
	}
	alice.settle(bob)
	bob.receive(alice, alice.line.take()[0])
	if m := bob.events[len(bob.events)-1].(MessageReceived); m.ForwardSecrecy || string(m.Payload) != "request" {
		t.Errorf("received %+v", m)
	}
	// The request brought Alice's bundle, the answer brings Bob's.
	alice.receive(bob, bob.send(alice, "answer"))
	if m := alice.send(bob, "now secret"); m.Entries[0].Part.DR == nil || m.Entries[0].Part.DH != nil {
		t.Error("sent without forward secrecy to a known device")
	}
	_, err = ask(t, alice.contact(bob.key.Public()), func(r actors.Reply[struct{}]) any { return SetEnabled{Reply: r, Installation: "bob"} })
	if err != nil {
		t.Fatal(err)
	}
	before := alice.disk.hash(t)
	if _, err := alice.trySend(bob, "to nobody"); !errors.Is(err, ErrNoTarget) {
		t.Errorf("got %v", err)
	}
	alice.settle(bob)
	if alice.disk.hash(t) != before || len(alice.line.take()) != 0 {
		t.Error("a refused message left something")
	}
}

// Finding 11 of the reference: another identity may have our installation id.
// Spec: 5.peer.1
func TestContactWithOurInstallationIDIsATarget(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.hostDevice(w.newKey("alice"), "same-id"), w.hostDevice(w.newKey("bob"), "same-id")
	talk(alice, bob)
	known := alice.known(bob)
	if in, ok := known.Find("same-id"); !ok || !in.Enabled {
		t.Errorf("bob's device is %+v", in)
	}
}

// Spec: 5.pairing.5 draft.ghost-device.1
func TestOwnOtherDeviceIsSentToOnceApproved(t *testing.T) {
	w := newWorld(t)
	phone := w.host("phone")
	laptop := w.hostDevice(phone.key, "laptop")
	if _, err := phone.trySend(laptop, "to myself"); !errors.Is(err, ErrNoTarget) {
		t.Fatalf("nobody is known: %v", err)
	}
	phone.meets(laptop, phone) // its own bundle too
	if c := phone.known(laptop); len(c.Installations) != 1 || c.Installations[0].Enabled {
		t.Fatalf("installations %+v", c.Installations)
	}
	if e, ok := phone.events[0].(InstallationDiscovered); !ok || e.Enabled || e.Installation != "laptop" {
		t.Errorf("event %+v", phone.events[0])
	}
	if _, err := phone.trySend(laptop, "to myself"); !errors.Is(err, ErrNoTarget) {
		t.Fatalf("before the approval: %v", err)
	}
	_, err := ask(t, phone.contact(phone.key.Public()), func(r actors.Reply[struct{}]) any { return SetEnabled{Reply: r, Installation: "laptop", Enabled: true} })
	if err != nil {
		t.Fatal(err)
	}
	if told := phone.devices[len(phone.devices)-1]; len(told.Installations) != 1 || !told.Installations[0].Enabled {
		t.Errorf("told of %+v", phone.devices)
	}
	laptop.meets(phone)
	if err := laptop.enable(phone, "phone", true); err != nil {
		t.Fatal(err)
	}
	m := phone.send(laptop, "to myself")
	laptop.receive(phone, m)
	if err := phone.tryReceive(phone, m); !errors.Is(err, ErrOwnEcho) {
		t.Errorf("our own message: %v", err)
	}
}

// Spec: 5.paired-group.2
func TestMessageGoesToTheMostRecentlyActiveDevices(t *testing.T) {
	w := newWorld(t)
	alice := w.host("alice")
	devices := []*node{w.host("bob-0")}
	for i := 1; i < 5; i++ {
		devices = append(devices, w.hostDevice(devices[0].key, fmt.Sprint("bob-", i)))
	}
	for i, d := range devices {
		w.now.Store(noon + int64(i))
		alice.meets(d)
	}
	for i, step := range []struct{ speaks, want string }{
		{"", "[bob-0 bob-1 bob-2]"}, // known longest
		{"bob-4", "[bob-0 bob-1 bob-4]"},
		{"bob-3", "[bob-0 bob-3 bob-4]"},
		{"bob-1", "[bob-1 bob-3 bob-4]"},
		{"bob-0", "[bob-0 bob-1 bob-3]"},
		{"bob-0", "[bob-0 bob-1 bob-3]"},
	} {
		w.now.Store(noon + int64(10+i))
		for _, d := range devices {
			if d.name == step.speaks {
				d.meets(alice)
				alice.receive(d, d.send(alice, "I am here"))
			}
		}
		receipt, err := alice.trySend(devices[0], "x")
		if err != nil || fmt.Sprint(receipt.Installations) != step.want {
			t.Errorf("after %q spoke: sent to %v, %v, want %s", step.speaks, receipt.Installations, err, step.want)
		}
	}
}
