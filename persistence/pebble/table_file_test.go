package pebble_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/pebble/faultydisk"
)

// Pebble hands over a table block by block; a write of the disk for each would take
// more of a processor than all else that a compaction does.
func TestTablesAreWrittenInLargePieces(t *testing.T) {
	var writes atomic.Int64
	disk := faultydisk.New(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".sst") {
			writes.Add(1)
		}
		return nil
	}))
	store, err := pebble.Open("store", pebble.Options{FS: disk, MemTableBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	const batches, records, size = 16, 64, 4000 // a block each
	var bytes, least int64
	for batch := range batches {
		var all []persistence.Record
		for i := range records {
			name := persistence.NewName(persistence.KindSession, []byte{byte(i)}, []byte{byte(batch)})
			all = append(all, persistence.Record{Name: name, Value: make([]byte, size)})
			bytes += size
			least++
		}
		if err := store.Apply(t.Context(), persistence.Batch{Records: all}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := writes.Load(); n == 0 || n > least/4 {
		t.Errorf("%d writes for %d bytes of values in %d blocks", n, bytes, least)
	}
	shown := 0
	err = store.Scan(t.Context(), "", func(_ persistence.Name, value []byte) error {
		if len(value) == size {
			shown++
		}
		return nil
	})
	if err != nil || shown != batches*records {
		t.Errorf("%d records, want %d, error %v", shown, batches*records, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	// What was written is what the next database reads.
	store, err = pebble.Open("store", pebble.Options{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(context.Background(), persistence.NewName(persistence.KindSession, []byte{3}, []byte{5})); err != nil {
		t.Error(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
