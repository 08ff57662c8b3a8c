package deviceactor

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// Spec: draft.contact-request.1 draft.contact-request.10
func TestStandingFollowsPolicyAndAnswers(t *testing.T) {
	someone := Contact{Identity: x3dh.IdentityPublicKey{3, 9}}
	for _, test := range []struct {
		name     string
		c        Contact
		standing Standing
		policy   RequestPolicy
		admitted bool
		then     Standing
	}{
		{"a stranger, all accepted", someone, Stranger, AcceptAll, true, Accepted},
		{"a stranger, to be asked", someone, Stranger, Ask, true, Requested},
		{"a stranger, all denied", someone, Stranger, DenyAll, false, Stranger},
		{"a request, all accepted", someone, Requested, AcceptAll, true, Requested},
		{"a request, to be asked", someone, Requested, Ask, true, Requested},
		{"a request, all denied", someone, Requested, DenyAll, false, Requested},
		{"a contact, all accepted", someone, Accepted, AcceptAll, true, Accepted},
		{"a contact, to be asked", someone, Accepted, Ask, true, Accepted},
		{"a contact, all denied", someone, Accepted, DenyAll, true, Accepted},
		{"ourselves, all accepted", ours, Stranger, AcceptAll, true, Accepted},
		{"ourselves, to be asked", ours, Stranger, Ask, true, Accepted},
		{"ourselves, all denied", ours, Stranger, DenyAll, true, Accepted},
	} {
		v := here
		v.Requests = test.policy
		test.c.Standing = test.standing
		if got := test.c.admits(v); got != test.admitted {
			t.Errorf("%s: admitted %v", test.name, got)
		}
		if got := test.c.introduce(v); got.Standing != test.then {
			t.Errorf("%s: then %v, want %v", test.name, got.Standing, test.then)
		}
		accepted, e := test.c.Accept(5)
		if accepted.Standing != Accepted || accepted.FirstSeen != 5 || !e.Contact {
			t.Errorf("%s: accepted %+v", test.name, accepted)
		}
		if again, e := accepted.Accept(6); again.FirstSeen != 5 || e.Contact {
			t.Errorf("%s: accepted twice: %+v, %+v", test.name, again, e)
		}
	}
	for standing, want := range map[Standing]string{Stranger: "stranger", Requested: "requested", Accepted: "accepted", 9: "standing-9"} {
		if standing.String() != want {
			t.Errorf("%d is %q", standing, standing)
		}
	}
}

// What a message of each kind makes of a contact that is asked about.
// Spec: draft.contact-request.5 draft.contact-request.8 5.payload.3
func TestMessageOfAnUnknownIdentityIsARequest(t *testing.T) {
	v := here
	v.Requests = Ask
	part := &wire.Part{DH: &wire.DHHeader{Ephemeral: wire.PublicKey{2}}, Payload: []byte("c")}
	for _, test := range []struct {
		name    string
		kind    kind
		payload string
		want    Standing
		told    string
	}{
		{"only a bundle", empty, "", Stranger, ""},
		{"empty in a session", ratchets, "", Stranger, "new a, forward secrecy"},
		{"empty, DH-only", dhOnly, "", Stranger, ""},
		{"in a session", ratchets, "x", Requested, "new a, forward secrecy, message x"},
		{"DH-only", dhOnly, "x", Requested, "message x"},
		{"public", public, "x", Stranger, "message x"},
	} {
		r := Reading{Message: &wire.Message{InstallationID: "a"}, kind: test.kind, part: part}
		c, e, err := Contact{Identity: x3dh.IdentityPublicKey{3, 9}}.Receive(v, r, []byte(test.payload), 5)
		if err != nil || c.Standing != test.want || told(e) != test.told || !e.Contact || c.FirstSeen != 5 {
			t.Errorf("%s: %+v, told %q, %v", test.name, c, told(e), err)
		}
		for _, event := range e.Events {
			m, ok := event.(MessageReceived)
			if ok && (m.Request != (test.want == Requested) || m.ForwardSecrecy != (test.kind == ratchets)) {
				t.Errorf("%s: %+v", test.name, m)
			}
		}
	}
}

func (n *node) answerRequest(peer *node, accept bool) error {
	n.t.Helper()
	_, err := ask(n.t, n.contact(peer.key.Public()), func(r actors.Reply[struct{}]) any {
		if accept {
			return Accept{Reply: r}
		}
		return Deny{r}
	})
	return err
}

// last is the last message that was delivered.
func (n *node) last() MessageReceived {
	n.t.Helper()
	all := reported[MessageReceived](n)
	if len(all) == 0 {
		n.t.Fatalf("%s received nothing", n.name)
	}
	return all[len(all)-1]
}

// Spec: draft.contact-request.1 draft.contact-request.2 draft.contact-request.4
// Spec: draft.contact-request.7 draft.contact-request.8 draft.contact-request.9
func TestRequestWaitsForItsAnswer(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	bob.requests = Ask
	if err := bob.answerRequest(alice, true); !errors.Is(err, ErrNoRequest) {
		t.Errorf("accepted before there was anything: %v", err)
	}
	for i, restart := range []bool{false, false, true} {
		if restart {
			bob.restart(alice.key.Public())
		}
		bob.receive(alice, alice.send(bob, fmt.Sprint("please ", i)))
		m := bob.last()
		if string(m.Payload) != fmt.Sprint("please ", i) || !m.Request || m.ForwardSecrecy {
			t.Errorf("message %d: %+v", i, m)
		}
		value, err := bob.disk.Get(t.Context(), InboxName(bob.owner, alice.key.Public(), m.ID))
		if err != nil {
			t.Fatal(err)
		}
		if stored, err := DecodeReceived(value); err != nil || !stored.Request {
			t.Errorf("message %d: the inbox holds %+v, %v", i, stored, err)
		}
		if c := bob.known(alice); c.Standing != Requested {
			t.Errorf("message %d: the contact is %v", i, c.Standing)
		}
	}
	if err := bob.answerRequest(alice, true); err != nil {
		t.Fatal(err)
	}
	if err := bob.answerRequest(alice, true); !errors.Is(err, ErrNoRequest) {
		t.Errorf("accepted twice: %v", err)
	}
	bob.restart(alice.key.Public())
	bob.receive(alice, alice.send(bob, "thanks"))
	if m := bob.last(); m.Request || bob.known(alice).Standing != Accepted {
		t.Errorf("after the answer: %+v", m)
	}
	// The answer makes the secure channel.
	if len(reported[ForwardSecrecyEstablished](alice)) != 0 {
		t.Error("forward secrecy out of nothing")
	}
	alice.receive(bob, bob.send(alice, "welcome"))
	bob.receive(alice, alice.send(bob, "in private"))
	if m := bob.last(); !m.ForwardSecrecy || m.Request {
		t.Errorf("got %+v", m)
	}
	for _, n := range []*node{alice, bob} {
		if e := reported[ForwardSecrecyEstablished](n); len(e) != 1 {
			t.Errorf("%s was told %d times of forward secrecy", n.name, len(e))
		}
	}
}

// Spec: draft.contact-request.3
func TestRequestWithABundleAtHandIsSecret(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	bob.requests = Ask
	alice.meets(bob)
	bob.receive(alice, alice.send(bob, "please"))
	if m := bob.last(); !m.Request || !m.ForwardSecrecy {
		t.Errorf("got %+v", m)
	}
}

// Writing to a contact, and taking its bundle by hand, are answers too.
// Spec: draft.contact-request.7
func TestWritingAndTakingABundleAccept(t *testing.T) {
	for name, accept := range map[string]func(bob, alice *node){
		"writing":         func(bob, alice *node) { bob.send(alice, "hello") },
		"taking a bundle": func(bob, alice *node) { bob.meets(alice) },
	} {
		w := newWorld(t)
		alice, bob := w.host("alice"), w.host("bob")
		bob.requests = Ask
		bob.receive(alice, alice.send(bob, "please"))
		accept(bob, alice)
		bob.restart(alice.key.Public())
		bob.receive(alice, alice.send(bob, "now"))
		if m := bob.last(); string(m.Payload) != "now" || m.Request || bob.known(alice).Standing != Accepted {
			t.Errorf("%s: %+v", name, m)
		}
		// Before any message of the contact too.
		carol := w.host("carol")
		accept(bob, carol)
		carol.meets(bob)
		bob.receive(carol, carol.send(bob, "hello"))
		if m := bob.last(); m.Request {
			t.Errorf("%s first: %+v", name, m)
		}
	}
}

// T18: a message that is denied costs no state and no key agreement: the actor
// looks at nothing but its sender.
// Spec: draft.contact-request.10
func TestDenyingAllCostsNothing(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	bob.requests = DenyAll
	alice.meets(bob)
	initial := alice.send(bob, "please")
	asked := &script{make(chan any, 10)}
	bob.bundle = asked
	drawn := bob.random.read()
	refused := refusals{t, bob, alice}
	dhOnly := w.hostDevice(alice.key, "another").send(bob, "please")
	refused.check("in a session", initial, ErrDenied)
	refused.check("DH-only", dhOnly, ErrDenied)
	refused.check("only a bundle", &wire.Message{InstallationID: "alice", Bundles: initial.Bundles}, ErrDenied)
	refused.check("not for us", &wire.Message{InstallationID: "alice", Entries: []wire.Entry{{Recipient: "another"}}}, ErrDenied)
	forged := copyOf(t, initial)
	forged.Bundles[0].Signature[3] ^= 1
	refused.check("with a forged bundle", forged, ErrDenied)
	if len(asked.asked) != 0 || bob.random.read() != drawn || len(bob.line.take()) != 0 {
		t.Error("work was done for a stranger")
	}
	// An actor that was never started has neither sessions nor a disk.
	bare := New(&Config{View: bob.view(), Host: nodeHost{bob, asked}, Counters: &bob.counters, CoolDowns: &bob.coolDowns}, alice.key.Public(), nil)
	bare.contact.Identity = alice.key.Public()
	var got error
	if err := bare.Receive(nil, Receive{Message: initial, Reply: actors.ReplyFunc(func(_ struct{}, err error) { got = err })}); err != nil || !errors.Is(got, ErrDenied) {
		t.Errorf("got %v, %v", got, err)
	}
}

// Whoever we have written to, or whose bundle we were given, is no stranger.
func TestDenyingAllIsAboutStrangers(t *testing.T) {
	w := newWorld(t)
	phone := w.host("phone")
	phone.requests = DenyAll
	bob, carol, laptop := w.host("bob"), w.host("carol"), w.hostDevice(phone.key, "laptop")
	bob.receive(phone, phone.send(bob, "write to me"))
	phone.receive(bob, bob.send(phone, "here I am"))
	phone.meets(carol)
	carol.meets(phone)
	phone.receive(carol, carol.send(phone, "so am I"))
	laptop.meets(phone)
	phone.meets(laptop)
	if err := errors.Join(laptop.enable(phone, "phone", true), phone.enable(laptop, "laptop", true)); err != nil {
		t.Fatal(err)
	}
	phone.receive(laptop, laptop.send(phone, "a note"))
	if got := fmt.Sprint(phone.received()); got != "[here I am so am I a note]" {
		t.Errorf("received %s", got)
	}
	for _, m := range reported[MessageReceived](phone) {
		if m.Request {
			t.Errorf("a request: %+v", m)
		}
	}
	if err := phone.answerRequest(laptop, false); !errors.Is(err, ErrNoRequest) {
		t.Errorf("denied ourselves: %v", err)
	}
	if len(phone.known(laptop).Installations) != 1 {
		t.Error("our own devices are forgotten")
	}
}
