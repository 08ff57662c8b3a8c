package sessionactor

import (
	"errors"
	"testing"

	"github.com/rookery-im/rookery/ratchet"
)

// T27: an initial message that comes again is refused, whatever has become of
// its session and of our prekey since, and it resets nothing.
// Spec: 5.security-considerations.1
func TestReplayedInitialMessageIsRefusedForGood(t *testing.T) {
	const day = retention / 14
	restart := func(t *testing.T, s *side) { s.sessions = s.clone(t).sessions }
	rekey := func(t *testing.T, alice, bob *side) {
		bob.rotate(t, 20)
		alice.peer = bob.entry()
		converse(t, alice, bob, 21)
	}
	sweep := func(t *testing.T, s *side, now int64) {
		next, change := s.sessions.Sweep(prekeys(s), now)
		s.advance(t, next, change)
	}
	for _, test := range []struct {
		name  string
		since func(t *testing.T, alice, bob *side)
		want  error
	}{
		{"at once", func(*testing.T, *side, *side) {}, ratchet.ErrMessageKeyGone},
		{"after a restart", func(t *testing.T, _, bob *side) { restart(t, bob) }, ratchet.ErrMessageKeyGone},
		{"session expired", rekey, ratchet.ErrMessageKeyGone},
		{"session expired, after a restart", func(t *testing.T, alice, bob *side) {
			rekey(t, alice, bob)
			restart(t, bob)
		}, ratchet.ErrMessageKeyGone},
		{"session forgotten within the grace of the prekey", func(t *testing.T, alice, bob *side) {
			rekey(t, alice, bob)
			sweep(t, bob, 21+15*day)
			if bob.sessions.List[0].Status != Forgotten {
				t.Fatalf("the session is %v", bob.sessions.List[0].Status)
			}
		}, ratchet.ErrMessageKeyGone},
		{"session forgotten, after a restart", func(t *testing.T, alice, bob *side) {
			rekey(t, alice, bob)
			sweep(t, bob, 21+15*day)
			restart(t, bob)
		}, ratchet.ErrMessageKeyGone},
		{"session deleted to make room", func(t *testing.T, alice, bob *side) {
			for range maxSessions {
				alice.sessions = Sessions{}
				alice.signed++
				bob.receive(t, alice.send(t, "start", 20), 20)
			}
		}, ratchet.ErrMessageKeyGone},
		{"prekey destroyed, session deleted", func(t *testing.T, alice, bob *side) {
			rekey(t, alice, bob)
			bob.prekeys = bob.prekeys[1:]
			sweep(t, bob, 21+15*day)
			if len(bob.sessions.List) != 1 {
				t.Fatalf("%d sessions", len(bob.sessions.List))
			}
		}, ErrUnknownPreKey},
	} {
		t.Run(test.name, func(t *testing.T) {
			alice, bob := newPair(t, t.Name())
			first := alice.send(t, "first", 10)
			bob.receive(t, first, 11)
			test.since(t, alice, bob)
			for range 2 {
				if err := bob.refuse(t, first, 22); !errors.Is(err, test.want) || errors.Is(err, ErrCloned) {
					t.Errorf("got %v, want %v", err, test.want)
				}
			}
			bob.receive(t, alice.send(t, "goes on", 23), 23)
		})
	}
}
