package pebble

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
)

const (
	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600
)

// files is the file system as Pebble sees it. It does three things to the one
// below it.
//
// It makes everything private, whatever the umask.
//
// It turns the first write that fails into a frozen store: the monitor learns of
// it, Pebble is told that all went well, and from then on nothing more reaches
// the disk. Told of a failure, Pebble panics, or tries again for ever while
// commits wait. What is on disk afterwards is what a crash at that moment would
// have left, which the next Open can read; the Store asks the monitor before it
// reports success.
//
// It notes the sums of manifests, see manifest.
type files struct {
	vfs.FS
	monitor *monitor
	modes   bool // the files have permission bits
	changes sync.RWMutex
	settled bool // nothing at all is changed any more; guarded by changes
	// logLost says that a change of a log was not made: of what is applied from
	// then on nothing is on disk.
	logLost atomic.Bool
	// logs outlive the database, see logEnd; nil where there are none.
	logs *logEnds
	// tables outlive it too, see keptTables; nil where there are none.
	tables *keptTables
}

func newFiles(below vfs.FS, watch *monitor) *files {
	return &files{FS: below, monitor: watch, modes: vfs.Root(below) == vfs.Default && runtime.GOOS != "windows"}
}

// prepare makes sure of the directory before anything is written to it. A new
// or empty one becomes private; one with files that others may reach is
// refused, since they may have read what is there.
func (f *files) prepare(dir string) error {
	info, err := f.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return f.makeDir(dir)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return persistence.ErrNotDirectory
	}
	if !f.modes || info.Mode().Perm()&^dirMode == 0 {
		return nil
	}
	entries, err := f.List(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%w: mode %04o lets others in, want %04o", persistence.ErrPermission, info.Mode().Perm(), dirMode)
	}
	return os.Chmod(dir, dirMode)
}

// makeDir makes a directory and what is missing above it, to stay.
func (f *files) makeDir(dir string) error {
	parent := f.PathDir(dir)
	if _, err := f.Stat(parent); errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := f.makeDir(parent); err != nil {
			return err
		}
	}
	if err := f.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	if f.modes {
		if err := os.Chmod(dir, dirMode); err != nil {
			return err
		}
	}
	return f.syncDir(parent)
}

func (f *files) syncDir(dir string) error {
	opened, err := f.FS.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(opened.Sync(), opened.Close())
}

// private gives a file that was just opened its mode.
func (f *files) private(name string) error {
	if !f.modes {
		return nil
	}
	return os.Chmod(name, fileMode)
}

// write does one change of the disk, or none once the store is frozen, and
// freezes it when the change fails. That a name is missing or taken is an answer
// and no failure.
func (f *files) write(change func() error) error {
	_, err := f.try(change, false)
	return err
}

// try is write for those who have to know whether the change was made, and for
// changes that a frozen store may still see.
func (f *files) try(change func() error, frozenToo bool) (made bool, err error) {
	f.changes.RLock()
	defer f.changes.RUnlock()
	if f.monitor.failed() && (!frozenToo || f.settled) {
		return false, nil
	}
	err = change()
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		return true, err
	}
	f.monitor.fail(err)
	return false, nil
}

// settleWithin is how long settle waits for a disk that does not answer.
const settleWithin = 10 * time.Second

// settle returns when the last change of a frozen store has reached the disk: also
// the sync of a batch that is in the log already, and is going to be acknowledged.
// The database that follows has to show it. One that is not synced in time never
// is, and is refused.
func (f *files) settle() {
	f.changes.Lock()   // waits for the writes
	f.changes.Unlock() //nolint:staticcheck // see above
	for end := time.Now().Add(settleWithin); f.logs.unsynced() && !f.logLost.Load(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			f.changes.Lock()
			defer f.changes.Unlock()
			f.settled = true
			return
		}
	}
}

// writable opens a file for writing.
func (f *files) writable(name string, open func() (vfs.File, error)) (vfs.File, error) {
	var opened vfs.File
	err := f.write(func() (err error) {
		if opened, err = open(); err != nil {
			return err
		}
		return f.private(name)
	})
	switch {
	case err != nil:
		return nil, err
	case opened == nil:
		if isLog(name) { // never the other way: a log that was lost meanwhile stays lost
			f.logLost.Store(true)
		}
		return lostFile{}, nil
	}
	made := &file{File: opened, files: f, log: isLog(name)}
	if made.log {
		made.end = f.logs.begin(name)
	}
	if isTable(name) {
		return &tableFile{file: made}, nil
	}
	return made, nil
}

// Open implements vfs.FS.
func (f *files) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	opened, err := f.FS.Open(name, opts...)
	if err != nil || !isLog(name) {
		return opened, err
	}
	return f.logs.seen(name, opened), nil
}

func isLog(name string) bool { return strings.HasSuffix(name, ".log") }

func isTable(name string) bool { return strings.HasSuffix(name, ".sst") }

// settleMarker makes the names of all other files durable before a marker, whose
// name points at one of them, comes or goes. Pebble syncs the directory after
// both only: a crash could leave a marker of nothing, or no marker, which reads
// as a store that has never been.
func (f *files) settleMarker(name string) error {
	if !strings.HasPrefix(f.PathBase(name), "marker.") {
		return nil
	}
	return f.write(func() error { return f.syncDir(f.PathDir(name)) })
}

// Create implements vfs.FS.
func (f *files) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.settleMarker(name); err != nil {
		return nil, err
	}
	if strings.HasPrefix(f.PathBase(name), manifestPrefix) {
		return f.createManifest(name, category)
	}
	return f.writable(name, func() (vfs.File, error) { return f.create(name, category) })
}

// create makes a file that is private from its first moment on, where files have
// modes. One that is there makes way: it may have another name.
func (f *files) create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !f.modes {
		return f.FS.Create(name, category)
	}
	if err := f.FS.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	empty, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode) //nolint:gosec // Pebble names it, within the store
	if err != nil {
		return nil, err
	}
	if err := errors.Join(empty.Chmod(fileMode), empty.Close()); err != nil { // the umask may have taken from it
		return nil, err
	}
	return f.FS.OpenReadWrite(name, category)
}

// OpenReadWrite implements vfs.FS.
func (f *files) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.writable(name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, category, opts...) })
}

// ReuseForWrite implements vfs.FS.
func (f *files) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.writable(newname, func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, category) })
}

// OpenDir implements vfs.FS.
func (f *files) OpenDir(name string) (vfs.File, error) {
	opened, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &file{File: opened, files: f}, nil
}

// Lock implements vfs.FS for Pebble. The directory is locked by the Store, from
// the first time that it is opened to the last that it is closed.
func (f *files) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// lock locks a directory against other processes and other stores of this one.
// A lock that is taken has no error of its own: the operating system says
// EAGAIN, this process that it holds the lock itself.
func (f *files) lock(dir string) (io.Closer, error) {
	name := f.PathJoin(dir, "LOCK")
	lock, err := f.FS.Lock(name)
	if err != nil {
		var number syscall.Errno
		if errors.As(err, &number) && number != syscall.EAGAIN {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", persistence.ErrLocked, err)
	}
	if err := f.private(name); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// errNoLink is what Pebble copies a file for instead.
var errNoLink = errors.New("the file system makes no links")

// Link implements vfs.FS. Where there are no links nothing has failed: the error says
// less than the file system does, since Pebble would not copy for want of permission.
func (f *files) Link(oldname, newname string) error {
	none := false
	err := f.write(func() error {
		err := f.FS.Link(oldname, newname)
		if none = err != nil && refusal(err) == nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist); none {
			return nil
		}
		return err
	})
	if none {
		return errNoLink
	}
	return err
}

// Rename implements vfs.FS.
func (f *files) Rename(oldname, newname string) error {
	return f.write(func() error { return f.FS.Rename(oldname, newname) })
}

// Remove implements vfs.FS.
func (f *files) Remove(name string) error {
	if err := f.settleMarker(name); err != nil {
		return err
	}
	remove := func() error { return f.write(func() error { return f.FS.Remove(name) }) }
	if f.tables.keep(name, remove) {
		return nil
	}
	err := remove()
	if isLog(name) {
		f.logs.forget(name)
	}
	if base := f.PathBase(name); err == nil && strings.HasPrefix(base, manifestPrefix) {
		err = f.dropSum(name)
	}
	return err
}

// RemoveAll implements vfs.FS.
func (f *files) RemoveAll(name string) error {
	return f.write(func() error { return f.FS.RemoveAll(name) })
}

// Unwrap implements vfs.FS.
func (f *files) Unwrap() vfs.FS { return f.FS }
