package sessionactor

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// T27, T43: the peer may start sessions without end. Of those that decrypt 40
// are kept, the others as long as their initial message could come again; when
// that is too much the peer is refused, until the prekeys are gone.
func TestPeerThatStartsWithoutEndIsRefused(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	var sent []packet
	for i := range maxKnown {
		alice.sessions = Sessions{}
		p := alice.send(t, fmt.Sprint(i), 10)
		sent = append(sent, p)
		if _, err := bob.try(t, p, 10); err != nil {
			t.Fatal(err)
		}
	}
	if n := bob.sessions.live(); n != maxSessions || len(bob.sessions.List) != maxKnown {
		t.Errorf("%d sessions of %d decrypt", n, len(bob.sessions.List))
	}
	for _, i := range []int{0, 100, maxKnown - 1} {
		if err := bob.refuse(t, sent[i], 11); !errors.Is(err, ratchet.ErrMessageKeyGone) {
			t.Errorf("message %d again: %v", i, err)
		}
	}
	alice.sessions = Sessions{}
	over := alice.send(t, "over", 12)
	if err := bob.refuse(t, over, 12); !errors.Is(err, ErrTooManySessions) {
		t.Errorf("got %v", err)
	}
	// What is there goes on, and we can start one ourselves.
	bob.sessions.Active = ID{}
	answer := bob.send(t, "ours", 13)
	alice.receive(t, answer, 13)
	bob.receive(t, alice.send(t, "answer", 14), 14)
	if n := bob.sessions.live(); n != maxSessions {
		t.Errorf("%d sessions decrypt", n)
	}
	// The prekey is replaced and gone: everything can be told apart again.
	bob.rotate(t, 20)
	bob.prekeys = bob.prekeys[1:]
	next, change := bob.sessions.Sweep(prekeys(bob), 30)
	bob.advance(t, next, change)
	if n := len(bob.sessions.List); n != maxSessions {
		t.Errorf("%d sessions are left", n)
	}
	alice.sessions, alice.peer = Sessions{}, bob.entry()
	bob.receive(t, alice.send(t, "anew", 31), 31)
}

// An own session that expired cannot be started again by anybody: over the bound
// it goes without a trace.
func TestOwnSessionGoesWithoutATrace(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	for i := range maxSessions + 2 {
		bob.rotate(t, int64(10+i))
		alice.peer = bob.entry()
		alice.send(t, "x", int64(10+i))
	}
	if n := len(alice.sessions.List); n != maxSessions {
		t.Errorf("%d sessions", n)
	}
	alice.only(t)
}

// T24: what one peer can make us store is bounded over all its sessions, and the
// oldest keys of the oldest session go first.
func TestSkippedKeysOfAllSessionsAreBounded(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	tight := ratchet.Limits{MaxSkip: 100, MaxKeep: 1000, MaxStored: 10}
	stored := newShelf()
	now := int64(10)
	skip := func(lost int) ID {
		now++
		var last packet
		for range lost + 1 {
			last = alice.send(t, "x", now)
		}
		in := bob.incoming(last)
		next, change, _, err := bob.sessions.Decrypt(&bob.key, bob.ends, in, tight, now)
		if err != nil {
			t.Fatal(err)
		}
		records := bob.place().Records(change, &bob.sessions)
		stored.apply(records)
		bob.advance(t, next, change)
		bob.peer = in.Entry
		return change.Session
	}
	total := func() (n int) {
		for id := range bob.sessions.Skipped {
			n += bob.sessions.Skipped[id].Len()
		}
		return n
	}
	var ids []ID
	var had []ratchet.KeyRef
	for i, lost := range []int{8, 6, 6, 9, 10, 30} {
		alice.sessions = Sessions{}
		alice.signed++
		ids = append(ids, skip(lost))
		if n := total(); n > sessionsWorth*tight.MaxStored {
			t.Fatalf("%d keys are stored after session %d", n, i)
		}
		if i == 0 {
			had = bob.sessions.Skipped[ids[0]].Refs()
		}
		if i == 3 { // 8 + 6 + 6 + 9 is 9 too many
			if got := len(bob.sessions.Skipped[ids[0]].Refs()) + 10*len(bob.sessions.Skipped[ids[1]].Refs()); got != 0+10*5 {
				t.Errorf("%d keys of the two oldest sessions are left", got)
			}
		}
		if got := stored.load(t, bob); fingerprint(got) != fingerprint(bob.sessions) {
			t.Fatal("the store holds other keys than the memory")
		}
	}
	if len(had) != 8 || total() != sessionsWorth*tight.MaxStored {
		t.Errorf("%d keys in the end", total())
	}
	// A second gap of one session: others make room, its own keys stay.
	before := bob.sessions.Skipped[ids[5]].Len()
	skip(0)
	if got := bob.sessions.Skipped[ids[5]].Len(); got != before {
		t.Errorf("%d keys of the session in use, had %d", got, before)
	}
}

// T24: the oldest keys of a session make room first.
func TestOldestKeysMakeRoomFirst(t *testing.T) {
	var keys []ratchet.SkippedKey
	for n := range uint32(6) {
		keys = append(keys, ratchet.SkippedKey{KeyRef: ratchet.KeyRef{N: n}, Seq: uint64(n)})
	}
	s := Sessions{
		List:    []*Session{{Origin: &Origin{ID: ID{1}}, Status: Expired}, {Origin: &Origin{ID: ID{2}}, Status: Established}},
		Skipped: map[ID]*ratchet.Skipped{{1}: ratchet.NewSkipped(keys)},
	}
	change := Change{Session: ID{2}, Skipped: ratchet.Effects{Add: keys[:4]}}
	s.crowd(&change, ratchet.Limits{MaxStored: 4})
	if len(change.Crowded) != 1 || len(change.Crowded[0].Keys) != 2 || change.Crowded[0].Keys[1].N != 1 {
		t.Fatalf("%v makes room", change.Crowded)
	}
	s.Apply(change)
	if a, b := s.Skipped[ID{1}].Len(), s.Skipped[ID{2}].Len(); a != 4 || b != 4 {
		t.Errorf("%d and %d keys", a, b)
	}
}

// The session that is forgotten to make room has no keys to make room with.
func TestForgottenSessionIsNotCrowded(t *testing.T) {
	keys := []ratchet.SkippedKey{{KeyRef: ratchet.KeyRef{N: 1}}, {KeyRef: ratchet.KeyRef{N: 2}}}
	s := Sessions{Skipped: make(map[ID]*ratchet.Skipped)}
	for i := range maxSessions {
		one := &Session{Origin: &Origin{ID: ID{byte(i + 1)}, Ephemeral: x3dh.EphemeralPublic{2, byte(i)}}, Status: Expired}
		s.List = append(s.List, one)
		s.Skipped[one.ID] = ratchet.NewSkipped(keys)
	}
	change := Change{Session: ID{99}, Skipped: ratchet.Effects{Add: keys}}
	s.add(&Session{Origin: &Origin{ID: ID{99}}, Status: Established}, &change)
	s.crowd(&change, ratchet.Limits{MaxStored: 1})
	for _, c := range change.Crowded {
		if c.Session == (ID{1}) {
			t.Error("keys of a forgotten session make room")
		}
	}
	s.Apply(change)
	if s.Skipped[ID{1}] != nil {
		t.Error("the forgotten session has keys")
	}
}
