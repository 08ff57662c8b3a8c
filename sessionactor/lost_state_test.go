package sessionactor

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// T44: a session that nobody has answered is of no use when its prekey is gone:
// what is sent on it could not be read.
func TestUnansweredSessionEndsWithItsPrekey(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	alice.send(t, "first", 10)
	const late = 16 * int64(24*time.Hour)
	if _, _, _, err := alice.sessions.Send(&alice.key, alice.ends, alice.outgoing("later"), late, alice.rand); !errors.Is(err, ErrStalePreKey) {
		t.Errorf("sent on a prekey of 16 days ago: %v", err)
	}
	bob.signed = late - 5 // the same prekey, signed again: its owner still has it
	alice.peer = bob.entry()
	alice.send(t, "still good", late)
}

// T08: a clock that shows 1970 for a while deletes nothing early.
func TestClockAt1970DeletesNoSession(t *testing.T) {
	const now = int64(1_767_225_600_000_000_000)
	alice, bob := newPair(t, t.Name())
	alice.signed, bob.signed = now, now
	alice.peer, bob.peer = bob.entry(), alice.entry()
	bob.receive(t, alice.send(t, "a", now), now)
	alice.receive(t, bob.send(t, "b", now), now)
	late := alice.send(t, "late", now)
	alice.rotate(t, now+1)
	bob.peer = alice.entry()
	bob.send(t, "the session before expires", now+2)
	for _, at := range []int64{1, now + int64(time.Hour)} {
		next, change := bob.sessions.Sweep(nil, at)
		if len(change.Transitions) != 0 {
			t.Errorf("at %d: %v", at, change.Transitions)
		}
		next.Apply(change)
		bob.sessions = next
	}
	if _, err := bob.try(t, late, now+int64(time.Hour)); err != nil {
		t.Errorf("a late message: %v", err)
	}
}

// A peer that has lost its state under the same installation id starts over,
// also if its contact code is heard before its first message.
func TestPeerThatLostItsStateTakesOverAfterItsContactCode(t *testing.T) {
	for seed := range 30 {
		alice, bob := newPair(t, fmt.Sprint(t.Name(), seed))
		bob.receive(t, alice.send(t, "a", 10), 10)
		alice.receive(t, bob.send(t, "b", 11), 11)
		alice.sessions, alice.prekeys = Sessions{}, nil
		alice.rotate(t, 100)
		bob.peer = alice.entry()
		dead := bob.sessions.Active
		bob.receive(t, alice.send(t, "recovered", 101), 101)
		if bob.sessions.Active == dead {
			t.Fatalf("seed %d: the session that the peer has lost is still used", seed)
		}
		converse(t, alice, bob, 110)
		if bob.active(t).Order != alice.active(t).Order {
			t.Errorf("seed %d: the sides use different sessions", seed)
		}
	}
}
