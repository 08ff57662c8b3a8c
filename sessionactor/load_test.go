package sessionactor

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
)

// Whoever wakes for one message reads its session and, if there can be some, its
// skipped message keys: both together, in every state of them.
func TestLoadLooksForSkippedKeysOnlyWhereThereMayBeSome(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	stored := newShelf()
	now := int64(1)
	receive := func(p packet) {
		t.Helper()
		now++
		before := bob.sessions
		next, change, _, err := before.Decrypt(&bob.key, bob.ends, bob.incoming(p), limits(), now)
		if err != nil {
			t.Fatal(err)
		}
		stored.apply(bob.place().Records(change, &before))
		bob.advance(t, next, change)
	}
	check := func(when string, scans, keys int) {
		t.Helper()
		stored.scans = 0
		loaded := stored.load(t, bob)
		if stored.scans != scans {
			t.Errorf("%s: %d scans, want %d", when, stored.scans, scans)
		}
		n := 0
		for _, set := range loaded.Skipped {
			n += set.Len()
		}
		if n != keys {
			t.Errorf("%s: %d skipped keys, want %d", when, n, keys)
		}
		if got, want := fingerprint(loaded), fingerprint(bob.sessions); got != want {
			t.Errorf("%s: loaded\n%s\nwant\n%s", when, got, want)
		}
	}
	receive(alice.send(t, "1", 1))
	check("nothing skipped", 1, 0)
	late := alice.send(t, "2", 1)
	later := alice.send(t, "3", 1)
	receive(alice.send(t, "4", 1))
	check("two skipped", 2, 2)
	receive(late)
	check("one has come", 2, 1)
	receive(later)
	check("both have come", 1, 0)

	for name, value := range stored.values { // as it was before the mark was kept
		if name.Kind() != persistence.KindSession {
			continue
		}
		var r record.Session
		if err := proto.Unmarshal(value, &r); err != nil {
			t.Fatal(err)
		}
		r.NothingSkipped = false
		value, err := proto.Marshal(&r)
		if err != nil {
			t.Fatal(err)
		}
		stored.values[name] = value
	}
	check("a record without the mark", 2, 0)
}

// Nothing is searched for as long as the session in use lists the others, whoever makes
// them and however they go.
func TestActiveSessionListsTheOthers(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	stored := newShelf()
	now := int64(1)
	check := func(when string) {
		t.Helper()
		stored.scans, stored.gets = 0, 0
		loaded, err := Load(t.Context(), stored, bob.place(), bob.sessions.Active)
		if err != nil || fingerprint(loaded) != fingerprint(bob.sessions) {
			t.Errorf("%s: %v,\n%s\nwant\n%s", when, err, fingerprint(loaded), fingerprint(bob.sessions))
		}
		scans, gets := 0, len(bob.sessions.List)
		if gets > maxListed+1 {
			scans, gets = 1, 1
		}
		if stored.scans != scans || stored.gets != gets {
			t.Errorf("%s: %d scans and %d look-ups, want %d and %d", when, stored.scans, stored.gets, scans, gets)
		}
	}
	apply := func(next Sessions, change Change, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		stored.apply(bob.place().Records(change, &bob.sessions))
		bob.advance(t, next, change)
	}
	receive := func(p packet) {
		t.Helper()
		next, change, _, err := bob.sessions.Decrypt(&bob.key, bob.ends, bob.incoming(p), limits(), now)
		apply(next, change, err)
	}
	send := func() {
		t.Helper()
		next, change, _, err := bob.sessions.Send(&bob.key, bob.ends, Outgoing{Payload: []byte("x"), Entry: bob.peer}, now, bob.rand)
		apply(next, change, err)
	}
	for n := range maxListed + 3 {
		now = int64(10 * (n + 1))
		when := fmt.Sprint("session ", n, ", ")
		if n%2 == 0 {
			alice.rotate(t, now)
			bob.peer = alice.entry()
			send()
			check(when + "made by us")
		} else {
			bob.rotate(t, now)
			alice.sessions, alice.peer = Sessions{}, bob.entry()
			receive(alice.send(t, "x", now))
			check(when + "made by the peer")
		}
		send()
		check(when + "used")
	}
	for now < 3*retention {
		now += retention / 2
		next, change := bob.sessions.Sweep(nil, now)
		apply(next, change, nil)
		check(fmt.Sprint("swept at ", now))
	}
	if n := len(bob.sessions.List); n != 1 {
		t.Errorf("%d sessions are left", n)
	}
}
