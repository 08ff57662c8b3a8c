package sessionactor

import "testing"

// thief has what a side had stored at some time, and follows its conversation.
type thief struct{ stolen *side }

// reads tells whether the thief can decrypt a message to the side it stole from,
// by any session.
func (th *thief) reads(tb testing.TB, p packet) bool {
	tb.Helper()
	in := th.stolen.incoming(p)
	in.PreKey = nil // signed prekeys are stored elsewhere; see the test of X3DH
	next, change, _, err := th.stolen.sessions.Decrypt(&th.stolen.key, th.stolen.ends, in, limits(), 50)
	if err != nil {
		return false
	}
	next.Apply(change)
	th.stolen.sessions = next
	return true
}

// T43: what a thief of stored sessions can read afterwards, measured. A session
// in use heals with the victim's next own ratchet key: at most one round trip can
// be read. A new session heals at once, also from a thief of the archived one.
// Messages that the peer goes on sending on an archived session can be read for as
// long as it does that, since we never answer there: nothing heals it.
// Spec: 5.security-considerations.5 draft.backward-secrecy.1
func TestStolenSessionHealsWithinOneRoundTrip(t *testing.T) {
	for _, spoke := range []bool{false, true} { // who spoke last before the theft: the victim?
		alice, bob := newPair(t, t.Name())
		converse(t, alice, bob, 10)
		bob.receive(t, alice.send(t, "x", 11), 11)
		if spoke {
			alice.receive(t, bob.send(t, "x", 12), 12)
		}
		th := &thief{bob.clone(t)}
		read := 0
		for trip := 1; trip <= 5; trip++ {
			p := alice.send(t, "secret", 20)
			if th.reads(t, p) {
				read = trip
			}
			bob.receive(t, p, 20)
			alice.receive(t, bob.send(t, "answer", 20), 20)
		}
		t.Logf("victim spoke last: %v; the messages of %d round trips can be read", spoke, read)
		if read > 1 {
			t.Errorf("the messages of %d round trips can be read", read)
		}
	}
}

// T43: see above.
func TestStolenArchivedSessionReadsNothingOfTheNewOne(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	converse(t, alice, bob, 10)
	stays := alice.clone(t) // a peer that goes on using the old session
	bob.rotate(t, 20)
	alice.peer = bob.entry()
	bob.receive(t, alice.send(t, "re-keyed", 21), 21)
	th := &thief{bob.clone(t)}
	th.stolen.sessions.List = th.stolen.sessions.List[:1] // the archived one
	late := 0
	for range 5 {
		p := alice.send(t, "on the new one", 22)
		if th.reads(t, p) {
			t.Fatal("the new session is read with the keys of the archived one")
		}
		bob.receive(t, p, 22)
		alice.receive(t, bob.send(t, "answer", 22), 22)
		q := stays.send(t, "on the archived one", 22)
		if th.reads(t, q) {
			late++
		}
		bob.receive(t, q, 22)
	}
	t.Logf("of 5 messages on the archived session %d can be read, of 5 on the new one none", late)
	if late != 5 {
		t.Errorf("%d of 5 late messages are read: the text above is wrong", late)
	}
}
