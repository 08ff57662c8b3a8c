package sessionactor

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/rookery-im/rookery/x3dh"
)

// rekeyed gives two sides whose first session has expired at the time 20 for
// bob, and for alice, who re-keyed, too.
func rekeyed(t *testing.T) (alice, bob *side) {
	t.Helper()
	alice, bob = newPair(t, t.Name())
	converse(t, alice, bob, 10)
	bob.rotate(t, 15)
	alice.peer = bob.entry()
	converse(t, alice, bob, 20)
	return alice, bob
}

// Spec: draft.expired-session.1 draft.expired-session.2
func TestExpiredSessionIsDeletedAfterFourteenDays(t *testing.T) {
	const days14 = int64(14 * 24 * time.Hour)
	for _, test := range []struct {
		name   string
		at     int64
		usable bool     // the prekey it rests on still exists
		of     int      // 0: alice made it, 1: the peer did
		left   []Status // of all sessions
	}{
		{"a moment too early", 20 + days14 - 1, false, 0, []Status{Expired, Established}},
		{"made by us", 20 + days14, true, 0, []Status{Established}},
		{"made by the peer", 20 + days14, false, 1, []Status{Established}},
		{"made by the peer, its prekey exists", 20 + days14, true, 1, []Status{Forgotten, Established}},
		{"long after", 100 * days14, false, 0, []Status{Established}},
	} {
		alice, bob := rekeyed(t)
		s := []*side{alice, bob}[test.of]
		var usable []x3dh.PreKeyPublic
		if test.usable {
			usable = append(prekeys(alice), prekeys(bob)...)
		}
		stored := newShelf()
		stored.put(t, s, Change{Put: s.sessions.all(), Active: s.sessions.Active})
		next, change := s.sessions.Sweep(usable, test.at)
		stored.put(t, s, change)
		s.advance(t, next, change)
		var left []Status
		for i := range s.sessions.List {
			left = append(left, s.sessions.List[i].Status)
		}
		if fmt.Sprint(left) != fmt.Sprint(test.left) {
			t.Errorf("%s: %v are left", test.name, left)
		}
		if fingerprint(stored.load(t, s)) != fingerprint(s.sessions) {
			t.Errorf("%s: the store holds other sessions", test.name)
		}
		if again, change := s.sessions.Sweep(usable, test.at); len(change.Put)+len(change.Drop)+len(change.Transitions) != 0 || fingerprint(again) != fingerprint(s.sessions) {
			t.Errorf("%s: sweeping twice does more", test.name)
		}
	}
}

// Spec: draft.expired-session.1
func TestSkippedKeysGoWithTheirSession(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	stored := newShelf()
	step := func(next Sessions, change Change) {
		records := bob.place().Records(change, &bob.sessions)
		stored.apply(records)
		bob.advance(t, next, change)
	}
	receive := func(p packet) {
		in := bob.incoming(p)
		next, change, _, err := bob.sessions.Decrypt(&bob.key, bob.ends, in, limits(), 10)
		if err != nil {
			t.Fatal(err)
		}
		step(next, change)
		bob.peer = in.Entry
	}
	receive(alice.send(t, "1", 10))
	alice.send(t, "lost", 10)
	receive(alice.send(t, "3", 10))
	bob.rotate(t, 15)
	alice.peer = bob.entry()
	receive(alice.send(t, "new session", 16))
	if len(stored.values) != 3 {
		t.Fatalf("%d records", len(stored.values))
	}
	step(bob.sessions.Sweep(prekeys(bob), 10+retention))
	if len(stored.values) != 2 || len(bob.sessions.Skipped) != 0 {
		t.Errorf("%d records and %d sets of skipped keys are left", len(stored.values), len(bob.sessions.Skipped))
	}
}

// T08: whatever the clock does, no session expires twice, nothing panics, and
// what a wrong clock has stamped is deleted in the end.
func TestClockThatJumpsExpiresNothingTwice(t *testing.T) {
	const year = int64(365 * 24 * time.Hour)
	noon := int64(1_750_000_000_000_000_000)
	clocks := []int64{noon, noon - 10*year, noon + 10*year, 0, math.MaxInt64, math.MinInt64, noon + 1}
	for first := range clocks {
		for second := range clocks {
			alice, bob := newPair(t, t.Name())
			expired := map[ID]int{}
			sweep := func(s *side, now int64) {
				next, change := s.sessions.Sweep(prekeys(s), now)
				s.advance(t, next, change)
				for _, told := range change.Transitions {
					if told.To == BecameExpired {
						expired[told.Session]++
					}
				}
			}
			bob.peer.Timestamp, alice.peer.Timestamp = noon, noon
			for i, now := range []int64{noon, clocks[first], clocks[second], noon + 2} {
				bob.prekeys = append(bob.prekeys, newDevice(t, "x", bob.rand).prekeys...)
				bob.signed = noon + int64(i)
				alice.peer = bob.entry()
				next, change, part, err := alice.sessions.Send(&alice.key, alice.ends, alice.outgoing("x"), now, alice.rand)
				if err != nil { // too old by that clock: nothing happened
					sweep(alice, now)
					continue
				}
				alice.advance(t, next, change)
				for _, told := range change.Transitions {
					if told.To == BecameExpired {
						expired[told.Session]++
					}
				}
				if _, err := bob.try(t, packet{part, alice.entry(), "x"}, now); err != nil {
					t.Fatalf("clocks %d and %d: %v", first, second, err)
				}
				sweep(alice, now)
				sweep(bob, now)
				alice.only(t)
				bob.only(t)
			}
			for id, n := range expired {
				if n > 1 {
					t.Errorf("clocks %d and %d: session %v expired %d times", first, second, id, n)
				}
			}
			for _, s := range []*side{alice, bob} {
				sweep(s, noon+3) // stamps of a later time become this one
				sweep(s, noon+3+retention)
				if n := s.sessions.live(); n > 1 {
					t.Errorf("clocks %d and %d: %d sessions are left", first, second, n)
				}
			}
		}
	}
}

func TestElapsedTimeDoesNotOverflow(t *testing.T) {
	for _, test := range []struct{ then, now, want int64 }{
		{1, 3, 2},
		{3, 1, 0},
		{math.MaxInt64, math.MinInt64, 0},
		{math.MinInt64, math.MaxInt64, math.MaxInt64},
		{-1, math.MaxInt64, math.MaxInt64},
		{0, math.MaxInt64, math.MaxInt64},
		{5, 5, 0},
	} {
		if got := elapsed(test.then, test.now); got != test.want {
			t.Errorf("from %d to %d: %d", test.then, test.now, got)
		}
	}
}

// A contact that is denied leaves no record of its sessions.
func TestDeleteLeavesNoRecord(t *testing.T) {
	alice, bob := rekeyed(t)
	alice.send(t, "lost", 30)
	stored := newShelf()
	in := bob.incoming(alice.send(t, "arrives", 30))
	stored.put(t, bob, Change{Put: bob.sessions.all(), Active: bob.sessions.Active})
	next, change, _, err := bob.sessions.Decrypt(&bob.key, bob.ends, in, limits(), 30)
	if err != nil {
		t.Fatal(err)
	}
	stored.put(t, bob, change)
	bob.advance(t, next, change)
	if len(stored.values) != 3 {
		t.Fatalf("%d records", len(stored.values))
	}
	gone, change := bob.sessions.Delete()
	stored.put(t, bob, change)
	gone.Apply(change)
	if len(stored.values) != 0 || len(gone.List) != 0 || len(gone.Skipped) != 0 || gone.Active != (ID{}) {
		t.Errorf("%d records and %d sessions are left", len(stored.values), len(gone.List))
	}
}
