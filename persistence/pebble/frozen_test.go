package pebble

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rookery-im/rookery/persistence"
)

// A call that was let in before the disk refused a write may meet a table that is not
// there. Its database is known not to know, and the next one is asked.
func TestReadsOfAFrozenDatabaseAreMadeAgain(t *testing.T) {
	var full atomic.Bool
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return syscall.ENOSPC
		}
		return nil
	}))
	store, err := Open("store", Options{FS: disk, ProbeEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	name := persistence.NewName(persistence.KindSession, []byte("x"))
	batch := persistence.Batch{Records: []persistence.Record{{Name: name, Value: []byte("durable")}}}
	if err := store.Apply(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	d, err := store.begin(t.Context(), "get")
	if err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	_ = d.db.Flush() // into a table that cannot be written
	if _, err := d.get(name); err == nil || errors.Is(err, pebble.ErrNotFound) || !d.frozen() {
		t.Errorf("%v, frozen %t", err, d.frozen())
	}
	store.end(d)
	if value, err := store.Get(t.Context(), name); err != nil || string(value) != "durable" {
		t.Errorf("%q, %v", value, err)
	}
}
