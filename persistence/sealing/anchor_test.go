package sealing_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/cell"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// failing is a cell.FS whose anchor takes so many more writes.
type failing struct {
	cell.FS
	left *atomic.Int64
}

var errBroken = errors.New("cannot be written")

func (f failing) Open(name string) (cell.File, error) {
	file, err := f.FS.Open(name)
	if err != nil || name != "store/anchor" {
		return file, err
	}
	return failingFile{file, f.left}, nil
}

type failingFile struct {
	cell.File
	left *atomic.Int64
}

func (f failingFile) WriteAt(p []byte, offset int64) (int, error) {
	if f.left.Add(-1) < 0 {
		return 0, errBroken
	}
	return f.File.WriteAt(p, offset)
}

const plenty = 1 << 40

// TestBatchWithoutItsAnchorIsNotAcknowledged: the batch may be there, Apply says
// that it failed, and the next one sets it right; so does the next Open.
func TestBatchWithoutItsAnchorIsNotAcknowledged(t *testing.T) {
	disk := vfs.NewCrashableMem()
	options := on(disk, newKeyFile(t))
	var left atomic.Int64
	left.Store(plenty)
	options.Files = failing{options.Files, &left}
	store := open(t, options)
	apply(t, store, 0, 5)
	left.Store(0)
	for range 3 {
		err := store.Apply(t.Context(), pair(5))
		wantStoreError(t, err, persistence.ErrFailed, errBroken)
	}
	killed := copied(disk)
	left.Store(plenty)
	apply(t, store, 5, 10)
	later := copied(disk)
	shut(t, store)
	for want, disk := range map[int]*vfs.MemFS{6: killed, 10: later} {
		options.Files = on(disk, "").Files
		options.Records = on(disk, "").Records
		store := open(t, options)
		if store.RolledBack() {
			t.Errorf("%d batches: told to have gone back", want)
		}
		ok(t, survivors(t.Context(), store, want, want))
		shut(t, store)
	}
}

// TestCrashesInARowBeforeTheAnchorAreNoRollback: T02 for a process that is killed
// in front of the anchor, and again each time it starts.
func TestCrashesInARowBeforeTheAnchorAreNoRollback(t *testing.T) {
	disk := vfs.NewCrashableMem()
	options := on(disk, newKeyFile(t))
	var left atomic.Int64
	left.Store(plenty)
	options.Files = failing{options.Files, &left}
	store := open(t, options)
	apply(t, store, 0, 5)
	left.Store(0)
	wantStoreError(t, store.Apply(t.Context(), pair(5)), errBroken)
	shut(t, store)
	for start := range 9 {
		left.Store(int64(start % 3)) // so many writes of the anchor before the kill
		store, err := sealing.Open(t.Context(), options)
		if err == nil {
			if store.RolledBack() {
				t.Fatalf("start %d: told to have gone back", start)
			}
			shut(t, store)
		}
	}
	left.Store(plenty)
	store = open(t, options)
	if store.RolledBack() {
		t.Fatal("told to have gone back")
	}
	ok(t, survivors(t.Context(), store, 6, 6))
	shut(t, store)
}
