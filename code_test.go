package rookery_test

import (
	"slices"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
)

// codes are the bundles that an installation has published as contact code.
func (w *world) codes(of device) []wire.Bundle {
	w.t.Helper()
	var out []wire.Bundle
	for _, e := range w.air.everything() {
		if e.Topic != transport.ContactCodeTopic(of.key) {
			continue
		}
		m, err := wire.Decode(e.Payload)
		if err != nil {
			w.t.Fatal(err)
		}
		if m.InstallationID == of.installation {
			out = append(out, m.Bundles...)
		}
	}
	return out
}

// awaitCodes sweeps until an installation has published that many.
func (w *world) awaitCodes(n int, of device) []wire.Bundle {
	w.t.Helper()
	eventually(w.t, "contact code", func() bool {
		w.sweep()
		return len(w.codes(of)) >= n
	})
	return w.codes(of)
}

// asked is a pause for what is not to happen: all actors of the installation
// have dealt with a sweep.
func (w *world) asked(d device) {
	w.t.Helper()
	for range 3 {
		w.sweep()
		if _, err := w.at(d).Bundle(w.context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// Spec: draft.account-generation.2 5.prekeys.5 5.bundle-rotation.1 5.bundle-rotation.2 5.pairing.9
// Spec: 54.discovery.1
func TestContactCodeIsPublishedAtOnceOnChangeAndOnSchedule(t *testing.T) {
	w := newWorld(t, backends[1])
	alice := w.person(1)[0]
	first := w.awaitCodes(1, alice)[0]
	if len(first.PreKeys) != 1 || first.PreKeys[0].InstallationID != alice.installation {
		t.Fatalf("the first code names %+v", first.PreKeys)
	}
	w.asked(alice)
	if n := len(w.codes(alice)); n != 1 {
		t.Errorf("%d codes although nothing has changed", n)
	}
	second, err := w.at(alice).AddInstallation(w.context())
	if err != nil {
		t.Fatal(err)
	}
	w.introduce(w.at(alice), second)
	if err := w.at(alice).Approve(w.context(), alice.key, second.InstallationID()); err != nil {
		t.Fatal(err)
	}
	w.pass(13 * time.Minute) // changes of many are spread over 12 minutes
	if codes := w.awaitCodes(2, alice); len(codes[1].PreKeys) != 2 || codes[1].Timestamp <= first.Timestamp {
		t.Errorf("after the approval the code names %d installations", len(codes[1].PreKeys))
	}
	w.pass(6*time.Hour + 13*time.Minute)
	key := func(b wire.Bundle) wire.SignedPreKey {
		return b.PreKeys[slices.IndexFunc(b.PreKeys, func(k wire.SignedPreKey) bool { return k.InstallationID == alice.installation })]
	}
	if codes := w.awaitCodes(3, alice); key(codes[2]) != key(first) {
		t.Error("the prekey has changed within a day")
	}
	w.pass(18 * time.Hour)
	eventually(t, "code of the next day", func() bool {
		w.pass(time.Minute) // changes of many are spread over 12 minutes
		w.asked(alice)      // not another day before it has come to it
		codes := w.codes(alice)
		return key(codes[len(codes)-1]).Version == key(first).Version+1
	})
}

// Spec: 5.encryption.3 5.contact-request.2 5.bundle-retrieval.1
func TestFollowedContactIsReachedWithForwardSecrecyFromTheFirstMessage(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob, mallory := w.person(1)[0], w.person(1)[0], w.person(1)[0]
	for range 2 { // twice is once
		if err := w.at(bob).Follow(alice.key); err != nil {
			t.Fatal(err)
		}
	}
	encoded, err := w.at(mallory).Bundle(w.context())
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := wire.DecodeBundle(encoded)
	if err != nil {
		t.Fatal(err)
	}
	forged := foreign
	forged.Identity = wire.PublicKey(alice.key)
	code := func(sender device, b ...wire.Bundle) transport.Envelope {
		m := wire.Message{InstallationID: sender.installation, Bundles: b}
		return transport.Envelope{Topic: transport.ContactCodeTopic(alice.key), Sender: sender.key, Payload: m.Encode()}
	}
	w.air.deliver([]transport.Envelope{code(mallory, foreign), code(alice, foreign), code(alice, forged), code(alice)})
	for _, of := range []device{alice, mallory} {
		if contact, err := w.at(bob).Contact(w.context(), of.key); err != nil || len(contact.Installations) != 0 {
			t.Errorf("%d installations were taken: %v", len(contact.Installations), err)
		}
	}
	w.awaitCodes(1, alice)
	if d := awaitThese[rookery.InstallationDiscovered](w, 1, bob); d.Contact != alice.key || d.Installation != alice.installation || !d.Enabled {
		t.Errorf("discovered %+v", d)
	}
	if receipt := w.send(bob, alice.key, "found you"); !receipt.ForwardSecrecy || receipt.Started != 1 {
		t.Errorf("receipt %+v", receipt)
	}
	w.awaitMessages(1, alice)
}

// T40: a contact whose only known prekey is too old is looked up, and gets
// nothing without forward secrecy meanwhile.
func TestContactThatCannotBeReachedIsLookedUp(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(bob), w.at(alice))
	w.pass(16 * 24 * time.Hour)
	before := len(w.air.history())
	_, err := w.at(bob).Send(w.context(), alice.key, []byte("are you there?"))
	wantError(t, err, cause.ErrNoTarget)
	wantError(t, err, cause.ErrStalePreKey)
	for _, e := range w.air.history()[before:] {
		if e.Topic == transport.PersonalTopic(alice.key) {
			t.Error("a message was published")
		}
	}
	w.awaitCodes(1, alice)
	eventually(t, "a way to alice", func() bool {
		receipt, err := w.at(bob).Send(w.context(), alice.key, []byte("there you are"))
		if err != nil { // the code went out before bob listened: the next one
			w.pass(6 * time.Hour)
			w.asked(alice)
		}
		return err == nil && receipt.ForwardSecrecy
	})
	w.awaitMessages(1, alice)
}
