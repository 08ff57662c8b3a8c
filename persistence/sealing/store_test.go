package sealing_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/sealing"
	"github.com/rookery-im/rookery/persistence/storetest"
)

// inMemory keeps the records in memory until they are closed.
func inMemory(keyFile string) sealing.Options {
	disk := vfs.NewMem()
	options := on(disk, keyFile)
	options.Records = func(dir string) (persistence.Store, error) {
		return memory.New(), disk.MkdirAll(dir, 0o700)
	}
	return options
}

// onDisk is a store in a directory of the operating system's.
func onDisk(t testing.TB) sealing.Options {
	dir := t.TempDir()
	return sealing.Options{
		Dir:       filepath.Join(dir, "store"),
		Protector: keyring.KeyFile(filepath.Join(dir, "key")),
		Records: func(dir string) (persistence.Store, error) {
			return pebble.Open(dir, pebble.Options{MemTableBytes: 1 << 20, CacheBytes: 1 << 20})
		},
		Bound: -1,
	}
}

// TestStoreConformance runs on every store below, and once with epochs that end
// all the time.
func TestStoreConformance(t *testing.T) {
	media := map[string]func(t *testing.T) sealing.Options{
		"memory":    func(t *testing.T) sealing.Options { return inMemory(newKeyFile(t)) },
		"crashable": func(t *testing.T) sealing.Options { return on(vfs.NewCrashableMem(), newKeyFile(t)) },
		"disk":      func(t *testing.T) sealing.Options { return onDisk(t) },
		"rotating": func(t *testing.T) sealing.Options {
			options := on(vfs.NewMem(), newKeyFile(t))
			options.Bound = 20 * time.Millisecond
			return options
		},
	}
	for name, medium := range media {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) storetest.Medium {
				options := medium(t)
				return storetest.Medium{
					Open:    func() (persistence.Store, error) { return sealing.Open(t.Context(), options) },
					Durable: name != "memory",
				}
			})
		})
	}
}
