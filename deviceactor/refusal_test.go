package deviceactor

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// copyOf is a message of its own, as it comes from the wire.
func copyOf(t *testing.T, m *wire.Message) *wire.Message {
	t.Helper()
	again, err := wire.Decode(bytes.Clone(m.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// refusals is what a refusal of a message is checked with.
type refusals struct {
	t        *testing.T
	at, from *node
}

// check gives the message and expects the cause, and that nothing changes.
func (r refusals) check(name string, m *wire.Message, want error) {
	r.t.Helper()
	r.at.settle(r.from)
	before, events := r.at.disk.hash(r.t), len(r.at.events)
	count := r.at.counters.Refused.Load()
	known := fmt.Sprintf("%+v", r.at.known(r.from))
	err := r.at.tryReceive(r.from, m)
	if !errors.Is(err, want) || Unhandled(err) {
		r.t.Errorf("%s: got %v, want %v", name, err, want)
	}
	if after := fmt.Sprintf("%+v", r.at.known(r.from)); after != known {
		r.t.Errorf("%s: the contact was\n%s\nand is\n%s", name, known, after)
	}
	if r.at.disk.hash(r.t) != before {
		r.t.Errorf("%s: the store has changed", name)
	}
	if r.at.counters.Refused.Load() != count+1 || len(r.at.events) != events+1 {
		r.t.Errorf("%s: not counted or not reported", name)
		return
	}
	if e, ok := r.at.events[events].(MessageRefused); !ok || !errors.Is(e.Err, want) || e.Sender != r.from.key.Public() {
		r.t.Errorf("%s: reported %+v", name, r.at.events[events])
	}
}

// T19, T26, T28, T29: a refused message leaves the store as it was, to the byte.
func TestRefusedMessageLeavesTheStoreAsItWas(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.host("alice"), w.host("bob"), w.host("carol")
	talk(alice, bob)
	replayed := alice.send(bob, "once")
	bob.receive(alice, replayed)
	good := alice.send(bob, "good")
	refused := refusals{t, bob, alice}
	altered := func(change func(*wire.Message)) *wire.Message {
		m := copyOf(t, good)
		change(m)
		return m
	}
	// A bundle that is Alice's, valid and newer than the one known.
	w.now.Add(int64(25 * time.Hour))
	newer := alice.ownBundle()
	carols := carol.ownBundle()

	refused.check("forged", altered(func(m *wire.Message) { m.Entries[0].Part.Payload[20] ^= 1 }), ratchet.ErrMAC)
	refused.check("forged, with a newer bundle", altered(func(m *wire.Message) {
		m.Entries[0].Part.Payload[20] ^= 1
		m.Bundles = []wire.Bundle{newer}
	}), ratchet.ErrMAC)
	refused.check("truncated", altered(func(m *wire.Message) { m.Entries[0].Part.Payload = m.Entries[0].Part.Payload[:40] }), ratchet.ErrCiphertext)
	refused.check("replayed", replayed, ratchet.ErrMessageKeyGone)
	if bob.repeated.Load() != 1 {
		t.Errorf("told of %d messages that were read before", bob.repeated.Load())
	}
	refused.check("replayed, with a newer bundle", func() *wire.Message {
		m := copyOf(t, replayed)
		m.Bundles = []wire.Bundle{newer}
		return m
	}(), ratchet.ErrMessageKeyGone)
	refused.check("not targeted", altered(func(m *wire.Message) { m.Entries[0].Recipient = "somebody else" }), ErrNotTargeted)
	refused.check("not targeted, with a newer bundle", altered(func(m *wire.Message) {
		m.Entries[0].Recipient = "somebody else"
		m.Bundles = []wire.Bundle{newer}
	}), ErrNotTargeted)
	refused.check("bad bundle signature", altered(func(m *wire.Message) { m.Bundles[0].Signature[5] ^= 1 }), x3dh.ErrBundleSignature)
	refused.check("bundle with another prekey", altered(func(m *wire.Message) { m.Bundles[0].PreKeys[0].Key = carols.PreKeys[0].Key }), x3dh.ErrBundleSignature)
	refused.check("empty with a bad bundle", &wire.Message{InstallationID: "alice", Bundles: []wire.Bundle{func() wire.Bundle {
		b := newer
		b.Timestamp++
		return b
	}()}}, x3dh.ErrBundleSignature)
	refused.check("hash ratchet", altered(func(m *wire.Message) { m.Entries[0].Part.HashRatchet = true }), ErrUnsupported)
	refused.check("public", altered(func(m *wire.Message) { m.HasPublic, m.Public = true, []byte("to all") }), ErrUnsupported)
	refused.check("no sender's installation", altered(func(m *wire.Message) { m.InstallationID = "" }), sessionactor.ErrHeader)
	refused.check("of another installation", altered(func(m *wire.Message) { m.InstallationID = "another" }), sessionactor.ErrNoSession)
	refused.check("no header at all", altered(func(m *wire.Message) { m.Entries[0].Part.DR = nil }), sessionactor.ErrHeader)
	refused.check("X3DH header of nobody's prekey", altered(func(m *wire.Message) {
		m.Entries[0].Part.DR.SignedPreKey = wire.PublicKey{2, 9}
		m.Entries[0].Part.X3DH = &wire.X3DHHeader{Ephemeral: newer.PreKeys[0].Key, SignedPreKey: wire.PublicKey{2, 9}}
	}), sessionactor.ErrUnknownPreKey)
	refused.check("DH-only that does not open", altered(func(m *wire.Message) {
		m.Entries[0].Part.DR, m.Entries[0].Part.DH = nil, &wire.DHHeader{Ephemeral: newer.PreKeys[0].Key}
	}), x3dh.ErrDecrypt)

	// After all that the message itself is read, from its entry for everybody too.
	m := copyOf(t, good)
	m.Entries[0].Recipient = wire.NoInstallation
	bob.receive(alice, m)
	if got := bob.received(); got[len(got)-1] != "good" {
		t.Errorf("received %v", got)
	}
}

// T18, T36: a message that a stranger took from another sender leaves nothing
// of the stranger behind.
// Spec: 5.authenticity.1 5.x3dh-header.3
func TestStolenMessageLeavesNoContact(t *testing.T) {
	w := newWorld(t)
	alice, bob, mallory := w.host("alice"), w.host("bob"), w.host("mallory")
	alice.meets(bob)
	stolen := alice.send(bob, "for bob, from alice")
	refused := refusals{t, bob, mallory}
	refused.check("with alice's bundle", stolen, ratchet.ErrMAC)
	m := copyOf(t, stolen)
	m.Bundles = []wire.Bundle{mallory.ownBundle()}
	refused.check("with her own bundle", m, ratchet.ErrMAC)
	m.InstallationID = "mallory"
	refused.check("as her own installation", m, ratchet.ErrMAC)
	if n := bob.disk.count(t, persistence.KindContact); n != 0 {
		t.Errorf("%d records of strangers", n)
	}
	bob.receive(alice, stolen)
}

func TestReplayedDHOnlyMessageIsRefused(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	m := alice.send(bob, "request")
	bob.receive(alice, m)
	flipped := copyOf(t, m)
	flipped.Entries[0].Part.DH.Ephemeral[0] ^= 1
	bob.restart(alice.key.Public())
	refused := refusals{t, bob, alice}
	refused.check("again, after a restart", m, ErrReplayed)
	refused.check("with the other parity", flipped, ErrReplayed)
}

// Rule 7: whoever has a valid identity can make up any number of installations.
func TestInstallationsOfAContactAreBounded(t *testing.T) {
	w := newWorld(t)
	bob := w.host("bob")
	key := w.newKey("flood")
	var last *node
	for i := range maxInstallations + 2 {
		last = w.hostDevice(key, fmt.Sprintf("device-%03d", i))
		last.meets(bob)
		m := last.send(bob, "x")
		if i%2 == 0 {
			m.Bundles = nil
		}
		if i < maxInstallations {
			bob.receive(last, m)
			continue
		}
		refusals{t, bob, last}.check("one too many", m, ErrTooManyInstallations)
	}
	if sessions := bob.disk.count(t, persistence.KindSession); sessions != maxInstallations {
		t.Errorf("%d sessions", sessions)
	}
}
