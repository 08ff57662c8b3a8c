package pebble_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/pebble/faultydisk"
)

// TestDiskFailureIsACrashOfTheStoreAlone is T03 for the store: every write
// operation in turn fails, from then on or once. The process goes on, no
// acknowledged batch is lost, and a failed store says so.
func TestDiskFailureIsACrashOfTheStoreAlone(t *testing.T) {
	for _, lasting := range []bool{true, false} {
		t.Run(fmt.Sprintf("lasting=%t", lasting), func(t *testing.T) {
			failures := 0
			for index := int64(0); ; index++ {
				reached, failed := failAt(t, index, lasting)
				if !reached {
					break
				}
				if failed {
					failures++
				}
			}
			t.Logf("%d failures reached the caller", failures)
			if failures < 20 {
				t.Fatalf("only %d failures reached the caller", failures)
			}
		})
	}
}

// failAt runs a store on a disk whose index-th write operation fails. It tells
// whether there were that many, and whether a call failed for it.
func failAt(t *testing.T, index int64, lasting bool) (reached, failed bool) {
	t.Helper()
	const batches = 40
	disk := vfs.NewMem()
	var writes atomic.Int64
	broken := faultydisk.New(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		n := writes.Add(1) - 1
		if n == index || lasting && n > index {
			return &diskError{op: fmt.Sprint(op.Kind), errno: syscall.EIO}
		}
		return nil
	}))
	options := small(broken)
	options.MemTableBytes = 8 << 10 // several logs and tables within the run
	acknowledged, attempted := 0, 0
	store, err := pebble.Open("store", options)
	if err == nil {
		for i := range batches {
			attempted = i + 1
			if err = store.Apply(t.Context(), pair(i)); err != nil {
				break
			}
			acknowledged = i + 1
		}
		if err != nil {
			if _, again := store.Get(t.Context(), numbered(0)); !errors.Is(again, persistence.ErrFailed) {
				t.Errorf("write %d: after %v a read gives %v, want ErrFailed", index, err, again)
			}
			if again := store.Apply(t.Context(), pair(0)); !errors.Is(again, persistence.ErrFailed) {
				t.Errorf("write %d: after %v a batch gives %v, want ErrFailed", index, err, again)
			}
		}
		_ = store.Close() // it may be the failing write itself
	}
	if err != nil {
		if !errors.Is(err, persistence.ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Errorf("write %d: %v, want ErrFailed for an I/O error", index, err)
		}
	}
	again, reopenErr := pebble.Open("store", small(disk))
	if reopenErr != nil {
		t.Fatalf("write %d, lasting %t, first error %v: reopening: %v", index, lasting, err, reopenErr)
	}
	if lost := survivors(t.Context(), again, acknowledged, attempted); lost != nil {
		t.Fatalf("write %d, lasting %t, first error %v: %v", index, lasting, err, lost)
	}
	shut(t, again)
	return writes.Load() > index, err != nil
}

// diskError is a failing disk as the operating system tells it.
type diskError struct {
	op    string
	errno syscall.Errno
}

func (e *diskError) Error() string { return e.op + ": " + e.errno.Error() }
func (e *diskError) Unwrap() error { return e.errno }
