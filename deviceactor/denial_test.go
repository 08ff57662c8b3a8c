package deviceactor

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
)

// Nothing of a contact that was denied is left: no contact, installation,
// session, skipped message key, or message; and what comes then is a request.
// Spec: draft.contact-request.10
func TestDenialLeavesNoRecord(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.host("alice"), w.host("bob"), w.host("carol")
	second := w.hostDevice(alice.key, "alice-2")
	bob.requests = Ask
	talk(bob, carol)
	alice.meets(bob)
	second.meets(bob)
	before := bob.disk.hash(t)
	var late *wire.Message
	for round := range 3 {
		for i := range 4 {
			m := alice.send(bob, fmt.Sprint("please ", i))
			if i == 0 {
				late = m
			} else if i == 3 {
				bob.receive(alice, m) // three message keys are skipped
			}
		}
		bob.receive(second, second.send(bob, "from my phone"))
		stranger := w.host(fmt.Sprint("stranger-", round)) // leaves a DH-only message
		dhOnly := stranger.send(bob, "please too")
		dhOnly.Bundles = nil
		bob.receive(stranger, dhOnly)
		if bob.disk.count(t, persistence.KindSkipped) == 0 || bob.disk.count(t, persistence.KindInbox) < 5 {
			t.Fatal("nothing to delete")
		}
		for _, n := range []*node{alice, stranger} {
			if err := bob.answerRequest(n, false); err != nil {
				t.Fatal(err)
			}
			if err := bob.answerRequest(n, false); !errors.Is(err, ErrNoRequest) {
				t.Errorf("denied twice: %v", err)
			}
			if c := bob.known(n); c.Standing != Stranger || c.FirstSeen != 0 || len(c.Installations)+len(c.Seen) != 0 {
				t.Errorf("still known: %+v", c)
			}
		}
		if bob.disk.hash(t) != before {
			t.Errorf("round %d: the denial left something, or took too much", round)
		}
		if n := bob.forgotten.Load(); n != int64(2*(round+1)) {
			t.Errorf("round %d: told of %d denials", round, n)
		}
		if round == 1 {
			bob.restart(alice.key.Public())
		}
	}
	bob.receive(alice, late)
	if m := bob.last(); !m.Request || string(m.Payload) != "please 0" {
		t.Errorf("what comes then: %+v", m)
	}
}

// What still waits for the network is not sent after a denial.
// Spec: draft.contact-request.10
func TestDenialEmptiesTheOutbox(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t)
		alice, bob := w.host("alice"), w.host("bob")
		before := bob.disk.hash(t)
		talk(bob, alice)
		bob.line.refusing(true)
		bob.send(alice, "never mind")
		if err := bob.answerRequest(alice, false); err != nil {
			t.Fatal(err)
		}
		if bob.disk.hash(t) != before {
			t.Error("the denial left something")
		}
		if restart {
			bob.restart(alice.key.Public())
		}
		bob.line.refusing(false)
		for range 2 {
			w.sweep(bob, alice)
		}
		if sent := bob.line.take(); len(sent) != 0 {
			t.Errorf("after a restart %v: %d messages published", restart, len(sent))
		}
		if n := bob.leftOver.Load(); n != 0 {
			t.Errorf("messages are said to be left over %d times", n)
		}
	}
}

// A message of a device that nobody has heard of is on its way while its
// identity is denied: its session goes too.
func TestDenialWaitsForWhatIsUnderWay(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	second := w.hostDevice(alice.key, "alice-2")
	bob.requests = Ask
	alice.meets(bob)
	second.meets(bob)
	before := bob.disk.hash(t)
	bob.receive(alice, alice.send(bob, "please"))
	alices := alice.key.Public()
	release := make(chan struct{})
	bob.reader.mu.Lock()
	bob.reader.names[persistence.NewName(persistence.KindSession, bob.owner[:], alices[:], []byte("alice-2"))] = release
	bob.reader.mu.Unlock()
	m := second.send(bob, "me too")
	contact := bob.contact(alices)
	answers := make(chan error, 2)
	reply := func() actors.Reply[struct{}] {
		return actors.ReplyFunc(func(_ struct{}, err error) { answers <- err })
	}
	// As if the prekey had been found already.
	reading, err := func() (Reading, error) {
		c := bob.known(alice)
		return c.Read(bob.view(), m, "", func(*wire.Bundle) error { return nil })
	}()
	if err != nil {
		t.Fatal(err)
	}
	prekey, _ := reading.PreKey()
	found := bob.findPreKey(prekey)
	contact.Tell(gotPreKey{&arrival{message: Receive{Reply: reply(), Message: m, Encoded: m.Encode()}, reading: reading}, found, nil})
	contact.Tell(Deny{reply()})
	bob.settle(alice)
	close(release)
	for range 2 {
		if err := wait(t, answers); err != nil {
			t.Error(err)
		}
	}
	if bob.disk.hash(t) != before {
		t.Error("the denial left something")
	}
}

// A denial that the disk refused has not happened.
func TestFailedDenialChangesNothing(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	bob.requests = Ask
	alice.meets(bob)
	bob.receive(alice, alice.send(bob, "please"))
	before := bob.disk.hash(t)
	bob.disk.failing(always)
	if err := bob.answerRequest(alice, false); !errors.Is(err, ErrNotDurable) {
		t.Errorf("got %v", err)
	}
	bob.disk.failing(nil)
	if c := bob.known(alice); c.Standing != Requested || len(c.Installations) != 1 || bob.disk.hash(t) != before {
		t.Errorf("got %+v", c)
	}
	bob.receive(alice, alice.send(bob, "again"))
	if m := bob.last(); !m.Request || !m.ForwardSecrecy {
		t.Errorf("got %+v", m)
	}
}

// A session that cannot be read cannot be deleted: the denial is refused, and can
// be asked for again.
func TestDenialNeedsTheSessions(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	bob.requests = Ask
	alice.meets(bob)
	empty := bob.disk.hash(t)
	bob.receive(alice, alice.send(bob, "please"))
	alices := alice.key.Public()
	bob.restart(alices)
	before := bob.disk.hash(t)
	sessions := persistence.NewName(persistence.KindSession, bob.owner[:], alices[:], []byte("alice"))
	bob.reader.breaks(sessions, errDisk)
	if err := bob.answerRequest(alice, false); !errors.Is(err, sessionactor.ErrUnavailable) || !Unhandled(err) {
		t.Errorf("got %v", err)
	}
	if c := bob.known(alice); c.Standing != Requested || bob.disk.hash(t) != before {
		t.Errorf("got %+v", c)
	}
	bob.reader.breaks(sessions, nil)
	if err := bob.answerRequest(alice, false); err != nil || bob.disk.hash(t) != empty {
		t.Errorf("then: %v", err)
	}
}
