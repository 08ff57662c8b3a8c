package sessionactor

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/ratchet"
)

// clone is a second copy of the side's installation, as from a backup.
func (s *side) clone(tb testing.TB) *side {
	tb.Helper()
	stored := newShelf()
	stored.put(tb, s, Change{Put: s.sessions.all(), Active: s.sessions.Active})
	d := *s.device
	d.rand = seeded("the copy's own")
	again := &side{device: &d, ends: s.ends, peer: s.peer}
	again.sessions = stored.load(tb, s)
	return again
}

// T42: two copies of one installation send on from the same state. The second
// message with one number is reported as the work of a copy, the same message
// twice as a duplicate; also after a restart of the receiver.
func TestCopyOfAnInstallationIsToldFromADuplicate(t *testing.T) {
	for _, established := range []bool{false, true} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("established %v, restart %v", established, restart), func(t *testing.T) {
				alice, bob := newPair(t, t.Name())
				if established {
					converse(t, alice, bob, 10)
				}
				bob.receive(t, alice.send(t, "before", 11), 11)
				copied := alice.clone(t)
				one, other := alice.send(t, "one", 12), copied.send(t, "other", 12)
				bob.receive(t, one, 13)
				if restart {
					bob.sessions = bob.clone(t).sessions
				}
				if err := bob.refuse(t, other, 14); !errors.Is(err, ErrCloned) || !errors.Is(err, ratchet.ErrMessageKeyGone) {
					t.Errorf("the copy's message: %v", err)
				}
				if err := bob.refuse(t, one, 15); errors.Is(err, ErrCloned) || !errors.Is(err, ratchet.ErrMessageKeyGone) {
					t.Errorf("the duplicate: %v", err)
				}
				// The copy is ahead now and its messages are taken for the real
				// ones; then it is the original that is reported.
				bob.receive(t, copied.send(t, "the copy goes on", 16), 16)
				if err := bob.refuse(t, alice.send(t, "so does the original", 17), 17); !errors.Is(err, ErrCloned) {
					t.Errorf("the original: %v", err)
				}
			})
		}
	}
}

// T42: a number that arrived late is remembered as well, and a chain that was
// left behind too.
func TestCopyIsToldOnALateNumberOfAnOldChain(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	converse(t, alice, bob, 10)
	bob.receive(t, alice.send(t, "before", 10), 10)
	copied := alice.clone(t)
	late, next := alice.send(t, "late", 11), alice.send(t, "next", 11)
	bob.receive(t, next, 12)
	bob.receive(t, late, 12)
	alice.receive(t, bob.send(t, "turn", 13), 13)
	bob.receive(t, alice.send(t, "new chain", 14), 14)
	if err := bob.refuse(t, copied.send(t, "other", 15), 15); !errors.Is(err, ErrCloned) {
		t.Errorf("got %v", err)
	}
}

// What is remembered is bounded; beyond it a copy looks like a duplicate.
func TestOnlyTheLastMessagesAreRemembered(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	copied := func() *side { alice.send(t, "x", 9); return alice.clone(t) }()
	var sent []packet
	for i := range len(Seen{}) + 2 {
		sent = append(sent, alice.send(t, fmt.Sprint(i), 10))
		bob.receive(t, sent[i], 10)
	}
	for i := range sent {
		want := i >= 2
		if err := bob.refuse(t, copied.send(t, "other", 11), 11); errors.Is(err, ErrCloned) != want || !errors.Is(err, ratchet.ErrMessageKeyGone) {
			t.Errorf("message %d: %v", i, err)
		}
	}
	s := bob.active(t)
	if n := len(s.Seen.append(nil)); n > 200 {
		t.Errorf("%d bytes", n)
	}
}
