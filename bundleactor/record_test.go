package bundleactor

import (
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/proto/wire"
)

var owner = persistence.OwnerID{7}

func apply(tb testing.TB, store persistence.Store, records ...persistence.Record) {
	tb.Helper()
	if err := store.Apply(tb.Context(), persistence.Batch{Records: records}); err != nil {
		tb.Fatal(err)
	}
}

func TestPreKeysComeBackFromTheirRecords(t *testing.T) {
	store := memory.New()
	own := newIdentity(t, "own")
	var keys PreKeys
	for i := range int64(20) {
		var change Change
		keys, change = rotate(t, keys, noon+i*day)
		b, err := keys.Bundle(own, "device", nil, noon+i*day, 0)
		if err != nil {
			t.Fatal(err)
		}
		list, err := records(owner, change, &b)
		if err != nil {
			t.Fatal(err)
		}
		apply(t, store, list...)
		loaded, last, err := load(t.Context(), store, owner)
		if err != nil || last != b.Timestamp || !reflect.DeepEqual(loaded, keys) {
			t.Fatalf("day %d: loaded %+v signed at %d, %v; want %+v", i, loaded, last, err, keys)
		}
	}
	if len(keys) != 15 {
		t.Errorf("%d prekeys, want the current one and those of 14 days", len(keys))
	}
}

func TestPublicationHoldsTheSignedBundle(t *testing.T) {
	store := memory.New()
	keys, change := rotate(t, nil, noon)
	b, err := keys.Bundle(newIdentity(t, "own"), "device", nil, noon, 0)
	if err != nil {
		t.Fatal(err)
	}
	list, err := records(owner, change, &b)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, store, list...)
	value, err := store.Get(t.Context(), publicationName(owner))
	if err != nil {
		t.Fatal(err)
	}
	var r record.Publication
	if err := proto.Unmarshal(value, &r); err != nil {
		t.Fatal(err)
	}
	if got, err := wire.DecodeBundle(r.GetBundle()); err != nil || !reflect.DeepEqual(got, b) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestNothingStoredIsNothing(t *testing.T) {
	keys, last, err := load(t.Context(), memory.New(), owner)
	if len(keys) != 0 || last != 0 || err != nil {
		t.Errorf("got %+v, %d, %v", keys, last, err)
	}
}

func TestCorruptRecordsAreReported(t *testing.T) {
	short, err := proto.Marshal(&record.PreKey{PrivateKey: []byte("short"), Version: 1})
	if err != nil {
		t.Fatal(err)
	}
	zero, err := proto.Marshal(&record.PreKey{PrivateKey: make([]byte, 32), Version: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]persistence.Record{
		"prekey that is no record":      {Name: preKeyName(owner, 1), Value: []byte("\xff")},
		"prekey without a key":          {Name: preKeyName(owner, 1)},
		"prekey of 5 bytes":             {Name: preKeyName(owner, 1), Value: short},
		"prekey out of range":           {Name: preKeyName(owner, 1), Value: zero},
		"publication that is no record": {Name: publicationName(owner), Value: []byte("\xff")},
	} {
		store := memory.New()
		apply(t, store, r)
		if _, _, err := load(t.Context(), store, owner); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	keys, _ := rotate(f, nil, noon)
	good, err := proto.Marshal(&record.PreKey{PrivateKey: keys[0].Key.Scalar(), Version: 1, Created: noon})
	if err != nil {
		f.Fatal(err)
	}
	published, err := proto.Marshal(&record.Publication{Timestamp: noon})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, published)
	f.Add([]byte{}, []byte{})
	f.Add(good[:20], published[:1])
	f.Fuzz(func(t *testing.T, prekey, publication []byte) {
		store := memory.New()
		apply(t, store,
			persistence.Record{Name: preKeyName(owner, 1), Value: prekey},
			persistence.Record{Name: publicationName(owner), Value: publication})
		keys, _, err := load(t.Context(), store, owner)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("got %v", err)
			}
			return
		}
		if len(keys) != 1 || keys.Find(keys[0].Key.Public()) == nil {
			t.Fatalf("loaded %+v", keys)
		}
	})
}
