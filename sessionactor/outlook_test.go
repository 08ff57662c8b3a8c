package sessionactor

import (
	"errors"
	"testing"
	"time"
)

// What the outlook says is what the next message does.
func TestOutlookIsWhatTheNextMessageDoes(t *testing.T) {
	const day = int64(24 * time.Hour)
	start := 100 * day
	// said compares the outlook with a message that is made and not kept.
	said := func(what string, s *side, now int64, want Outlook) {
		t.Helper()
		if got := s.sessions.Outlook(s.peer, now); got != want {
			t.Errorf("%s: the outlook is %d, want %d", what, got, want)
		}
		had := s.sessions.Active != ID{}
		_, change, part, err := s.sessions.Send(&s.key, s.ends, s.outgoing("x"), now, s.rand)
		var does Outlook
		switch {
		case errors.Is(err, ErrNoPreKey):
			does = NeedsPreKey
		case errors.Is(err, ErrStalePreKey):
			does = NeedsNewerPreKey
		case err != nil:
			t.Fatal(err)
		case change.Started && had:
			does = Rekeys
		case change.Started:
			does = Starts
		case part.X3DH != nil:
			does = Repeats
		default:
			does = Continues
		}
		if does != want {
			t.Errorf("%s: the message does %d, want %d", what, does, want)
		}
	}
	alice, bob := newPair(t, "outlook")
	alice.peer, alice.signed = Entry{}, start
	said("no bundle is known", alice, start, NeedsPreKey)
	bob.rotate(t, start)
	alice.peer = bob.entry()
	said("a bundle is known", alice, start, Starts)
	said("its prekey is too old", alice, start+16*day, NeedsNewerPreKey)
	first := alice.send(t, "first", start)
	said("nobody has answered", alice, start, Repeats)
	said("nobody has answered for long", alice, start+16*day, NeedsNewerPreKey)
	bob.receive(t, first, start+1)
	alice.receive(t, bob.send(t, "answer", start+2), start+3)
	said("it was answered", alice, start+3, Continues)
	bob.rotate(t, start+day)
	alice.peer = bob.entry()
	said("a newer bundle came", alice, start+day, Rekeys)
	said("a newer bundle came, long ago", alice, start+20*day, NeedsNewerPreKey)
	alice.send(t, "re-keyed", start+day)
	expired := alice.sessions.List[0]
	if alice.sessions.List[1].DeletedAt() != 0 || expired.DeletedAt() != expired.ExpiredAt+14*day {
		t.Errorf("deleted at %d and %d", expired.DeletedAt(), alice.sessions.List[1].DeletedAt())
	}
	if until := alice.peer.UsableUntil(); !alice.peer.Usable(until-1) || alice.peer.Usable(until) {
		t.Errorf("usable until %d", until)
	}
}
