package deviceactor

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/proto/record"
)

// searched counts the scans of a store.
type searched struct {
	persistence.Store
	scans int
}

func (s *searched) Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error {
	s.scans++
	return s.Store.Scan(ctx, prefix, fn)
}

// stores applies the effects of a step, and tells whether the contact's record is among
// their records.
func stores(t *testing.T, store persistence.Store, c *Contact, e Effects) bool {
	t.Helper()
	records, err := e.Records(owner, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Apply(t.Context(), persistence.Batch{Records: records}); err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(records, func(r persistence.Record) bool { return r.Name.Kind() == persistence.KindContact })
}

// A contact that wakes looks its installations up by their names; whatever becomes of
// them, it finds them all.
func TestInstallationsAreFoundByTheContactsRecord(t *testing.T) {
	store := &searched{Store: memory.New()}
	c := Contact{Identity: peer, FirstSeen: 1}
	check := func(when string, scans int) {
		t.Helper()
		store.scans = 0
		loaded, err := LoadContact(t.Context(), store, owner, peer)
		if err != nil || !reflect.DeepEqual(loaded, c) {
			t.Errorf("%s: got %+v, %v; want %+v", when, loaded, err, c)
		}
		if store.scans != scans {
			t.Errorf("%s: %d scans, want %d", when, store.scans, scans)
		}
	}
	put := func(in Installation) bool {
		t.Helper()
		c = c.put(in)
		return stores(t, store, &c, Effects{Installations: []Installation{in}})
	}
	stores(t, store, &c, Effects{Contact: true})
	check("without any", 1)
	if !put(Installation{ID: "b"}) {
		t.Error("a new installation is not named")
	}
	check("one", 0)
	if put(Installation{ID: "b", Active: 7}) {
		t.Error("the contact is written again for an installation that it names")
	}
	check("one that was heard of", 0)
	for _, id := range []string{"a", "d", "c"} {
		put(Installation{ID: id})
		check("with "+id, 0)
	}
	put(Installation{ID: "e"})
	check("many", 1)
}

// Stores from before installations were listed are searched until the next message.
func TestInstallationsOfAnOlderRecordAreSearchedFor(t *testing.T) {
	store := &searched{Store: memory.New()}
	c := Contact{Identity: peer, FirstSeen: 1}.put(Installation{ID: "a"}).put(Installation{ID: "b"})
	stores(t, store, &c, Effects{Contact: true, Installations: c.Installations})
	rewriteContact(t, store, func(r *record.Contact) { r.Installations = nil })
	loaded, err := LoadContact(t.Context(), store, owner, peer)
	if err != nil || !reflect.DeepEqual(loaded.Installations, c.Installations) || store.scans != 1 {
		t.Fatalf("got %+v, %v with %d scans", loaded, err, store.scans)
	}
	next, e := loaded.heard(here, "a", 9)
	if !stores(t, store, &next, e) {
		t.Error("the next message does not list them")
	}
	store.scans = 0
	again, err := LoadContact(t.Context(), store, owner, peer)
	if err != nil || !reflect.DeepEqual(again, next) || store.scans != 0 {
		t.Errorf("got %+v, %v with %d scans; want %+v", again, err, store.scans, next)
	}
}

// A name of which there is no record hides nothing.
func TestInstallationsAreSearchedForIfOneIsMissing(t *testing.T) {
	store := &searched{Store: memory.New()}
	c := Contact{Identity: peer, FirstSeen: 1}.put(Installation{ID: "a"}).put(Installation{ID: "b"})
	stores(t, store, &c, Effects{Contact: true, Installations: c.Installations})
	rewriteContact(t, store, func(r *record.Contact) { r.Installations = []string{"a", "missing"} })
	loaded, err := LoadContact(t.Context(), store, owner, peer)
	if err != nil || !reflect.DeepEqual(loaded.Installations, c.Installations) {
		t.Errorf("got %+v, %v", loaded, err)
	}
}

func rewriteContact(t *testing.T, store persistence.Store, change func(*record.Contact)) {
	t.Helper()
	value, err := store.Get(t.Context(), contactName(owner, peer))
	if err != nil {
		t.Fatal(err)
	}
	var r record.Contact
	if err := proto.Unmarshal(value, &r); err != nil {
		t.Fatal(err)
	}
	change(&r)
	if value, err = proto.Marshal(&r); err != nil {
		t.Fatal(err)
	}
	if err := store.Apply(t.Context(), persistence.Batch{Records: []persistence.Record{{Name: contactName(owner, peer), Value: value}}}); err != nil {
		t.Fatal(err)
	}
}
