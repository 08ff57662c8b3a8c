package pebble_test

import (
	"encoding/binary"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
)

// Pebble counts memtables towards its cache. On a busy store, whose memtables have
// grown to their size, there has to be as much of a cache as was asked for.
func TestMemtablesLeaveTheCacheItsRoom(t *testing.T) {
	const memTable, records, size = 1 << 20, 1000, 1000
	options := pebble.Options{FS: vfs.NewMem(), MemTableBytes: memTable, CacheBytes: 2 * memTable}
	store, err := pebble.Open("store", options)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, store)
	name := func(i int) persistence.Name {
		return persistence.NewName(persistence.KindSession, binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
	for range 12 { // the first memtables are small
		for i := range records {
			record := persistence.Record{Name: name(i), Value: make([]byte, size)}
			if err := store.Apply(t.Context(), persistence.Batch{Records: []persistence.Record{record}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := store.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	look := func() {
		for i := range records {
			if _, err := store.Get(t.Context(), name(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	look()
	before := store.Metrics().BlockCache
	look()
	after := store.Metrics().BlockCache
	if reads, misses := after.Hits+after.Misses-before.Hits-before.Misses, after.Misses-before.Misses; reads == 0 || misses*10 > reads {
		t.Errorf("%d of %d reads of blocks missed a cache that has room for all of them", misses, reads)
	}
}

// A look-up goes from the newest level to the oldest. Where the name is not, a filter
// tells so without a block being read.
func TestFiltersSpareTheLevelsAboveARecord(t *testing.T) {
	store, err := pebble.Open("store", pebble.Options{FS: vfs.NewMem(), MemTableBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, store)
	const records, size = 1000, 1000
	// Even names come to lie below tables of odd ones.
	name := func(i int) persistence.Name {
		return persistence.NewName(persistence.KindSession, binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
	write := func(from int) {
		for i := from; i < 2*records; i += 2 {
			record := persistence.Record{Name: name(i), Value: make([]byte, size)}
			if err := store.Apply(t.Context(), persistence.Batch{Records: []persistence.Record{record}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(0)
	if err := store.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(1)
	before := store.Metrics().Filter
	for i := 0; i < 2*records; i += 2 {
		if _, err := store.Get(t.Context(), name(i)); err != nil {
			t.Fatal(err)
		}
	}
	after := store.Metrics().Filter
	if spared := after.Hits - before.Hits; spared < records/2 {
		t.Errorf("%d tables were spared by %d look-ups", spared, records)
	}
}
