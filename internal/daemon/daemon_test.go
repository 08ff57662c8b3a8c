package daemon

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery/internal/daemon/token"
)

// The whole way of two bots: contact code, request, answer, acknowledgements.
func TestTwoBotsTalk(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	sent := alice.send(bob, "hello", "")
	if !sent.ForwardSecrecy || len(sent.MessageID) != 64 {
		t.Errorf("receipt %+v", sent)
	}
	events := bob.listen("")
	request := events.message()
	if request.Type != "EVENT_TYPE_CONTACT_REQUEST" || request.text() != "hello" || request.Contact != alice.key || request.MessageID != sent.MessageID || request.Identity != bob.key {
		t.Errorf("got %+v", request)
	}
	bob.call("ContactService/AcceptContact", object{"contact": alice.key}, nil)
	bob.send(alice, "hello back", "")
	if e := alice.listen("").message(); e.Type != "EVENT_TYPE_MESSAGE" || e.text() != "hello back" {
		t.Errorf("got %+v", e)
	}
	if n := bob.ack(request.ID, "unknown"); n != 1 {
		t.Errorf("%d acknowledged", n)
	}
	if n := bob.ack(request.ID); n != 0 {
		t.Errorf("%d acknowledged twice", n)
	}
	alice.call("MessageService/AwaitTaken", object{"to": bob.key, "messageId": sent.MessageID}, nil)
	var contacts struct {
		Contacts []struct{ PublicKey, Standing string }
	}
	bob.call("ContactService/ListContacts", object{}, &contacts)
	if len(contacts.Contacts) != 1 || contacts.Contacts[0].PublicKey != alice.key || contacts.Contacts[0].Standing != "STANDING_ACCEPTED" {
		t.Errorf("got %+v", contacts)
	}
}

// What was not acknowledged comes again to whoever comes, also after a restart, under
// the same id; what was does not.
func TestUnacknowledgedMessagesComeAgainUnderTheSameID(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	for _, text := range []string{"one", "two", "three"} {
		alice.send(bob, text, "")
	}
	ids := make(map[string]string)
	first := bob.listen("")
	for range 3 {
		e := first.message()
		ids[e.text()] = e.ID
	}
	second := bob.listen("") // each gets everything
	for range 3 {
		if e := second.message(); ids[e.text()] != e.ID {
			t.Errorf("another consumer got %+v", e)
		}
	}
	bob.ack(ids["two"])
	h.restart()
	third := bob.listen("")
	for range 2 {
		e := third.message()
		if e.text() == "two" || ids[e.text()] != e.ID {
			t.Errorf("after the restart %+v", e)
		}
	}
	alice.send(bob, "four", "")
	if e := third.message(); e.text() != "four" {
		t.Errorf("got %+v", e)
	}
}

// A stream goes on behind the cursor of the last event that was got; one of another
// life begins anew.
func TestStreamGoesOnBehindACursor(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	alice.send(bob, "one", "")
	events := bob.listen("")
	one := events.message()
	events.close()
	alice.send(bob, "two", "")
	if e := bob.listen(one.Cursor).message(); e.text() != "two" {
		t.Errorf("behind the first came %+v", e)
	}
	h.restart()
	again := bob.listen(one.Cursor)
	got := map[string]bool{again.message().text(): true}
	got[again.message().text()] = true
	if !got["one"] || !got["two"] {
		t.Errorf("after a restart came %v", got)
	}
	for _, wrong := range []string{"x", one.Cursor + ".1", strings.Replace(one.Cursor, ".", "..", 1), " " + one.Cursor[1:]} {
		if l, status, body := h.tryListen(bob.token, bob.key, wrong); l != nil || status != http.StatusBadRequest {
			t.Errorf("cursor %q: %d %s", wrong, status, body)
		}
	}
}

func TestTokensAreForOneIdentityAndTellNothingOfOthers(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.resident("alice"), h.resident("bob")
	expired := h.token(token.Token{Identity: alice.key, Expires: time.Now().Add(-time.Minute)})
	for name, bearer := range map[string]string{"none": "", "wrong": "x", "malformed": strings.Repeat("0", 64), "expired": expired, "cut": alice.token[1:]} {
		if f := h.refused("unauthenticated", bearer, "IdentityService/GetIdentity", object{"identity": alice.key}); f.Message == "" {
			t.Errorf("%s: no reason", name)
		}
		if l, status, _ := h.tryListen(bearer, alice.key, ""); l != nil || status != http.StatusUnauthorized {
			t.Errorf("%s: a stream with status %d", name, status)
		}
	}
	nobody := "02" + strings.Repeat("ab", 32)
	var said []failure
	for _, other := range []string{bob.key, nobody, "", "x", bob.key + "/x"} {
		said = append(said, h.refused("permission_denied", alice.token, "IdentityService/GetIdentity", object{"identity": other}))
		said = append(said, h.refused("permission_denied", alice.token, "MessageService/Send", object{"identity": other, "to": bob.key, "payload": []byte("x")}))
		said = append(said, h.refused("permission_denied", alice.token, "EventService/AckEvents", object{"identity": other, "ids": []string{"x"}}))
		said = append(said, h.refused("permission_denied", alice.token, "ContactService/ListContacts", object{"identity": other}))
		if l, status, _ := h.tryListen(alice.token, other, ""); l != nil || status != http.StatusForbidden {
			t.Errorf("%q: a stream with status %d", other, status)
		}
	}
	for _, f := range said {
		if f != said[0] {
			t.Errorf("%+v tells something that %+v does not", f, said[0])
		}
	}
	for _, method := range []string{"DaemonService/GetStats", "DaemonService/GetHealth", "IdentityService/CreateIdentity"} {
		h.refused("permission_denied", alice.token, method, object{})
	}
	h.refused("permission_denied", alice.token, "IdentityService/DeleteIdentity", object{"identity": alice.key})
	h.refused("invalid_argument", h.admin, "IdentityService/GetIdentity", object{"identity": "x"})
	var own struct{ Identities []struct{ PublicKey string } }
	h.call(alice.token, "IdentityService/ListIdentities", object{}, &own)
	if len(own.Identities) != 1 || own.Identities[0].PublicKey != alice.key {
		t.Errorf("alice's token lists %+v", own)
	}
	if log := h.log.String(); strings.Contains(log, alice.token) || strings.Contains(log, h.admin) || strings.Contains(log, expired) {
		t.Error("a token was logged")
	}
}

// A token that is revoked or expires ends the streams that it has opened.
func TestRevokedTokenEndsItsStreams(t *testing.T) {
	h := newHouse(t, func(h *house) { h.options.SignOfLife = 10 * time.Millisecond })
	alice := h.resident("alice")
	events := alice.listen("")
	for _, one := range must(h.tokens.List())(t) {
		if one.Identity == alice.key {
			if err := h.tokens.Revoke(one.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := events.ended(); !strings.Contains(err.Error(), "unauthenticated") {
		t.Errorf("it ended with %v", err)
	}
}

// A key makes one message of a request and its repetitions, also over a restart.
func TestRepeatedRequestUnderOneKeySendsOneMessage(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	first := alice.send(bob, "hello", "k1")
	if again := alice.send(bob, "hello", "k1"); again != first {
		t.Errorf("got %+v, then %+v", first, again)
	}
	bob.listen("").message() // the network keeps nothing for who is away: bob has it before he goes
	h.restart()
	if again := alice.send(bob, "hello", "k1"); again != first {
		t.Errorf("got %+v, then %+v", first, again)
	}
	h.refused("already_exists", alice.token, "MessageService/Send", object{"identity": alice.key, "to": bob.key, "payload": []byte("other"), "idempotencyKey": "k1"})
	alice.send(bob, "last", "")
	events := bob.listen("")
	if one, two := events.message(), events.message(); one.text() == two.text() {
		t.Errorf("%q came twice", one.text())
	}
	var group struct {
		Results []struct {
			Member, Code string
			Receipt      receipt
		}
	}
	alice.call("MessageService/SendGroup", object{"members": []string{bob.key, alice.key}, "payload": []byte("all"), "idempotencyKey": "g"}, &group)
	if len(group.Results) != 1 || group.Results[0].Receipt.MessageID == "" {
		t.Errorf("got %+v", group)
	}
}

// A deleted identity ends its streams, and takes its feed out of the handler's way.
func TestDeletedIdentityEndsItsStreams(t *testing.T) {
	h := newHouse(t, func(h *house) { h.options.MaxWaiting = 1 })
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	for _, text := range []string{"one", "two", "three"} { // the handler is held up
		alice.send(bob, text, "")
	}
	events := bob.listen("")
	events.message()
	var got struct{ Identity struct{ Installation string } }
	bob.call("IdentityService/GetIdentity", object{}, &got)
	request := object{"identity": bob.key, "installation": got.Identity.Installation}
	h.refused("not_found", h.admin, "IdentityService/DeleteIdentity", object{"identity": bob.key})
	h.call(h.admin, "IdentityService/DeleteIdentity", request, nil)
	if err := events.ended(); !strings.Contains(err.Error(), "not_found") {
		t.Errorf("it ended with %v", err)
	}
	h.refused("not_found", bob.token, "IdentityService/GetIdentity", object{"identity": bob.key})
}
