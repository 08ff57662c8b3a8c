package sealing_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/pebble/faultydisk"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// TestAnchorDoesNotPassWhatIsOnDisk is T04 and T06: a batch that could be written
// to the log but not synced shows in a store that only reads; the power may still
// take it away.
func TestAnchorDoesNotPassWhatIsOnDisk(t *testing.T) {
	disk, keyFile := vfs.NewCrashableMem(), newKeyFile(t)
	var full atomic.Bool
	options := on(disk, keyFile)
	options.Records = func(dir string) (persistence.Store, error) {
		return pebble.Open(dir, pebble.Options{ProbeEvery: time.Hour, FS: faultydisk.New(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if full.Load() && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) && strings.HasSuffix(op.Path, ".log") {
				return syscall.ENOSPC
			}
			return nil
		}))})
	}
	store := open(t, options)
	apply(t, store, 0, 5)
	full.Store(true)
	for range 2 {
		if err := store.Apply(t.Context(), pair(5)); !errors.Is(err, persistence.ErrFull) {
			t.Fatalf("got %v, want ErrFull", err)
		}
	}
	cut := disk.CrashClone(vfs.CrashCloneCfg{}) // nothing that was not synced
	shut(t, store)
	again, err := sealing.Open(t.Context(), on(cut, keyFile))
	ok(t, err)
	if again.RolledBack() {
		t.Error("told to have gone back")
	}
	ok(t, survivors(t.Context(), again, 5, 6))
	shut(t, again)
}
