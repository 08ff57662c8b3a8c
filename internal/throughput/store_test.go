package throughput

import (
	"path/filepath"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// storeOptions are those of every engine here: its store is on the disk, sealed,
// and each batch is synced, with its anchor.
func storeOptions(b *testing.B) rookery.Options {
	b.Helper()
	dir := b.TempDir()
	return rookery.Options{
		Dir:    filepath.Join(dir, "store"),
		Unlock: rookery.KeyFile(filepath.Join(dir, "key")),
	}
}

// openStore opens such a store without an engine.
func openStore(b *testing.B) persistence.Store {
	b.Helper()
	dir := b.TempDir()
	store, err := sealing.Open(b.Context(), sealing.Options{
		Dir:       filepath.Join(dir, "store"),
		Protector: keyring.KeyFile(filepath.Join(dir, "key")),
		Records: func(dir string) (persistence.Store, error) {
			return pebble.Open(dir, pebble.Options{})
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	return store
}
