package deviceactor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// Spec: 5.partitioned-devices.1 5.failed-decryption.2
func TestRemedyIsForWhatItCanHeal(t *testing.T) {
	for _, test := range []struct {
		cause error
		want  Remedy
	}{
		{ErrNotTargeted, IncludeUs},
		{sessionactor.ErrNoSession, StartOver},
		{sessionactor.ErrUnknownPreKey, StartOver},
		{ratchet.ErrUnknownRatchetKey, StartOver},
		{ratchet.ErrTooManySkipped, StartOver},
		{ratchet.ErrMAC, NoRemedy},
		{ratchet.ErrMessageKeyGone, NoRemedy},
		{ratchet.ErrCiphertext, NoRemedy},
		{ratchet.ErrHeader, NoRemedy},
		{sessionactor.ErrHeader, NoRemedy},
		{sessionactor.ErrCloned, StartOver},
		{x3dh.ErrBundleSignature, NoRemedy},
		{x3dh.ErrBundleTimestamp, NoRemedy},
		{x3dh.ErrDecrypt, NoRemedy},
		{ErrUnsupported, NoRemedy},
		{ErrDenied, NoRemedy},
		{ErrReplayed, NoRemedy},
		{ErrOwnEcho, NoRemedy},
		{ErrTooManyInstallations, NoRemedy},
		{ErrNotDurable, NoRemedy},
		{nil, NoRemedy},
	} {
		if got := RemedyFor(View{}, test.cause); got != test.want {
			t.Errorf("%v: %d, want %d", test.cause, got, test.want)
		}
		if got := RemedyFor(View{Retired: true}, test.cause); got != NoRemedy {
			t.Errorf("%v, of a retired installation: %d", test.cause, got)
		}
		if got := RemedyFor(View{}, fmt.Errorf("session: %w", test.cause)); test.cause != nil && got != test.want {
			t.Errorf("%v, wrapped: %d, want %d", test.cause, got, test.want)
		}
	}
}

// T41, T08: how often a remedy is due, wherever the clock goes.
func TestRemediesAreRare(t *testing.T) {
	const hour = int64(time.Hour)
	type try struct {
		r            Remedy
		installation string
		now          int64
		want         bool
	}
	for name, tries := range map[string][]try{
		"included every two hours": {
			{IncludeUs, "a", noon, true},
			{IncludeUs, "a", noon + 1, false},
			{IncludeUs, "b", noon + 2*hour - 1, false}, // the identity is told, not the device
			{IncludeUs, "b", noon + 2*hour, true},
			{IncludeUs, "a", noon + 4*hour - 1, false},
		},
		"started over every hour and installation": {
			{StartOver, "a", noon, true},
			{StartOver, "a", noon + hour - 1, false},
			{StartOver, "b", noon + hour - 1, true},
			{StartOver, "a", noon + hour, true},
			{StartOver, "b", noon + hour, false},
		},
		"one does not hold up the other": {
			{IncludeUs, "a", noon, true},
			{StartOver, "a", noon, true},
		},
		"nothing to do": {{NoRemedy, "a", noon, false}, {NoRemedy, "a", noon + 100*hour, false}},
		"a clock that goes back": {
			{IncludeUs, "a", noon + 87600*hour, true},
			{StartOver, "a", noon + 87600*hour, true},
			{IncludeUs, "a", noon, true},
			{StartOver, "a", noon, true},
			{IncludeUs, "a", noon + hour, false},
		},
		"the ends of time": {
			{IncludeUs, "a", math.MaxInt64, true},
			{IncludeUs, "a", math.MinInt64, true},
			{IncludeUs, "a", math.MinInt64 + 1, false},
			{IncludeUs, "a", math.MaxInt64, true},
			{StartOver, "a", math.MinInt64, true},
			{StartOver, "a", math.MaxInt64, true},
			{StartOver, "a", 0, true},
			{StartOver, "a", 1, false},
		},
	} {
		var c CoolDowns
		for i, try := range tries {
			if got := c.Allow(try.r, x3dh.IdentityPublicKey{2}, try.installation, try.now); got != try.want {
				t.Errorf("%s, try %d: %v", name, i, got)
			}
		}
	}
}

// Installation ids are what a peer invents: they take no memory without bound.
func TestCoolDownsAreBounded(t *testing.T) {
	var c CoolDowns
	allowed := 0
	for i := range 1000 {
		if c.Allow(StartOver, x3dh.IdentityPublicKey{2}, fmt.Sprint(i), noon) {
			allowed++
		}
	}
	if one := c.by[x3dh.IdentityPublicKey{2}]; allowed != maxInstallations || len(one.restarted) != maxInstallations {
		t.Errorf("%d allowed, %d remembered", allowed, len(one.restarted))
	}
	if !c.Allow(StartOver, x3dh.IdentityPublicKey{2}, "another", noon+recoveryCoolDown) {
		t.Error("what has run out is still in the way an hour later")
	}
	// Identities cost more to invent, and are bounded all the same.
	allowed = 0
	for i := range 2 * maxCoolDowns {
		if c.Allow(IncludeUs, x3dh.IdentityPublicKey{3, byte(i), byte(i >> 8)}, "a", noon) {
			allowed++
		}
	}
	if allowed > maxCoolDowns || len(c.by) != maxCoolDowns {
		t.Errorf("%d identities allowed, %d remembered", allowed, len(c.by))
	}
	if !c.Allow(IncludeUs, x3dh.IdentityPublicKey{4}, "a", noon+partitionCoolDown) {
		t.Error("identities that have run out are still in the way two hours later")
	}
}

// What an advertisement looks like: empty, DH-only, to whichever device reads
// it, with our bundle.
// Spec: 5.partitioned-devices.1
func TestAdvertisementIsAnEmptyMessageWithOurBundle(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	bundle := bob.ownBundle()
	encoded, err := Advertisement(bob.view(), alice.key.Public(), bundle, bob.random)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wire.Decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if m.InstallationID != "bob" || len(m.Bundles) != 1 || m.Bundles[0].Signature != bundle.Signature || m.HasPublic {
		t.Errorf("message %+v", m)
	}
	if len(m.Entries) != 1 || m.Entries[0].Recipient != wire.NoInstallation {
		t.Fatalf("entries %+v", m.Entries)
	}
	part := m.Entries[0].Part
	if part.DH == nil || part.DR != nil || part.X3DH != nil {
		t.Errorf("part %+v", part)
	}
	payload, err := x3dh.OpenDHOnly(alice.key, x3dh.EphemeralPublic(part.DH.Ephemeral), part.Payload)
	if err != nil || len(payload) != 0 {
		t.Errorf("payload of %d bytes, %v", len(payload), err)
	}
	if _, err := Advertisement(bob.view(), alice.key.Public(), bundle, broken{}); !errors.Is(err, errDisk) {
		t.Errorf("without randomness: %v", err)
	}
}

// broken is a randomness that fails.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errDisk }

// Spec: 5.partitioned-devices.1 5.partitioned-devices.2
func TestDeviceThatIsLeftOutAsksToBeIncluded(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	second := w.hostDevice(bob.key, "bob-2")
	talk(alice, bob)
	known := func() string {
		c := alice.known(bob)
		return ids(c.Installations)
	}
	m := alice.send(bob, "1")
	refused := refusals{t, second, alice}
	refused.check("not for this device", m, ErrNotTargeted)
	answer := second.advertised()
	if known() != "[bob]" {
		t.Fatalf("known before the answer: %s", known())
	}
	for i := range 5 {
		refused.check("again", alice.send(bob, fmt.Sprint("again ", i)), ErrNotTargeted)
	}
	w.now.Add(partitionCoolDown - 1)
	refused.check("just before two hours", alice.send(bob, "2"), ErrNotTargeted)
	if sent := second.unasked(alice); len(sent) != 0 {
		t.Errorf("%d published within two hours", len(sent))
	}
	w.now.Add(1)
	refused.check("after two hours", alice.send(bob, "3"), ErrNotTargeted)
	second.advertised()
	alice.receive(bob, answer)
	if known() != "[bob bob-2]" {
		t.Errorf("known after the answer: %s", known())
	}
	for _, e := range reported[MessageReceived](alice) {
		if len(e.Payload) == 0 {
			t.Errorf("the answer was delivered: %+v", e)
		}
	}
	m = alice.send(bob, "to both")
	bob.receive(alice, m)
	second.receive(alice, m)
}

// A device that lost its sessions offers a prekey that its peer does not have
// yet, and is written to on a session that rests on it.
// Spec: 5.failed-decryption.1 5.failed-decryption.2 5.failed-decryption.3
func TestLostSessionIsStartedOver(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	lost := w.hostDevice(bob.key, "bob") // with an empty disk
	w.now.Add(int64(2 * time.Hour))
	before := lost.ownBundle()
	w.now.Add(int64(2 * time.Hour))
	refused := refusals{t, lost, alice}
	refused.check("of a session that is gone", alice.send(bob, "1"), sessionactor.ErrNoSession)
	answer := lost.advertised()
	offered := answer.Bundles[0].PreKeys[0]
	if offered.Key == before.PreKeys[0].Key || offered.Version <= before.PreKeys[0].Version {
		t.Errorf("offered %+v, had %+v", offered, before.PreKeys[0])
	}
	refused.check("again", alice.send(bob, "2"), sessionactor.ErrNoSession)
	w.now.Add(recoveryCoolDown - 1)
	refused.check("just before an hour", alice.send(bob, "3"), sessionactor.ErrNoSession)
	if sent := lost.unasked(alice); len(sent) != 0 {
		t.Errorf("%d published within an hour", len(sent))
	}
	w.now.Add(1)
	refused.check("after an hour", alice.send(bob, "4"), sessionactor.ErrNoSession)
	lost.advertised()
	alice.receive(bob, answer)
	m := alice.send(bob, "5")
	if x := m.Entries[0].Part.X3DH; x == nil || x.SignedPreKey != offered.Key {
		t.Fatalf("not started over: %+v", m.Entries[0].Part)
	}
	lost.receive(alice, m)
	alice.receive(bob, lost.send(alice, "found"))
	if got := fmt.Sprint(lost.received(), alice.last().ForwardSecrecy); got != "[5] true" {
		t.Errorf("received %s", got)
	}
}

// Strangers cannot have prekeys made at will: what cannot be read because it was
// forged calls for nothing.
// Spec: 5.integrity.1
func TestForgedMessageIsAnsweredByNothing(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	asked := &script{make(chan any, 100)}
	bob.restart(alice.key.Public())
	bob.bundle = asked
	good := alice.send(bob, "good")
	for i := range len(good.Entries[0].Part.Payload) {
		m := copyOf(t, good)
		m.Entries[0].Part.Payload[i] ^= 0x40
		if err := bob.tryReceive(alice, m); !errors.Is(err, ratchet.ErrMAC) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	bob.settle(alice)
	if sent := bob.line.take(); len(asked.asked) != 0 || len(sent) != 0 {
		t.Errorf("a forged message was answered: %d messages published, %d questions", len(sent), len(asked.asked))
	}
	bob.receive(alice, good)
}

// An installation of ours that leaves this one out hears of it too.
// Spec: 5.partitioned-devices.1
func TestOwnInstallationLearnsOfThisOne(t *testing.T) {
	w := newWorld(t)
	phone := w.host("phone")
	laptop, tablet := w.hostDevice(phone.key, "laptop"), w.hostDevice(phone.key, "tablet")
	phone.meets(laptop)
	if err := phone.enable(laptop, "laptop", true); err != nil {
		t.Fatal(err)
	}
	note := phone.send(laptop, "note")
	refusals{t, tablet, phone}.check("not for the tablet", note, ErrNotTargeted)
	phone.receive(tablet, tablet.advertised())
	c := phone.known(tablet)
	if in, ok := c.Find("tablet"); !ok || in.Enabled {
		t.Errorf("the tablet is %+v", in)
	}
	laptop.receive(phone, note)
}

// A bundle that could not be had is asked for again with the next message.
func TestRemedyThatFailsIsForgotten(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	second := w.hostDevice(bob.key, "bob-2")
	asked := &script{make(chan any, 10)}
	second.bundle = asked
	refused := refusals{t, second, alice}
	refused.check("left out", alice.send(bob, "1"), ErrNotTargeted)
	m, ok := asked.next(t).(bundleactor.GetBundle)
	if !ok {
		t.Fatal("asked for something else than the bundle")
	}
	m.Fail(errDisk)
	second.settle(alice)
	if sent := second.line.take(); len(sent) != 0 {
		t.Errorf("%d messages published", len(sent))
	}
	refused.check("no session", func() *wire.Message {
		m := copyOf(t, alice.send(bob, "2"))
		m.Entries[0].Recipient = "bob-2"
		return m
	}(), sessionactor.ErrNoSession)
	rotate, ok := asked.next(t).(bundleactor.Rotate)
	if !ok {
		t.Fatal("no new prekey asked for")
	}
	rotate.Fail(errDisk) // the contact waits for it before it stops
}

// A contact that leaves memory while it waits for our bundle answers first: the
// cool-down has begun, and nobody would ask again.
func TestRemedyIsDoneBeforeTheContactStops(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	second := w.hostDevice(bob.key, "bob-2")
	asked := &script{make(chan any, 10)}
	second.bundle = asked
	refusals{t, second, alice}.check("left out", alice.send(bob, "1"), ErrNotTargeted)
	m, ok := asked.next(t).(bundleactor.GetBundle)
	if !ok {
		t.Fatal("asked for something else than the bundle")
	}
	stopped := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func() { stopped <- w.system.Stop(ctx, second.contact(alice.key.Public())) }()
	select {
	case err := <-stopped:
		t.Fatalf("it has stopped before it had an answer: %v", err)
	case <-time.After(20 * time.Millisecond): // it may need longer, and then nothing is proven
	}
	second.bundles.Tell(m)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if sent := second.line.take(); len(sent) != 1 {
		t.Errorf("%d messages published, want 1", len(sent))
	}
}

// A cool-down goes on while the contact is out of memory.
func TestCoolDownOutlivesTheContact(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	bob.meets(alice)
	m := bob.send(alice, "hi")
	for i := range m.Entries {
		m.Entries[i].Recipient = "somebody-else"
	}
	answers := 0
	for range 3 {
		_ = alice.tryReceive(bob, m)
		alice.settle(bob)
		answers += len(alice.unasked(bob))
		alice.restart(bob.key.Public())
	}
	if answers > 1 {
		t.Errorf("%d answers at once", answers)
	}
}
