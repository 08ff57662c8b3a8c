package cell

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/rookery-im/rookery/persistence"
)

// private is the mode of every file: its user's alone.
const private fs.FileMode = 0o600

// FS is the file system below a cell. Names are those of the operating system;
// errors are as those of package os.
type FS interface {
	// Open opens a file to read and write. fs.ErrNotExist when there is none,
	// persistence.ErrPermission when others than its user may reach it.
	Open(name string) (File, error)
	// Create makes a new file, private to its user whatever the umask, and opens
	// it to read and write. fs.ErrExist when the name is taken.
	Create(name string) (File, error)
	// Rename gives a file another name in the same directory, in place of what
	// has that name, at once.
	Rename(from, to string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Sync makes durable what was written, and the size, not the times.
	Sync() error
	Close() error
}

// OS is the operating system's file system.
var OS FS = osFS{}

type osFS struct{}

// Open implements FS.
func (osFS) Open(name string) (File, error) {
	opened, err := os.OpenFile(name, os.O_RDWR, 0) //nolint:gosec // the name is the caller's to choose
	if err != nil {
		return nil, err
	}
	if err := CheckPrivate(opened); err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return osFile{opened}, nil
}

// Create implements FS.
func (osFS) Create(name string) (File, error) {
	made, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, private) //nolint:gosec // the name is the caller's to choose
	if err != nil {
		return nil, err
	}
	// A umask may have taken the user's own bits.
	if err := made.Chmod(private); err != nil {
		return nil, errors.Join(err, made.Close())
	}
	return osFile{made}, nil
}

// Rename implements FS.
func (osFS) Rename(from, to string) error { return os.Rename(from, to) }

// SyncDir implements FS. Windows has nothing of the kind.
func (osFS) SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	opened, err := os.Open(dir) //nolint:gosec // the name is the caller's to choose
	if err != nil {
		return err
	}
	return errors.Join(opened.Sync(), opened.Close())
}

// CheckPrivate refuses an open file that is no regular file, or that others
// than its user may reach: they may have read what is in it. The error is
// persistence.ErrPermission. Windows has no such modes.
func CheckPrivate(opened *os.File) error {
	info, err := opened.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is not a regular file", persistence.ErrPermission, opened.Name())
	}
	if mode := info.Mode().Perm(); mode&^0o700 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("%w: mode %04o of %s lets others in, want %04o", persistence.ErrPermission, mode, opened.Name(), private)
	}
	return nil
}

// osFile is a file of the operating system.
type osFile struct{ *os.File }

// Sync implements File.
func (f osFile) Sync() error { return syncData(f.File) }
