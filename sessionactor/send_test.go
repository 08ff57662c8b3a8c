package sessionactor

import (
	"errors"
	"testing"
	"testing/iotest"

	"github.com/rookery-im/rookery/x3dh"
)

// Spec: 5.initialization.1
func TestFirstMessageStartsASessionOnTheNewestPrekey(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	bob.rotate(t, 5)
	alice.peer = bob.entry()
	p := alice.send(t, "x", 10)
	s := alice.active(t)
	if s.Status != Initiated || !s.Initiator || s.PreKey != alice.peer.PreKey || s.MadeFrom != alice.peer || s.Own != alice.entry() || s.Created != 10 {
		t.Errorf("got %+v", s)
	}
	if p.part.X3DH == nil || x3dh.PreKeyPublic(p.part.X3DH.SignedPreKey) != alice.peer.PreKey {
		t.Errorf("header %v", p.part.X3DH)
	}
}

// Spec: 5.initialization.2 5.x3dh-header.1 5.x3dh-header.2
func TestX3DHHeaderUntilThePeerAnswersOnThatSession(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	first := alice.send(t, "1", 10)
	if first.part.X3DH == nil {
		t.Fatal("the first message carries no X3DH header")
	}
	bob.receive(t, first, 11)
	second := alice.send(t, "2", 12)
	if second.part.X3DH == nil || *second.part.X3DH != *first.part.X3DH {
		t.Errorf("header of the second message: %v", second.part.X3DH)
	}
	answer := bob.send(t, "answer", 13)
	if answer.part.X3DH != nil {
		t.Error("the responder sends an X3DH header")
	}
	forged := answer
	forged.part.Payload = append([]byte{1}, answer.part.Payload...)
	_ = alice.refuse(t, forged, 14)
	if alice.send(t, "3", 15).part.X3DH == nil {
		t.Error("a forged answer ended the X3DH header")
	}
	alice.receive(t, answer, 16)
	if p := alice.send(t, "4", 17); p.part.X3DH != nil {
		t.Error("the X3DH header goes on after the answer")
	}
}

func TestAnswerOnAnotherSessionKeepsTheX3DHHeader(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	converse(t, alice, bob, 10)
	late := bob.send(t, "late", 20)
	bob.rotate(t, 21)
	alice.peer = bob.entry()
	if alice.send(t, "new session", 22).part.X3DH == nil {
		t.Fatal("no new session was started")
	}
	alice.receive(t, packet{late.part, bob.entry(), late.payload}, 23) // on the old one
	if alice.send(t, "again", 24).part.X3DH == nil {
		t.Error("an answer on the old session ended the header of the new one")
	}
}

// Spec: 5.re-keying.1 5.re-keying.2 5.initialization.2
func TestNewerBundleRekeysWithTheNextMessage(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Entry, x3dh.PreKeyPublic)
		rekeys bool
	}{
		{"higher version, another prekey", func(e *Entry, k x3dh.PreKeyPublic) { e.Version++; e.PreKey = k }, true},
		{"later signature, lower version, another prekey", func(e *Entry, k x3dh.PreKeyPublic) { e.Timestamp++; e.Version--; e.PreKey = k }, true},
		{"signed again", func(e *Entry, _ x3dh.PreKeyPublic) { e.Timestamp += 1000 }, false},
		{"higher version of the same prekey", func(e *Entry, _ x3dh.PreKeyPublic) { e.Version++ }, false},
		{"another prekey, neither newer nor higher", func(e *Entry, k x3dh.PreKeyPublic) { e.PreKey = k }, false},
		{"no entry any more", func(e *Entry, _ x3dh.PreKeyPublic) { *e = Entry{} }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			alice, bob := newPair(t, t.Name())
			bob.rotate(t, 2)
			alice.peer = bob.entry()
			converse(t, alice, bob, 10)
			old := alice.active(t)
			bob.rotate(t, 3)
			test.change(&alice.peer, bob.entry().PreKey)
			if test.rekeys != alice.peer.replaces(old.MadeFrom) {
				t.Errorf("%v replaces %v: %v", alice.peer, old.MadeFrom, !test.rekeys)
			}
			p := alice.send(t, "next", 20)
			if started := alice.active(t).ID != old.ID; started != test.rekeys || (p.part.X3DH != nil) != test.rekeys {
				t.Fatalf("started a session: %v, with a header: %v, want %v", started, p.part.X3DH != nil, test.rekeys)
			}
			if test.rekeys {
				i := alice.sessions.find(old.ID)
				if s := alice.sessions.List[i]; s.Status != Expired || s.ExpiredAt != 20 {
					t.Errorf("the old session is %v since %d", s.Status, s.ExpiredAt)
				}
			}
			alice.only(t)
			bob.receive(t, p, 21)
			if got := bob.active(t).ID == bob.sessions.List[0].ID; got == test.rekeys {
				t.Errorf("the receiver stays on the old session: %v", got)
			}
			alice.receive(t, bob.send(t, "answer", 22), 23)
		})
	}
}

// A re-key lasts: what the new session was made from is compared after a
// restart too.
// Spec: 5.initialization.2
func TestRekeyHappensOnce(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	converse(t, alice, bob, 10)
	bob.rotate(t, 20)
	alice.peer = bob.entry()
	alice.send(t, "1", 21)
	now := alice.active(t).ID
	stored := newShelf()
	stored.put(t, alice, Change{Put: alice.sessions.all(), Active: now})
	alice.sessions = stored.load(t, alice)
	bob.signed = 30
	alice.peer = bob.entry()
	alice.send(t, "2", 31)
	if alice.active(t).ID != now {
		t.Error("the same prekey, signed again, made another session")
	}
}

func TestNothingToStartWithIsRefused(t *testing.T) {
	alice, _ := newPair(t, t.Name())
	_, _, _, err := alice.sessions.Send(&alice.key, alice.ends, Outgoing{Payload: []byte("x")}, 1, alice.rand)
	if !errors.Is(err, ErrNoPreKey) {
		t.Fatalf("got %v", err)
	}
}

func TestFailingRandomnessSendsAndChangesNothing(t *testing.T) {
	for _, established := range []bool{false, true} {
		alice, bob := newPair(t, t.Name())
		if established {
			converse(t, alice, bob, 10)
			bob.rotate(t, 20)
			alice.peer = bob.entry()
		}
		before := fingerprint(alice.sessions)
		for bytes := range 32 + 32 + 16 {
			short := iotest.DataErrReader(&limited{seeded("short"), bytes})
			next, change, part, err := alice.sessions.Send(&alice.key, alice.ends, alice.outgoing("x"), 30, short)
			if err == nil {
				t.Fatalf("sent with %d bytes of randomness", bytes)
			}
			if fingerprint(next) != before || len(change.Put) > 0 || part.DR != nil {
				t.Fatalf("with %d bytes of randomness: %v, and a part or a change", bytes, err)
			}
		}
		if fingerprint(alice.sessions) != before {
			t.Fatal("the sessions have changed")
		}
		bob.receive(t, alice.send(t, "x", 31), 32)
	}
}
