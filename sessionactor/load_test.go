package sessionactor

import (
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
