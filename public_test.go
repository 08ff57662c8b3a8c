package rookery_test

import (
	"context"
	"strings"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
)

const chat = "#rookery"

func (w *world) join(chat string, all ...device) {
	w.t.Helper()
	for _, d := range all {
		if err := w.at(d).Join(chat); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) sendPublic(from device, payload string) {
	w.t.Helper()
	if err := w.at(from).SendPublic(w.context(), chat, []byte(payload)); err != nil {
		w.t.Fatalf("send %q in %s: %v", payload, chat, err)
	}
}

// Everybody who has joined reads it, our other device too; those who read it can
// start a session with all devices that the bundle beside it names.
// Spec: 5.messaging.2 5.prekeys.4
func TestPublicMessageIsReadByThoseWhoJoinedAndBringsABundle(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob, carol := w.person(2), w.person(1)[0], w.person(1)[0]
	w.join(chat, alice[1], bob)
	w.join("#another", carol)
	w.sendPublic(alice[0], "hello everybody")
	for _, reader := range []device{bob, alice[1]} {
		m := awaitThese[rookery.PublicMessage](w, 1, reader)
		if string(m.Payload) != "hello everybody" || m.Chat != chat || m.Sender != alice[0].key ||
			m.Installation != alice[0].installation || m.ForwardSecrecy || m.Received == 0 {
			t.Errorf("%s read %q in %q of %v, installation %s", reader.installation, m.Payload, m.Chat, m.Sender, m.Installation)
		}
	}
	history := w.air.history()
	e := history[len(history)-1]
	on, err := wire.Decode(e.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if e.Topic != transport.PublicTopic(chat) || e.Sender != alice[0].key || !on.HasPublic ||
		string(on.Public) != "hello everybody" || len(on.Bundles) != 1 || len(on.Entries) != 0 {
		t.Errorf("published on %v: %d bundles, %d entries", e.Topic, len(on.Bundles), len(on.Entries))
	}
	if receipt := w.send(bob, alice[0].key, "hello alice"); !receipt.ForwardSecrecy || receipt.Started != 2 {
		t.Errorf("receipt %+v", receipt)
	}
	w.awaitMessages(1, alice...)
	for _, d := range []device{carol, alice[0]} {
		if n := len(these[rookery.PublicMessage](w.bag.all(), d)); n != 0 {
			t.Errorf("%s read %d public messages", d.installation, n)
		}
	}
}

// What was said in public comes again after a restart until it is acknowledged,
// each message for itself.
func TestUnacknowledgedPublicMessagesAreReportedAgain(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.join(chat, bob)
	w.bag.keepAll()
	w.sendPublic(alice, "one")
	w.sendPublic(alice, "two")
	awaitThese[rookery.PublicMessage](w, 2, bob)
	w.close()
	w.bag.empty()
	w.open()
	awaitThese[rookery.PublicMessage](w, 2, bob)
	got := make(map[string]rookery.MessageID)
	for _, m := range these[rookery.PublicMessage](w.bag.all(), bob) {
		got[string(m.Payload)] = m.ID
		if m.Chat != chat {
			t.Errorf("%q is reported of chat %q", m.Payload, m.Chat)
		}
	}
	if len(got) != 2 || got["one"] == got["two"] {
		t.Errorf("reported again: %v", got)
	}
}

func TestLeaveEndsJoin(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	heard := func() int {
		if _, err := w.at(bob).Contact(w.context(), alice.key); err != nil { // what was delivered is handled
			t.Fatal(err)
		}
		w.reopen() // and reported
		return len(these[rookery.PublicMessage](w.bag.all(), bob))
	}
	w.join(chat, bob, bob) // twice is once
	w.sendPublic(alice, "while he listens")
	if n := heard(); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
	w.sendPublic(alice, "after a restart")
	if n := heard(); n != 1 {
		t.Errorf("joined again by itself: %d messages", n)
	}
	w.join(chat, bob)
	w.at(bob).Leave(chat)
	w.at(bob).Leave(chat)
	w.at(bob).Leave("#never joined")
	w.sendPublic(alice, "when he has left")
	if n := heard(); n != 1 {
		t.Errorf("%d messages after he left, want 1", n)
	}
	w.join(chat, bob)
	w.sendPublic(alice, "he is back")
	if m := awaitThese[rookery.PublicMessage](w, 2, bob); string(m.Payload) != "he is back" {
		t.Errorf("read %q", m.Payload)
	}
}

func TestPublicCallsThatAreRefused(t *testing.T) {
	w := newWorld(t, backends[1])
	alice := w.person(1)[0]
	ended, end := context.WithCancel(w.context())
	end()
	before := len(w.air.history())
	for name, bad := range map[string]string{
		"empty": "", "too long": strings.Repeat("x", 101), "too long in bytes": strings.Repeat("ü", 51), "not UTF-8": "\xff",
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, w.at(alice).Join(bad), rookery.ErrChat)
			wantError(t, w.at(alice).SendPublic(w.context(), bad, []byte("x")), rookery.ErrChat)
			w.at(alice).Leave(bad)
		})
	}
	send := func(payload []byte) error { return w.at(alice).SendPublic(w.context(), chat, payload) }
	wantError(t, send(nil), rookery.ErrPayloadSize)
	wantError(t, send(make([]byte, rookery.MaxPayload+1)), rookery.ErrPayloadSize)
	wantError(t, w.at(alice).SendPublic(ended, chat, []byte("x")), context.Canceled)
	if n := len(w.air.history()); n != before {
		t.Errorf("%d envelopes were published", n-before)
	}
	w.air.setRule(func(transport.Envelope) verdict { return refuse })
	wantError(t, send([]byte("x")), errRefused)
	w.air.setRule(nil)
	w.join(strings.Repeat("x", 100), alice)
	from := w.at(alice)
	w.close()
	wantError(t, from.Join(chat), rookery.ErrClosed)
	wantError(t, from.Follow(alice.key), rookery.ErrClosed)
	wantError(t, from.SendPublic(w.context(), chat, []byte("x")), rookery.ErrClosed)
	from.Leave(chat)
	w.open()
}

// A chat is not a way around encryption, nor encryption one into a chat.
// Spec: 5.messaging.1
func TestMessageInTheWrongPlaceIsRefused(t *testing.T) {
	w, alice, bob, store := pairWorld(t)
	w.join(chat, bob)
	encrypted := w.withhold(alice, bob.key, "encrypted")
	w.air.setRule(func(transport.Envelope) verdict { return hold })
	w.sendPublic(alice, "public")
	w.air.setRule(nil)
	history := w.air.history()
	public := history[len(history)-1]
	encrypted.Topic, public.Topic = public.Topic, encrypted.Topic
	settle(t, store)
	before := digestOf(t, store, whatContactsAreTo(t, bob))
	for n, e := range []transport.Envelope{encrypted, public} {
		w.air.deliver([]transport.Envelope{e})
		wantError(t, awaitThese[rookery.Refused](w, n+1, bob).Err, cause.ErrUnsupported)
	}
	if digestOf(t, store, whatContactsAreTo(t, bob)) != before {
		t.Error("the contact has changed")
	}
	w.air.release()
	w.awaitMessages(2, bob)
	awaitThese[rookery.PublicMessage](w, 1, bob)
}
