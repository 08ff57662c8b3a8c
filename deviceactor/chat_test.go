package deviceactor

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// says is a message in a public chat.
func (n *node) says(payload string) *wire.Message {
	n.t.Helper()
	return &wire.Message{InstallationID: n.name, Bundles: []wire.Bundle{n.ownBundle()}, HasPublic: true, Public: []byte(payload)}
}

// hears gives a message to the contact as published in a chat.
func (n *node) hears(from *node, chat string, m *wire.Message) error {
	n.t.Helper()
	_, err := ask(n.t, n.contact(from.key.Public()), func(r actors.Reply[struct{}]) any {
		return Receive{Reply: r, Message: m, Chat: chat, Encoded: m.Encode()}
	})
	return err
}

// Spec: 5.messaging.2 5.protocol-message.5 5.prekeys.4
func TestPublicMessageIsReadAndItsBundleTaken(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	bob.requests = Ask
	if err := bob.hears(alice, "rookery", alice.says("hello all")); err != nil {
		t.Fatal(err)
	}
	m := bob.last()
	if string(m.Payload) != "hello all" || m.Chat != "rookery" || m.ForwardSecrecy || m.Request ||
		m.Recipient != (x3dh.IdentityPublicKey{}) || m.Sender != alice.key.Public() || m.Installation != "alice" {
		t.Errorf("received %+v", m)
	}
	value, err := bob.disk.Get(t.Context(), InboxName(bob.owner, alice.key.Public(), m.ID))
	if err != nil {
		t.Fatal(err)
	}
	if stored, err := DecodeReceived(value); err != nil || stored.Chat != "rookery" || string(stored.Payload) != "hello all" {
		t.Errorf("the inbox holds %+v, %v", stored, err)
	}
	c := bob.known(alice)
	if c.Standing != Stranger || len(c.Seen) != 0 || ids(c.Installations) != "[alice]" || c.Installations[0].Active != 0 || c.ForwardSecrecy {
		t.Errorf("the contact is %+v", c)
	}
	if sent := bob.send(alice, "I read that"); sent.Entries[0].Part.X3DH == nil {
		t.Error("no session from the bundle of a public message")
	}
}

// What somebody says in public is no request, also while a request waits.
// Spec: draft.contact-request.1
func TestPublicMessageIsNoRequest(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	bob.requests = Ask
	bob.receive(alice, alice.send(bob, "please"))
	if err := bob.hears(alice, "rookery", alice.says("hello all")); err != nil {
		t.Fatal(err)
	}
	if m := bob.last(); m.Request || m.Chat != "rookery" {
		t.Errorf("received %+v", m)
	}
	if c := bob.known(alice); c.Standing != Requested {
		t.Errorf("the contact is %v", c.Standing)
	}
}

// Messages that wait for the application do not take each other's place.
func TestPublicMessagesAreToldApart(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	seen := make(map[MessageID]string)
	for _, said := range [][2]string{{"rookery", "one"}, {"rookery", "two"}, {"pigeons", "one"}} {
		if err := bob.hears(alice, said[0], alice.says(said[1])); err != nil {
			t.Fatal(err)
		}
		id := bob.last().ID
		if other, ok := seen[id]; ok {
			t.Errorf("%v has the id of %s", said, other)
		}
		seen[id] = fmt.Sprint(said)
	}
	if n := bob.disk.count(t, persistence.KindInbox); n != 3 {
		t.Errorf("%d messages in the inbox", n)
	}
	carol := w.host("carol")
	if err := carol.hears(alice, "rookery", alice.says("one")); err != nil {
		t.Fatal(err)
	}
	if seen[carol.last().ID] != "[rookery one]" {
		t.Error("two readers have different ids of one message")
	}
}

// Encrypted messages have no place in a chat, and public ones none outside of it.
// Spec: 5.messaging.1
func TestKindsOfMessagesStayInTheirPlaces(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	secret := alice.send(bob, "secret")
	dhOnly := w.hostDevice(alice.key, "another").send(bob, "DH-only")
	said := alice.says("hello")
	both := copyOf(t, secret)
	both.HasPublic, both.Public = true, []byte("hello")
	for _, test := range []struct {
		name string
		chat string
		m    *wire.Message
	}{
		{"encrypted, in a chat", "rookery", secret},
		{"DH-only, in a chat", "rookery", dhOnly},
		{"only a bundle, in a chat", "rookery", &wire.Message{InstallationID: "alice", Bundles: said.Bundles}},
		{"public, in no chat", "", said},
		{"both, in a chat", "rookery", both},
		{"both, in no chat", "", both},
	} {
		before, heard := bob.disk.hash(t), len(bob.received())
		if err := bob.hears(alice, test.chat, test.m); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", test.name, err)
		}
		if bob.disk.hash(t) != before || len(bob.received()) != heard {
			t.Errorf("%s: it has left something", test.name)
		}
	}
	bob.receive(alice, secret) // its key is not used up
	forged := copyOf(t, said)
	forged.Bundles[0].Signature[7] ^= 1
	if err := bob.hears(alice, "rookery", forged); !errors.Is(err, x3dh.ErrBundleSignature) {
		t.Errorf("with a forged bundle: %v", err)
	}
	if err := bob.hears(bob, "rookery", bob.says("hello")); !errors.Is(err, ErrOwnEcho) {
		t.Errorf("our own: %v", err)
	}
	for _, e := range reported[MessageRefused](bob) {
		if errors.Is(e.Err, ErrOwnEcho) {
			t.Error("our own message is reported")
		}
	}
}

// T18: with requests denied, a public message is read and nothing of its sender
// is kept; what is known of contacts still is.
func TestDenyingAllKeepsNothingOfThoseInAChat(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.host("alice"), w.host("bob"), w.host("carol")
	bob.requests = DenyAll
	if err := bob.hears(alice, "rookery", alice.says("hello")); err != nil {
		t.Fatal(err)
	}
	if got := bob.last(); string(got.Payload) != "hello" || got.Chat != "rookery" {
		t.Errorf("received %+v", got)
	}
	kinds := []persistence.Kind{persistence.KindContact, persistence.KindSession}
	for _, kind := range kinds {
		if n := bob.disk.count(t, kind); n != 0 {
			t.Errorf("%d records of %v", n, kind)
		}
	}
	if c := bob.known(alice); c.FirstSeen != 0 || len(c.Installations) != 0 {
		t.Errorf("the contact is %+v", c)
	}
	if err := bob.tryReceive(alice, alice.send(bob, "may I")); !errors.Is(err, ErrDenied) {
		t.Errorf("got %v", err)
	}
	bob.send(carol, "write to me")
	if err := bob.hears(carol, "rookery", carol.says("hello")); err != nil {
		t.Fatal(err)
	}
	if c := bob.known(carol); ids(c.Installations) != "[carol]" {
		t.Errorf("of a contact nothing is taken: %+v", c)
	}
}
