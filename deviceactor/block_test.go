package deviceactor

import (
	"errors"
	"testing"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

func (n *node) block(peer *node, blocked bool) error {
	n.t.Helper()
	_, err := ask(n.t, n.contact(peer.key.Public()), func(r actors.Reply[struct{}]) any { return SetBlocked{r, blocked} })
	return err
}

func TestBlockingKeepsWhatIsKnown(t *testing.T) {
	someone := Contact{Identity: x3dh.IdentityPublicKey{3, 9}}
	for _, test := range []struct {
		name     string
		c        Contact
		standing Standing
		seen     int64
	}{
		{"nobody we know", someone, Stranger, 0},
		{"a stranger", someone, Stranger, 3},
		{"a request", someone, Requested, 3},
		{"a contact", someone, Accepted, 3},
	} {
		test.c.Standing, test.c.FirstSeen = test.standing, test.seen
		blocked, e, err := test.c.Block(here, true, 5)
		if err != nil || !blocked.Blocked || !e.Contact || blocked.Standing != test.standing || blocked.FirstSeen == 0 {
			t.Errorf("%s: %+v, %+v, %v", test.name, blocked, e, err)
		}
		if again, e, err := blocked.Block(here, true, 6); err != nil || e.Contact || again.FirstSeen != blocked.FirstSeen {
			t.Errorf("%s, again: %+v, %+v, %v", test.name, again, e, err)
		}
		free, e, err := blocked.Block(here, false, 7)
		if err != nil || free.Blocked || !e.Contact || free.Standing != test.standing {
			t.Errorf("%s, not any more: %+v, %+v, %v", test.name, free, e, err)
		}
	}
	if c, e, err := ours.Block(here, true, 5); !errors.Is(err, ErrOwnIdentity) || c.Blocked || e.Contact {
		t.Errorf("ourselves: %+v, %+v, %v", c, e, err)
	}
}

// T18: what a blocked contact sends costs no state and no key agreement, however it
// comes, also after a restart; unblocked, it is who it was.
func TestBlockedContactIsNotLookedAt(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.host("alice"), w.host("bob"), w.host("carol")
	talk(alice, bob)
	talk(alice, carol)
	if err := bob.block(alice, true); err != nil {
		t.Fatal(err)
	}
	inSession := alice.send(bob, "in a session")
	another := w.hostDevice(alice.key, "another")
	dhOnly := another.send(bob, "DH-only")
	another.meets(bob)
	initial := another.send(bob, "initial")
	published := &wire.Message{InstallationID: "alice", Public: []byte("to all"), HasPublic: true}
	for _, restart := range []bool{false, true} {
		if restart {
			bob.restart(alice.key.Public())
		}
		bundle, asked := bob.bundle, &script{make(chan any, 10)}
		bob.bundle = asked
		drawn := bob.random.read()
		refused := refusals{t, bob, alice}
		refused.check("in a session", inSession, ErrBlocked)
		refused.check("DH-only", dhOnly, ErrBlocked)
		refused.check("initial", initial, ErrBlocked)
		refused.check("in public", published, ErrBlocked)
		if err := bob.tryTake(alice, alice.ownBundle()); !errors.Is(err, ErrBlocked) || Unhandled(err) {
			t.Errorf("its bundle: %v", err)
		}
		if len(asked.asked) != 0 || bob.random.read() != drawn || len(bob.line.take()) != 0 {
			t.Error("work was done for a blocked contact")
		}
		bob.bundle = bundle
	}
	bob.receive(carol, func() *wire.Message { carol.meets(bob); return carol.send(bob, "hello") }())
	if err := bob.block(alice, false); err != nil {
		t.Fatal(err)
	}
	bob.restart(alice.key.Public())
	bob.receive(alice, alice.send(bob, "friends again"))
	if m := bob.last(); string(m.Payload) != "friends again" || !m.ForwardSecrecy || m.Request {
		t.Errorf("got %+v", m)
	}
	alice.receive(bob, bob.send(alice, "so it seems"))
}

func TestNothingIsSentToABlockedContact(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	lease := bob.reserve(alice, 5)
	if err := bob.block(alice, true); err != nil {
		t.Fatal(err)
	}
	bob.wantOver(lease, "blocked")
	before := bob.disk.hash(t)
	_, sending := bob.trySend(alice, "x")
	_, reserving := bob.tryReserve(alice, 5)
	accepting, denying := bob.answerRequest(alice, true), bob.answerRequest(alice, false)
	for what, err := range map[string]error{"sending": sending, "reserving": reserving, "accepting": accepting, "denying": denying} {
		if !errors.Is(err, ErrBlocked) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if bob.disk.hash(t) != before || bob.lookedUp.Load() != 0 || len(bob.line.take()) != 0 {
		t.Error("something was done all the same")
	}
}

// What is under way when its contact is blocked is not let in or out after it.
func TestBlockingStopsWhatIsUnderWay(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	m := alice.send(bob, "please")
	bundle, asked := bob.bundle, &script{make(chan any, 2)}
	bob.bundle = asked
	answers := make(chan error, 1)
	bob.contact(alice.key.Public()).Tell(Receive{Message: m, Encoded: m.Encode(), Reply: actors.ReplyFunc(func(_ struct{}, err error) { answers <- err })})
	lookup := asked.next(t).(bundleactor.FindPreKey)
	if err := bob.block(alice, true); err != nil {
		t.Fatal(err)
	}
	bob.bundle = bundle
	lookup.Send(nil)
	if err := wait(t, answers); !errors.Is(err, ErrBlocked) {
		t.Errorf("got %v", err)
	}
	blocked := Contact{Identity: alice.key.Public(), FirstSeen: 1, Blocked: true}
	r := Reading{Message: m, kind: ratchets}
	if c, e, err := blocked.Receive(here, r, []byte("x"), 5); !errors.Is(err, ErrBlocked) || len(e.Events) != 0 || e.Contact || len(c.Installations) != 0 {
		t.Errorf("received: %+v, %+v, %v", c, e, err)
	}
	if _, _, _, e, err := blocked.Assemble(here, &Draft{}, wire.Bundle{}, 5); !errors.Is(err, ErrBlocked) || e.Contact {
		t.Errorf("assembled: %+v, %v", e, err)
	}
	if _, e, err := blocked.Grant(here, &Lease{}, 5); !errors.Is(err, ErrBlocked) || e.Contact {
		t.Errorf("granted: %+v, %v", e, err)
	}
}

// Somebody of whom nothing is known can be accepted ahead of his first message.
func TestAcceptingSomebodyUnknown(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	bob.requests = Ask
	unasked := func(of *node) error {
		_, err := ask(t, bob.contact(of.key.Public()), func(r actors.Reply[struct{}]) any { return Accept{Reply: r, Unasked: true} })
		return err
	}
	if err := errors.Join(unasked(alice), unasked(alice)); err != nil {
		t.Fatal(err)
	}
	if err := unasked(bob); !errors.Is(err, ErrNoRequest) {
		t.Errorf("accepted ourselves: %v", err)
	}
	bob.restart(alice.key.Public())
	bob.receive(alice, alice.send(bob, "hello"))
	if m := bob.last(); m.Request {
		t.Errorf("got %+v", m)
	}
}
