package bundleactor

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// find is PreKeys.Find of keys that are as they were made.
func find(tb testing.TB, keys PreKeys, public x3dh.PreKeyPublic) *Found {
	tb.Helper()
	found, err := keys.Find(public)
	if err != nil {
		tb.Fatal(err)
	}
	return found
}

var owner = persistence.OwnerID{7}

func apply(tb testing.TB, store persistence.Store, records ...persistence.Record) {
	tb.Helper()
	if err := store.Apply(tb.Context(), persistence.Batch{Records: records}); err != nil {
		tb.Fatal(err)
	}
}

// stored makes a step and its records durable, and reads them back.
func stored(tb testing.TB, store persistence.Store, state State, change Change) State {
	tb.Helper()
	list, err := state.Records(owner, change)
	if err != nil {
		tb.Fatal(err)
	}
	apply(tb, store, list...)
	loaded, err := Load(tb.Context(), store, owner)
	if err != nil || !reflect.DeepEqual(loaded, state) {
		tb.Fatalf("loaded %+v, %v; want %+v", loaded, err, state)
	}
	return loaded
}

// Spec: 5.prekeys.2
func TestStateComesBackFromItsRecords(t *testing.T) {
	store := memory.New()
	host := installation(t)
	var state State
	for i := range int64(20) {
		now := noon + i*day
		var change Change
		state, change = renew(t, host, state, nil, Asked, now)
		state = stored(t, store, state, change)
		state, change = renew(t, host, state, nil, Announced, now+hour/2)
		state = stored(t, store, state, change)
		if state.Signed != now || state.Announced != now+hour/2 || state.Changed != 0 {
			t.Fatalf("day %d: %+v", i, state)
		}
	}
	if len(state.Keys) != 15 {
		t.Errorf("%d prekeys, want the current one and those of 14 days", len(state.Keys))
	}
	state, change := renew(t, host, state, nil, Asked, 1) // the clock is lost
	if state = stored(t, store, state, change); state.Doubted == 0 {
		t.Error("the doubt about the clock is forgotten")
	}
}

func TestNothingStoredIsNothing(t *testing.T) {
	state, err := Load(t.Context(), memory.New(), owner)
	if !reflect.DeepEqual(state, State{}) || err != nil {
		t.Errorf("got %+v, %v", state, err)
	}
}

func TestCorruptRecordsAreReported(t *testing.T) {
	encode := func(m proto.Message) []byte {
		t.Helper()
		value, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	good, _ := renew(t, installation(t), State{}, nil, Asked, noon)
	publication := func(timestamp int64, change func(*record.Publication)) []byte {
		b := good.Bundle
		b.Timestamp = timestamp
		r := record.Publication{Bundle: wire.EncodeBundle(b), Signed: noon}
		change(&r)
		return encode(&r)
	}
	nothing := func(*record.Publication) {}
	scalar := good.Keys[0].Key.Scalar()
	for name, r := range map[string]persistence.Record{
		"prekey that is no record":           {Name: preKeyName(owner, 1), Value: []byte("\xff")},
		"prekey without a key":               {Name: preKeyName(owner, 1)},
		"prekey of 5 bytes":                  {Name: preKeyName(owner, 1), Value: encode(&record.PreKey{PrivateKey: []byte("short"), Version: 1})},
		"prekey with half a public key":      {Name: preKeyName(owner, 1), Value: encode(&record.PreKey{PrivateKey: scalar, PublicKey: make([]byte, 16)})},
		"prekey out of range":                {Name: preKeyName(owner, 1), Value: encode(&record.PreKey{PrivateKey: make([]byte, 32), Version: 1})},
		"prekey made before 1970":            {Name: preKeyName(owner, 1), Value: encode(&record.PreKey{PrivateKey: scalar, Created: -1})},
		"prekey replaced before 1970":        {Name: preKeyName(owner, 1), Value: encode(&record.PreKey{PrivateKey: scalar, Expired: -1})},
		"prekey replaced before it was made": {Name: preKeyName(owner, 1), Value: encode(&record.PreKey{PrivateKey: scalar, Created: noon, Expired: noon - 1})},
		"publication that is no record":      {Name: publicationName(owner), Value: []byte("\xff")},
		"publication of nothing":             {Name: publicationName(owner)},
		"publication of a broken bundle": {Name: publicationName(owner), Value: publication(noon, func(r *record.Publication) {
			r.Bundle = r.GetBundle()[:50]
		})},
		"publication without a prekey": {Name: publicationName(owner), Value: publication(noon, func(r *record.Publication) {
			r.Bundle = wire.EncodeBundle(wire.Bundle{Identity: good.Bundle.Identity, Timestamp: noon, Signature: good.Bundle.Signature})
		})},
		"publication before 2018":        {Name: publicationName(owner), Value: publication(earliest-1, nothing)},
		"publication at the end of time": {Name: publicationName(owner), Value: publication(math.MaxInt64, nothing)},
		"announced before 1970": {Name: publicationName(owner), Value: publication(noon, func(r *record.Publication) {
			r.Announced = -1
		})},
	} {
		store := memory.New()
		apply(t, store, r)
		if _, err := Load(t.Context(), store, owner); !errors.Is(err, ErrCorrupt) {
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
	state, _ := renew(f, installation(f), State{}, nil, Asked, noon)
	published, err := proto.Marshal(&record.Publication{Bundle: wire.EncodeBundle(state.Bundle), Signed: noon})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, published)
	ended, err := proto.Marshal(&record.PreKey{PrivateKey: keys[0].Key.Scalar(), Version: 1, Created: noon, Expired: noon})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ended, published)
	f.Add([]byte{}, []byte{})
	f.Add(good[:20], published[:1])
	f.Fuzz(func(t *testing.T, prekey, publication []byte) {
		store := memory.New()
		apply(t, store,
			persistence.Record{Name: preKeyName(owner, 1), Value: prekey},
			persistence.Record{Name: publicationName(owner), Value: publication})
		state, err := Load(t.Context(), store, owner)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("got %v", err)
			}
			return
		}
		if len(state.Keys) != 1 {
			t.Fatalf("loaded %+v", state)
		}
		if found, err := state.Keys.Find(state.Keys[0].Key.Public()); found == nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("loaded %+v, %v", state, err)
		}
		for _, now := range []int64{math.MinInt64, 0, noon, math.MaxInt64} {
			next, _, err := state.Renew(installation(t), nil, Forced, now, seeded("fuzz"))
			if err != nil && !errors.Is(err, ErrCorrupt) || err == nil && next.Bundle.Timestamp < earliest {
				t.Fatalf("at %d: signed at %d, %v", now, next.Bundle.Timestamp, err)
			}
		}
	})
}
