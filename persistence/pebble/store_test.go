package pebble_test

import (
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/storetest"
)

// TestMain checks that a closed store leaves no goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStoreConformance(t *testing.T) {
	places := map[string]func(t *testing.T) (string, vfs.FS){
		"memory":    func(*testing.T) (string, vfs.FS) { return "store", vfs.NewMem() },
		"crashable": func(*testing.T) (string, vfs.FS) { return "store", vfs.NewCrashableMem() },
		"disk":      func(t *testing.T) (string, vfs.FS) { return filepath.Join(t.TempDir(), "store"), vfs.Default },
	}
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) storetest.Medium {
				dir, fs := place(t)
				open := func() (persistence.Store, error) {
					return pebble.Open(dir, pebble.Options{FS: fs, MemTableBytes: 1 << 20, CacheBytes: 1 << 20})
				}
				return storetest.Medium{Open: open, Durable: true}
			})
		})
	}
}
