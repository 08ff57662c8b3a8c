package deviceactor

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// T40: DH-only is for a contact of which no installation is known, and for no
// other: if none of the known ones may be written to, nothing is.
// Spec: 5.dh-header.1 draft.stale-devices.3 5.messaging.1
func TestDraftIsNeverWithoutForwardSecrecyForAKnownDevice(t *testing.T) {
	fine := Installation{ID: "a", Enabled: true, Entry: entry(100, 1, 1)}
	heard := Installation{ID: "b", Enabled: true} // without a bundle
	disabled := Installation{ID: "c", Entry: entry(100, 1, 1)}
	gone := Installation{ID: "d", Enabled: true, Entry: entry(100, 1, 1), OmittedSince: noon - 8*day}
	for _, test := range []struct {
		name    string
		own     bool
		known   []Installation
		targets string
		err     error
	}{
		{"nobody", false, nil, "[]", nil},
		{"one", false, []Installation{fine}, "[a]", nil},
		{"one that was only heard", false, []Installation{heard}, "[b]", nil},
		{"one of three", false, []Installation{fine, disabled, gone}, "[a]", nil},
		{"a disabled one", false, []Installation{disabled}, "[]", ErrNoTarget},
		{"a stale one", false, []Installation{gone}, "[]", ErrNoTarget},
		{"none that may be", false, []Installation{disabled, gone}, "[]", ErrNoTarget},
		{"our own, nobody", true, nil, "[]", ErrNoTarget},
		{"our own, not approved", true, []Installation{disabled}, "[]", ErrNoTarget},
		{"our own, approved", true, []Installation{fine, disabled}, "[a]", nil},
	} {
		c := Contact{Identity: peer}
		if test.own {
			c = ours
		}
		for _, in := range test.known {
			c = c.put(in)
		}
		d, err := c.Draft(here, []byte("x"), noon)
		if ids(d.Targets) != test.targets || !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
			t.Errorf("%s: to %s, %v, want %s, %v", test.name, ids(d.Targets), err, test.targets, test.err)
		}
		retired := here
		retired.Retired = true
		if d, err := c.Draft(retired, []byte("x"), noon); !errors.Is(err, ErrRetired) || len(d.Targets) != 0 {
			t.Errorf("%s, from a retired installation: to %s, %v", test.name, ids(d.Targets), err)
		}
	}
}

// T44: parts that could not be made are left out and said; if none was made there
// is no message, and the causes are in the error.
// Spec: 5.paired-group.1 5.paired-group.3 5.protocol-message.2
func TestMessageIsMadeOfThePartsThereAre(t *testing.T) {
	known := Contact{Identity: peer, Standing: Requested, FirstSeen: 3}
	for _, id := range []string{"a", "b"} {
		known = known.put(Installation{ID: id, Enabled: true, Entry: entry(100, 1, 1)})
	}
	good := wire.Part{DR: &wire.DRHeader{RatchetKey: make([]byte, 33)}, Payload: []byte("c")}
	good.DR.RatchetKey[0] = 2
	good.DR.SignedPreKey[0] = 2
	bundle := *bundleOf(5, signed("this", 1, 1))
	bundle.Identity = wire.PublicKey(here.Own)
	for _, test := range []struct {
		name string
		errs []error
		to   string
		left string
		err  error
	}{
		{"both", []error{nil, nil}, "[a b]", "[]", nil},
		{"one", []error{sessionactor.ErrStalePreKey, nil}, "[b]", "[{a sessionactor: signed prekey of the peer is too old}]", nil},
		{"none", []error{sessionactor.ErrStalePreKey, sessionactor.ErrNoPreKey}, "", "", ErrNoTarget},
	} {
		d, err := known.Draft(here, []byte("x"), noon)
		if err != nil {
			t.Fatal(err)
		}
		for i, err := range test.errs {
			d.Encrypted(i, good, i == 1 && err == nil, err)
		}
		next, out, receipt, e, err := known.Assemble(here, &d, bundle, noon)
		if test.err != nil {
			if !errors.Is(err, test.err) || !errors.Is(err, sessionactor.ErrStalePreKey) || !errors.Is(err, sessionactor.ErrNoPreKey) {
				t.Errorf("%s: %v", test.name, err)
			}
			if next.Standing != Requested || len(out.Message) != 0 || e.Contact {
				t.Errorf("%s: it has changed something: %+v", test.name, next)
			}
			continue
		}
		if err != nil || fmt.Sprint(receipt.Installations) != test.to || fmt.Sprint(receipt.Failed) != test.left || !receipt.ForwardSecrecy || receipt.Started != 1 {
			t.Errorf("%s: %+v, %v", test.name, receipt, err)
		}
		if next.Standing != Accepted || !e.Contact {
			t.Errorf("%s: writing accepts nobody", test.name)
		}
		m, err := wire.Decode(out.Message)
		if err != nil {
			t.Fatal(err)
		}
		if m.InstallationID != "this" || len(m.Entries) != len(receipt.Installations) || len(m.Bundles) != 1 || out.Recipient != peer || out.ID != receipt.ID {
			t.Errorf("%s: message %+v", test.name, m)
		}
		if out.ID != newMessageID(here.Own, m, "") {
			t.Errorf("%s: its receivers see another id", test.name)
		}
	}
}

// Spec: 5.payload.2 draft.contact-request.2
func TestMessageForNobodyInParticularIsOpenedByTheIdentityKey(t *testing.T) {
	key, err := x3dh.GenerateIdentity(seeded("recipient"))
	if err != nil {
		t.Fatal(err)
	}
	c := Contact{Identity: key.Public()}
	d, err := c.Draft(here, []byte("x"), noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Seal(c.Identity, broken{}); !errors.Is(err, errDisk) {
		t.Errorf("without randomness: %v", err)
	}
	if err := d.Seal(c.Identity, seeded("sender")); err != nil {
		t.Fatal(err)
	}
	bundle := *bundleOf(5, signed("this", 1, 1))
	bundle.Identity = wire.PublicKey(here.Own)
	_, out, receipt, _, err := c.Assemble(here, &d, bundle, noon)
	if err != nil || receipt.ForwardSecrecy || fmt.Sprint(receipt.Installations) != "[none]" || receipt.Started != 0 {
		t.Fatalf("%+v, %v", receipt, err)
	}
	m, err := wire.Decode(out.Message)
	if err != nil {
		t.Fatal(err)
	}
	part := m.Entries[0].Part
	if payload, err := x3dh.OpenDHOnly(&key, x3dh.EphemeralPublic(part.DH.Ephemeral), part.Payload); err != nil || string(payload) != "x" {
		t.Errorf("%q, %v", payload, err)
	}
}

// T40, T44: a contact whose devices are all too old, disabled or stale gets
// nothing, and its contact code is looked up; with news it is written to again.
// Spec: draft.stale-devices.3
func TestNoTargetIsRefusedAndLookedUp(t *testing.T) {
	for _, test := range []struct {
		name   string
		hinder func(alice, bob *node)
		cause  error
		heal   func(alice, bob *node)
	}{
		{"disabled", func(alice, bob *node) {
			if err := alice.enable(bob, "bob", false); err != nil {
				t.Fatal(err)
			}
		}, ErrNoTarget, func(alice, bob *node) {
			if err := alice.enable(bob, "bob", true); err != nil {
				t.Fatal(err)
			}
		}},
		{"prekey too old", func(alice, _ *node) { alice.now.Add(16 * day) }, sessionactor.ErrStalePreKey, func(alice, bob *node) { alice.meets(bob) }},
		{"stale", func(alice, bob *node) {
			alice.now.Add(int64(time.Hour))
			second := alice.hostDevice(bob.key, "bob-2")
			alice.meets(second)
			if err := alice.enable(bob, "bob-2", false); err != nil {
				t.Fatal(err)
			}
			alice.now.Add(7 * day)
		}, ErrNoTarget, func(alice, bob *node) { alice.meets(bob) }},
	} {
		w := newWorld(t)
		alice, bob := w.host("alice"), w.host("bob")
		alice.meets(bob)
		test.hinder(alice, bob)
		before, asked := alice.disk.hash(t), alice.lookedUp.Load()
		if _, err := alice.trySend(bob, "to nobody"); !errors.Is(err, ErrNoTarget) || !errors.Is(err, test.cause) {
			t.Errorf("%s: %v", test.name, err)
		}
		alice.settle(bob)
		if sent := alice.line.take(); len(sent) != 0 || alice.disk.hash(t) != before {
			t.Errorf("%s: a refused message left something, %d published", test.name, len(sent))
		}
		if n := alice.lookedUp.Load() - asked; n != 1 {
			t.Errorf("%s: looked up %d times", test.name, n)
		}
		if n := alice.counters.Sent.Load(); n != 0 {
			t.Errorf("%s: %d counted as sent", test.name, n)
		}
		test.heal(alice, bob)
		m := alice.send(bob, "again")
		if part := m.Entries[0].Part; len(m.Entries) != 1 || part.DR == nil || part.DH != nil {
			t.Errorf("%s: then sent %+v", test.name, part)
		}
		bob.receive(alice, m)
		if n := alice.lookedUp.Load() - asked; n != 1 {
			t.Errorf("%s: looked up %d times", test.name, n)
		}
	}
}

// What one device of a contact is missing does not hold up the others.
func TestDeviceThatFailsIsLeftOut(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	w.now.Add(16 * day)
	second := w.hostDevice(bob.key, "bob-2")
	alice.meets(second)
	receipt, err := alice.trySend(bob, "x")
	if err != nil || len(receipt.Failed)+len(receipt.Installations) == 0 {
		t.Fatalf("%+v, %v", receipt, err)
	}
	// The first one has been left out for less than 7 days: it is tried.
	if fmt.Sprint(receipt.Installations) != "[bob-2]" || len(receipt.Failed) != 1 || receipt.Failed[0].Installation != "bob" || !errors.Is(receipt.Failed[0].Err, sessionactor.ErrStalePreKey) {
		t.Errorf("%+v", receipt)
	}
	if n := alice.lookedUp.Load(); n != 0 {
		t.Errorf("looked up %d times", n)
	}
	alice.settle(bob)
	second.receive(alice, alice.line.take()[0])
	if errors.Is(receipt.Failed[0].Err, ratchet.ErrMAC) {
		t.Error("a wrong cause")
	}
}
