package pebble

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/cell"
)

// Files puts the cells of a store, its keyring and its anchor, on the file
// system that its records are on, so that a crash or a fault of that disk meets
// all of them.
func Files(below vfs.FS) cell.FS {
	return cells{newFiles(below, nil)}
}

// cells are files whose failures are told: of the frozen store in files there is
// nothing here.
type cells struct{ disk *files }

// Open implements cell.FS.
func (c cells) Open(name string) (cell.File, error) {
	info, err := c.disk.Stat(name) // opening to write would make it
	if err != nil {
		return nil, err
	}
	if c.disk.modes {
		if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&^dirMode != 0 {
			return nil, fmt.Errorf("%w: %s is %v, want a regular file that nobody else may open", persistence.ErrPermission, name, mode)
		}
	}
	return c.open(name)
}

// Create implements cell.FS.
func (c cells) Create(name string) (cell.File, error) {
	switch _, err := c.disk.Stat(name); {
	case err == nil:
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	made, err := c.open(name)
	if err != nil {
		return nil, err
	}
	if err := c.disk.private(name); err != nil {
		return nil, errors.Join(err, made.Close())
	}
	return made, nil
}

// Rename implements cell.FS.
func (c cells) Rename(from, to string) error { return c.disk.FS.Rename(from, to) }

// SyncDir implements cell.FS.
func (c cells) SyncDir(dir string) error { return c.disk.syncDir(dir) }

func (c cells) open(name string) (cell.File, error) {
	opened, err := c.disk.FS.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	return cellFile{opened}, nil
}

// cellFile is a file of a cell.
type cellFile struct{ vfs.File }

// Sync implements cell.File.
func (f cellFile) Sync() error { return f.SyncData() }
