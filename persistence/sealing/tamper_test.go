package sealing_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// below is a store in memory that outlasts Close, for whoever wants to change
// what lies under the seal.
type below struct{ persistence.Store }

func (below) Close() error { return nil }

// over is a sealed store over one that the test can reach.
func over(t testing.TB) (sealing.Options, below) {
	disk := vfs.NewMem()
	records := below{memory.New()}
	options := on(disk, newKeyFile(t))
	options.Records = func(dir string) (persistence.Store, error) { return records, disk.MkdirAll(dir, 0o700) }
	return options, records
}

// raw is a value as it lies below.
func raw(t testing.TB, store persistence.Store, name persistence.Name) []byte {
	t.Helper()
	value, err := store.Get(t.Context(), name)
	ok(t, err)
	return value
}

// lay puts a value below.
func lay(t testing.TB, store persistence.Store, name persistence.Name, value []byte) {
	t.Helper()
	ok(t, store.Apply(t.Context(), persistence.Batch{Head: true, Records: []persistence.Record{{Name: name, Value: value}}}))
}

// refused checks that a record is told to be corrupt, by name, whoever reads it.
func refused(t testing.TB, store persistence.Store, name persistence.Name, cause error) {
	t.Helper()
	_, got := store.Get(t.Context(), name)
	seen := func(persistence.Name, []byte) error { return nil }
	for _, err := range []error{got, store.Scan(t.Context(), name, seen), store.ScanAfter(t.Context(), name[:1], 100, seen)} {
		var record *persistence.RecordError
		if !errors.As(err, &record) || record.Name != name || !errors.Is(err, persistence.ErrCorrupt) || cause != nil && !errors.Is(err, cause) {
			t.Fatalf("%s: got %v, want ErrCorrupt of this record, %v", name, err, cause)
		}
	}
}

// TestEveryFlippedBitOfASealedValueIsReported is T50.
func TestEveryFlippedBitOfASealedValueIsReported(t *testing.T) {
	options, records := over(t)
	store := open(t, options)
	defer shut(t, store)
	put(t, store, named("a"), "the value")
	good := raw(t, records, named("a"))
	for at := range good {
		for bit := range 8 {
			bad := append([]byte{}, good...)
			bad[at] ^= 1 << bit
			lay(t, records, named("a"), bad)
			refused(t, store, named("a"), nil)
		}
	}
	for size := range good {
		lay(t, records, named("a"), good[:size])
		refused(t, store, named("a"), nil)
	}
	lay(t, records, named("a"), append(good[:len(good):len(good)], 0))
	refused(t, store, named("a"), nil)
	lay(t, records, named("a"), good)
	has(t, store, named("a"), "the value")
}

// TestValueUnderAnotherNameIsReported is T50: records cannot be exchanged.
func TestValueUnderAnotherNameIsReported(t *testing.T) {
	options, records := over(t)
	store := open(t, options)
	defer shut(t, store)
	put(t, store, named("a"), "1")
	put(t, store, named("b"), "2")
	a, b := raw(t, records, named("a")), raw(t, records, named("b"))
	lay(t, records, named("a"), b)
	refused(t, store, named("a"), nil)
	lay(t, records, named("a"), a)
	lay(t, records, named("b"), a)
	refused(t, store, named("b"), nil)
	lay(t, records, named("b"), b)
	other := persistence.NewName(persistence.KindContact, []byte("a"))
	lay(t, records, other, a)
	refused(t, store, other, nil)
}

// TestOlderValueIsReportedOnceItsEpochHasEnded is T50, with its limit: within an
// epoch an older value of a single record is not told from the newer one.
func TestOlderValueIsReportedOnceItsEpochHasEnded(t *testing.T) {
	options, records := over(t)
	store := open(t, options)
	defer shut(t, store)
	put(t, store, named("a"), "older")
	older := raw(t, records, named("a"))
	put(t, store, named("a"), "newer")
	lay(t, records, named("a"), older)
	has(t, store, named("a"), "older")
	put(t, store, named("a"), "newer")
	ok(t, store.Rotate(t.Context()))
	lay(t, records, named("a"), older)
	refused(t, store, named("a"), sealing.ErrNoKey)
}

// TestRotationLeavesABrokenRecordBehind: a record that cannot be opened stays
// what it is and keeps no older key alive.
func TestRotationLeavesABrokenRecordBehind(t *testing.T) {
	options, records := over(t)
	store := open(t, options)
	defer shut(t, store)
	put(t, store, named("a"), "1")
	put(t, store, named("b"), "2")
	put(t, store, named("c"), "3")
	bad := raw(t, records, named("b"))
	bad[len(bad)-1] ^= 1
	lay(t, records, named("b"), bad)
	lay(t, records, named("d"), []byte("short"))
	ok(t, store.Rotate(t.Context()))
	has(t, store, named("a"), "1")
	has(t, store, named("c"), "3")
	refused(t, store, named("b"), sealing.ErrNoKey)
	if got := string(raw(t, records, named("d"))); got != "short" {
		t.Fatalf("the value that is not sealed was changed to %q", got)
	}
}

// TestHeadIsTheStoresOwn: whoever uses the store neither sees nor writes it.
func TestHeadIsTheStoresOwn(t *testing.T) {
	options, _ := over(t)
	store := open(t, options)
	defer shut(t, store)
	head := persistence.NewName(persistence.KindHead)
	for _, marked := range []bool{false, true} {
		err := store.Apply(t.Context(), persistence.Batch{Head: marked, Records: []persistence.Record{{Name: head}}})
		if !errors.Is(err, persistence.ErrBadName) {
			t.Fatalf("marked %t: got %v, want ErrBadName", marked, err)
		}
	}
	if _, err := store.Get(t.Context(), head); !errors.Is(err, persistence.ErrNotFound) {
		t.Fatalf("got %v, want ErrNotFound", err)
	}
	ok(t, store.ScanAfter(context.Background(), "", 10, func(name persistence.Name, _ []byte) error {
		t.Errorf("%s is shown", name)
		return nil
	}))
}
