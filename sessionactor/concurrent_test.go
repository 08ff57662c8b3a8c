package sessionactor

import (
	"fmt"
	"testing"
)

// startBoth gives two sides that have each started a session, and the first
// message of both. bySmaller says whether alice's symmetric key is the smaller.
func startBoth(t *testing.T, aliceSmaller bool) (alice, bob *side, fromAlice, fromBob packet) {
	t.Helper()
	for seed := range 64 {
		alice, bob = newPair(t, fmt.Sprintf("%s %d", t.Name(), seed))
		fromAlice, fromBob = alice.send(t, "a", 10), bob.send(t, "b", 10)
		a, b := alice.active(t), bob.active(t)
		if a.Order.before(b.Order) == aliceSmaller {
			return alice, bob, fromAlice, fromBob
		}
	}
	t.Fatal("no seed gives the wanted order")
	return nil, nil, packet{}, packet{}
}

// Spec: 5.concurrent-sessions.1 5.concurrent-sessions.2
func TestConcurrentSessionsSmallerKeyWins(t *testing.T) {
	for _, aliceSmaller := range []bool{true, false} {
		t.Run(fmt.Sprintf("alice's is smaller %v", aliceSmaller), func(t *testing.T) {
			alice, bob, fromAlice, fromBob := startBoth(t, aliceSmaller)
			winner := bob.active(t).Order
			if aliceSmaller {
				winner = alice.active(t).Order
			}
			alice.receive(t, fromBob, 11)
			bob.receive(t, fromAlice, 11)
			for _, s := range []*side{alice, bob} {
				s.only(t)
				if len(s.sessions.List) != 2 {
					t.Errorf("%s has %d sessions", s.installation, len(s.sessions.List))
				}
				if got := s.active(t).Order; got != winner {
					t.Errorf("%s uses the session with the larger key", s.installation)
				}
			}
			converse(t, alice, bob, 12)
		})
	}
}

// T41: a peer that never answers on our session, as deployed clients do, is
// decrypted on its own and gets our X3DH header each time.
func TestPeerThatStaysOnItsOwnSessionIsStillRead(t *testing.T) {
	alice, bob, fromAlice, fromBob := startBoth(t, true)
	alice.receive(t, fromBob, 11)
	bob.receive(t, fromAlice, 11)
	// Bob ignores the rule: he goes on with the session he made.
	for i := range bob.sessions.List {
		one := bob.sessions.List[i]
		one.Status = Expired
		if one.Initiator {
			one.Status, bob.sessions.Active = Initiated, one.ID
		}
	}
	ours := alice.active(t).ID
	for i := range 5 {
		alice.receive(t, bob.send(t, fmt.Sprint("b", i), 12), 12)
		p := alice.send(t, fmt.Sprint("a", i), 12)
		if p.part.X3DH == nil {
			t.Fatal("the X3DH header stopped without an answer")
		}
		bob.receive(t, p, 12)
	}
	if alice.active(t).ID != ours {
		t.Error("the session in use changed")
	}
}

func TestLateInitialMessageOfAnEstablishedSession(t *testing.T) {
	for _, test := range []struct {
		name    string
		smaller bool // the late session's key
		change  func(*Incoming)
		yields  bool
	}{
		{"smaller key", true, func(*Incoming) {}, true},
		{"larger key", false, func(*Incoming) {}, false},
		{"larger key, bundle signed later", false, func(in *Incoming) { in.Sent.Timestamp = in.Heard + 1 }, true},
		{"larger key, bundle signed at the same time", false, func(in *Incoming) { in.Sent.Timestamp = in.Heard }, false},
		{"larger key, signed later, but nothing heard before", false, func(in *Incoming) { in.Sent.Timestamp, in.Heard = 5, 0 }, false},
		{"larger key, no bundle", false, func(in *Incoming) { in.Sent = Entry{} }, false},
		{"smaller key, sent before the prekey that ours rests on", true, func(in *Incoming) {
			in.Sent.Version, in.Sent.Timestamp, in.Sent.PreKey = 0, 0, in.PreKey.Key.Public()
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			alice, bob, late, fromBob := startBoth(t, test.smaller)
			// Alice's late first message is held back; on Bob's session both talk.
			alice.sessions = Sessions{}
			alice.receive(t, fromBob, 11)
			bob.receive(t, alice.send(t, "answer", 12), 12)
			established := bob.active(t)
			if established.Status != Established {
				t.Fatalf("bob's session is %v", established.Status)
			}
			in := bob.incoming(late)
			key := *in.PreKey
			in.PreKey = &key
			test.change(&in)
			next, _, _, err := bob.sessions.Decrypt(&bob.key, bob.ends, in, limits(), 20)
			if err != nil {
				t.Fatal(err)
			}
			bob.sessions = next
			bob.only(t)
			if got := bob.active(t).ID != established.ID; got != test.yields {
				t.Errorf("the established session gives way: %v, want %v", got, test.yields)
			}
			if i := bob.sessions.find(established.ID); test.yields && bob.sessions.List[i].ExpiredAt != 20 {
				t.Error("the established session did not expire now")
			}
		})
	}
}

// A first answer that comes after our prekey was rotated starts a session of the
// peer's own, since it re-keys. Both sides have to move there, whichever key is
// smaller.
func TestRekeyBeforeTheFirstAnswerMovesBothSides(t *testing.T) {
	for seed := range 8 {
		alice, bob := newPair(t, fmt.Sprint(t.Name(), seed))
		bob.receive(t, alice.send(t, "day 1", 10), 11)
		alice.rotate(t, 20)
		bob.receive(t, alice.send(t, "day 2", 21), 22)
		alice.receive(t, bob.send(t, "first answer", 23), 24)
		if alice.active(t).ID == alice.sessions.List[0].ID {
			t.Fatalf("seed %d: alice stays on the session that bob has left", seed)
		}
		if p := alice.send(t, "on yours", 25); p.part.X3DH != nil {
			t.Fatalf("seed %d: alice does not answer on bob's session", seed)
		}
		alice.only(t)
	}
}

// The first messages of two sessions that the peer made one after the other
// arrive in the wrong order.
func TestSessionOnAnOlderPrekeyOfOursIsLate(t *testing.T) {
	for seed := range 8 {
		alice, bob := newPair(t, fmt.Sprint(t.Name(), seed))
		late := alice.send(t, "late", 10)
		bob.rotate(t, 20)
		alice.peer = bob.entry()
		bob.receive(t, alice.send(t, "sooner", 21), 22)
		now := bob.active(t).ID
		bob.receive(t, late, 23)
		if bob.active(t).ID != now {
			t.Fatalf("seed %d: the late session took over", seed)
		}
		bob.only(t)
	}
}
