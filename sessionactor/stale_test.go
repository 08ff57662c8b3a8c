package sessionactor

import (
	"errors"
	"testing"
	"time"
)

// T44: nothing is sent to a signed prekey that its owner may have destroyed,
// neither to start with nor to start over for.
func TestNothingIsSentToAStalePrekey(t *testing.T) {
	const life = int64(15 * 24 * time.Hour)
	for _, established := range []bool{false, true} {
		for _, test := range []struct {
			age   int64
			stale bool
		}{{0, false}, {life - 1, false}, {life, true}, {100 * life, true}, {-life, false}} {
			alice, bob := newPair(t, t.Name())
			if established {
				converse(t, alice, bob, 10)
				bob.rotate(t, 20)
			}
			alice.peer = bob.entry()
			before := fingerprint(alice.sessions)
			next, _, _, err := alice.sessions.Send(&alice.key, alice.ends, alice.outgoing("x"), alice.peer.Timestamp+test.age, alice.rand)
			if errors.Is(err, ErrStalePreKey) != test.stale || (err == nil) == test.stale {
				t.Errorf("established %v, age %v: %v", established, time.Duration(test.age), err)
			}
			if err != nil && fingerprint(next) != before {
				t.Error("a refusal changed the sessions")
			}
		}
	}
}

// T44: a session that is established needs no prekey any more.
func TestEstablishedSessionOutlivesItsPrekey(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	converse(t, alice, bob, 10)
	bob.prekeys = append(bob.prekeys[:0:0], bob.prekeys...)
	years := int64(3 * 365 * 24 * time.Hour)
	p := alice.send(t, "later", years)
	in := bob.incoming(p)
	in.PreKey = nil
	_, _, text, err := bob.sessions.Decrypt(&bob.key, bob.ends, in, limits(), years)
	if err != nil || string(text) != "later" {
		t.Errorf("got %q, %v", text, err)
	}
}

// T44: a message to a destroyed prekey is refused with that cause.
func TestMessageToADestroyedPrekeyIsRefused(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	p := alice.send(t, "x", 10)
	bob.rotate(t, 20)
	bob.prekeys = bob.prekeys[1:]
	if err := bob.refuse(t, p, 21); !errors.Is(err, ErrUnknownPreKey) {
		t.Errorf("got %v", err)
	}
	alice.peer = bob.entry()
	bob.receive(t, alice.send(t, "to the new one", 22), 22)
}
