package pebble_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence/pebble"
)

// withoutPreallocation is a file system of the kind that cannot reserve space.
type withoutPreallocation struct{ vfs.FS }

type plainFile struct{ vfs.File }

func (plainFile) Preallocate(int64, int64) error { return syscall.EOPNOTSUPP }

func (f withoutPreallocation) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, category)
	return plainFile{file}, err
}

func (f withoutPreallocation) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(old, name, category)
	return plainFile{file}, err
}

func TestFileSystemWithoutPreallocationIsGoodEnough(t *testing.T) {
	store, err := pebble.Open(filepath.Join(t.TempDir(), "store"), small(withoutPreallocation{vfs.Default}))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if err := store.Apply(t.Context(), pair(i)); err != nil {
			t.Fatalf("write %d: %v", i, err)
		}
	}
	shut(t, store)
}
