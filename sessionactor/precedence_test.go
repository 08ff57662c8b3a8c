package sessionactor

import (
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// The rule for two sessions of which we made one and the peer the other.
func TestYoungerPrekeysTellWhichSessionIsLater(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	older := alice.entry().PreKey
	alice.rotate(t, 10)
	current := alice.entry().PreKey
	alice.rotate(t, 20)
	younger := alice.entry().PreKey
	find := func(key x3dh.PreKeyPublic) *OwnPreKey {
		return alice.find(&wire.X3DHHeader{SignedPreKey: wire.PublicKey(key)})
	}
	made := Entry{PreKey: bob.entry().PreKey, Version: 2, Timestamp: 100}
	signedAgain := Entry{PreKey: made.PreKey, Version: 2, Timestamp: 900}
	before := Entry{PreKey: x3dh.PreKeyPublic{2, 1}, Version: 1, Timestamp: 50}
	after := Entry{PreKey: x3dh.PreKeyPublic{2, 2}, Version: 3, Timestamp: 150}
	lower := Entry{PreKey: x3dh.PreKeyPublic{2, 3}, Version: 1, Timestamp: 150}
	for _, test := range []struct {
		name   string
		taken  x3dh.PreKeyPublic // ours, by the peer
		sent   Entry             // the peer's, in the bundle of the message
		header Entry             // and when it made its session, if that is another
		yields [2]bool           // if our key is the first, if the peer's is
		cause  [2]Cause
	}{
		{"both the same", current, made, Entry{}, [2]bool{true, true}, [2]Cause{ConcurrentStart, ConcurrentStart}},
		{"signed again", current, signedAgain, Entry{}, [2]bool{true, true}, [2]Cause{ConcurrentStart, ConcurrentStart}},
		{"no bundle", current, Entry{}, Entry{}, [2]bool{true, true}, [2]Cause{ConcurrentStart, ConcurrentStart}},
		{"ours younger", younger, made, Entry{}, [2]bool{true, true}, [2]Cause{PeerStartedOver, PeerStartedOver}},
		{"ours older", older, made, Entry{}, [2]bool{false, false}, [2]Cause{MadeEarlier, MadeEarlier}},
		{"the peer's younger", current, after, Entry{}, [2]bool{true, true}, [2]Cause{PeerStartedOver, PeerStartedOver}},
		{"the peer's signed later with a lower version", current, lower, Entry{}, [2]bool{true, true}, [2]Cause{PeerStartedOver, PeerStartedOver}},
		{"the peer's older", current, before, Entry{}, [2]bool{false, false}, [2]Cause{MadeEarlier, MadeEarlier}},
		{"ours younger, the peer's older", younger, before, Entry{}, [2]bool{true, false}, [2]Cause{PeerStartedOver, MadeEarlier}},
		{"ours older, the peer's younger", older, after, Entry{}, [2]bool{false, true}, [2]Cause{MadeEarlier, PeerStartedOver}},
		{"the peer's the same now, older then", current, made, before, [2]bool{false, false}, [2]Cause{MadeEarlier, MadeEarlier}},
		{"the peer's younger now, older then", current, after, before, [2]bool{false, false}, [2]Cause{MadeEarlier, MadeEarlier}},
		{"the peer's younger now, the same then", current, after, made, [2]bool{true, true}, [2]Cause{ConcurrentStart, ConcurrentStart}},
		{"ours younger, the peer's older then", younger, after, before, [2]bool{true, false}, [2]Cause{PeerStartedOver, MadeEarlier}},
		{"ours older, the peer's the same then", older, after, made, [2]bool{false, false}, [2]Cause{MadeEarlier, MadeEarlier}},
	} {
		ours := Session{Origin: &Origin{Initiator: true, Own: Entry{PreKey: current}, MadeFrom: made, Order: Order{5}}, Status: Initiated, Created: 15}
		peers := Session{Origin: &Origin{PreKey: test.taken, Order: Order{4}}, Status: Established}
		in := Incoming{Part: new(wire.Part), Sent: test.sent, PreKey: find(test.taken)}
		in.Part.X3DH = &wire.X3DHHeader{}
		if h := test.header; !h.IsZero() {
			in.Part.X3DH.MadeWith = wire.PreKeyStamp{Key: wire.PublicKey(h.PreKey), Version: h.Version, Timestamp: h.Timestamp}
		}
		for i, ends := range []Ends{{Peer: x3dh.IdentityPublicKey{1}}, {Own: x3dh.IdentityPublicKey{1}}} {
			if yields, cause := ours.yields(&peers, ends, &in); yields != test.yields[i] || cause != test.cause[i] {
				t.Errorf("%s (%d): yields %v, %q", test.name, i, yields, cause)
			}
		}
	}
}

func TestEndsAgreeOnWhoseKeyIsFirst(t *testing.T) {
	for _, e := range []Ends{
		{Own: x3dh.IdentityPublicKey{2, 1}, Peer: x3dh.IdentityPublicKey{2, 2}},
		{Own: x3dh.IdentityPublicKey{2, 1}, Peer: x3dh.IdentityPublicKey{2, 1}, OwnInstallation: "a", PeerInstallation: "b"},
	} {
		other := Ends{Own: e.Peer, OwnInstallation: e.PeerInstallation, Peer: e.Own, PeerInstallation: e.OwnInstallation}
		if !e.ownFirst() || other.ownFirst() {
			t.Errorf("%v: %v and %v", e, e.ownFirst(), other.ownFirst())
		}
	}
}

// The header tells of our prekey when the session was made, and only if the
// bundle beside it has another one by now.
func TestHeaderTellsOfARotationSinceTheSessionWasMade(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	stamp := func(now int64) wire.PreKeyStamp { return alice.send(t, "x", now).part.X3DH.MadeWith }
	none, made := wire.PreKeyStamp{}, alice.entry()
	if a, b := stamp(10), stamp(10); a != none || b != none {
		t.Errorf("before the rotation %v and %v", a, b)
	}
	alice.signed = 15 // signs again
	if k := stamp(16); k != none {
		t.Errorf("after signing again %v", k)
	}
	alice.rotate(t, 20)
	want := wire.PreKeyStamp{Key: wire.PublicKey(made.PreKey), Version: made.Version, Timestamp: made.Timestamp}
	if k := stamp(21); k != want {
		t.Errorf("after the rotation %v, want %v", k, want)
	}
	alice.sessions = Sessions{}
	p := alice.send(t, "of a new session", 22)
	if p.part.X3DH.MadeWith != none {
		t.Error("a session made after the rotation says that it was before")
	}
	// A client that knows nothing of it starts sessions all the same.
	bob.receive(t, p, 23)
}

// T41: the session that A made before its rotation reaches B only by a message
// from after it, when both have left for B's session, or will.
func TestSessionFromBeforeARotationArrivesAfterIt(t *testing.T) {
	for seed := range 16 {
		alice, bob := newPair(t, fmt.Sprint(t.Name(), seed))
		alice.send(t, "lost", 10)
		alice.rotate(t, 11)
		fromBob := bob.send(t, "bob's", 12)
		late := alice.send(t, "late", 13)
		alice.receive(t, fromBob, 14)
		bob.receive(t, late, 15)
		converse(t, alice, bob, 16)
		if alice.active(t).Order != bob.active(t).Order {
			t.Errorf("seed %d: the sides use different sessions", seed)
		}
	}
}

// T41: both sides replace their prekey and start over for the other's at once.
func TestTwoRotationsThatCrossSettle(t *testing.T) {
	for seed := range 16 {
		alice, bob := newPair(t, fmt.Sprint(t.Name(), seed))
		converse(t, alice, bob, 10)
		alice.rotate(t, 20)
		bob.rotate(t, 20)
		alice.peer = bob.entry()
		fromAlice := alice.send(t, "alice's", 21)
		bob.peer = alice.entry()
		fromBob := bob.send(t, "bob's", 22)
		alice.receive(t, fromBob, 23)
		bob.receive(t, fromAlice, 23)
		converse(t, alice, bob, 24)
		if alice.active(t).Order != bob.active(t).Order {
			t.Errorf("seed %d: the sides use different sessions", seed)
		}
	}
}

// What a sibling repeats is later than the installation's own word only if it
// was signed later and its version is higher.
func TestEntriesOfSiblingsComeAfterOnlyWithAHigherVersion(t *testing.T) {
	entry := func(timestamp int64, version uint32, key byte, sibling bool) Entry {
		return Entry{PreKey: x3dh.PreKeyPublic{2, key}, Version: version, Timestamp: timestamp, BySibling: sibling}
	}
	own := entry(100, 5, 1, false)
	for _, test := range []struct {
		name  string
		other Entry
		want  int // of own compared with it
	}{
		{"itself", own, 0},
		{"signed again", entry(200, 6, 1, false), 0},
		{"own, signed later", entry(101, 4, 2, false), -1},
		{"own, signed before", entry(99, 6, 2, false), 1},
		{"own, of the same time", entry(100, 6, 2, false), -1},
		{"a sibling's, later and higher", entry(101, 6, 2, true), -1},
		{"a sibling's, later only", entry(101, 5, 2, true), 1},
		{"a sibling's, higher only", entry(100, 6, 2, true), 1},
		{"a sibling's of the same prekey", entry(900, 9, 1, true), 0},
	} {
		if got, back := own.compare(test.other), test.other.compare(own); got != test.want || back != -test.want {
			t.Errorf("%s: %d and %d, want %d", test.name, got, back, test.want)
		}
	}
	if a, b := entry(100, 5, 1, true), entry(101, 4, 2, true); a.compare(b) != -1 || b.compare(a) != 1 {
		t.Error("of two that siblings have signed, the later one is not")
	}
}

// A peer whose clock is wrong makes a session beside a bundle that is not
// believed. When its clock is right again and the same prekey becomes known,
// that is no reason to leave the session; a younger prekey is.
func TestPrekeyOfADisbelievedBundleIsNoReasonToStartOver(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	bob.peer = alice.entry()
	alice.rotate(t, 20)
	p := alice.send(t, "beside a bundle from the future", 21)
	in := bob.incoming(p)
	in.Entry, in.Sent, in.Claimed = bob.peer, Entry{}, p.entry.PreKey
	next, change, _, err := bob.sessions.Decrypt(&bob.key, bob.ends, in, limits(), 22)
	if err != nil {
		t.Fatal(err)
	}
	bob.advance(t, next, change)
	made := bob.active(t).ID
	bob.send(t, "before the clock is right", 23)
	bob.peer = alice.entry()
	bob.send(t, "after", 24)
	if bob.active(t).ID != made {
		t.Error("started over for the prekey that the session was made beside")
	}
	alice.rotate(t, 30)
	bob.peer = alice.entry()
	bob.send(t, "for a younger one", 31)
	if bob.active(t).ID == made {
		t.Error("did not start over for a younger prekey")
	}
}
