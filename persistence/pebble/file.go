package pebble

import (
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// file is one file that is open for writing, or a directory. Once the store is
// frozen it takes everything and keeps nothing.
type file struct {
	vfs.File
	files *files
	log   bool
	end   *logEnd // of a log
}

// Write implements vfs.File.
func (f *file) Write(p []byte) (int, error) {
	size := len(p)
	return size, f.write(func() error {
		if f.log {
			f.end.written.Add(int64(size)) // if it fails, a part may be there
		}
		_, err := f.File.Write(p)
		return err
	})
}

// WriteAt implements vfs.File.
func (f *file) WriteAt(p []byte, offset int64) (int, error) {
	size := len(p)
	return size, f.write(func() error { _, err := f.File.WriteAt(p, offset); return err })
}

func (f *file) write(change func() error) error {
	made, err := f.files.try(change, false)
	f.mark(made)
	return err
}

// sync is a change after which what was written is on disk. A log that was
// written up to the moment at which the store was frozen is synced all the same:
// else a batch would be refused, for a table that could not be written, and be
// there.
func (f *file) sync(change func() error) error {
	var written int64
	if f.log {
		written = f.end.written.Load()
	}
	made, err := f.files.try(func() error {
		if err := change(); err != nil {
			return err
		}
		if f.log {
			f.end.synced.Store(written) // before it may be asked how far the log has come
		}
		return nil
	}, f.log && !f.files.logLost.Load())
	f.mark(made)
	return err
}

// mark notes that a log lacks something.
func (f *file) mark(made bool) {
	if f.log && !made {
		f.files.logLost.Store(true)
	}
}

// Preallocate implements vfs.File. It is an offer that some file systems do not
// take, and Pebble does not mind.
func (f *file) Preallocate(offset, length int64) error {
	return f.File.Preallocate(offset, length)
}

// Sync implements vfs.File.
func (f *file) Sync() error { return f.sync(f.File.Sync) }

// SyncData implements vfs.File.
func (f *file) SyncData() error { return f.sync(f.File.SyncData) }

// SyncTo implements vfs.File.
func (f *file) SyncTo(length int64) (full bool, err error) {
	err = f.write(func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, err
}

// Close implements vfs.File. The file of a frozen store is still closed.
func (f *file) Close() error {
	if err := f.File.Close(); err != nil {
		f.files.monitor.fail(err)
	}
	return nil
}

// lostFile stands for a file that could not be made.
type lostFile struct{}

var _ vfs.File = lostFile{}

var errLostFile = errors.New("the file could not be made")

func (lostFile) Write(p []byte) (int, error)            { return len(p), nil }
func (lostFile) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (lostFile) Read([]byte) (int, error)               { return 0, errLostFile }
func (lostFile) ReadAt([]byte, int64) (int, error)      { return 0, errLostFile }
func (lostFile) Preallocate(int64, int64) error         { return nil }
func (lostFile) Prefetch(int64, int64) error            { return nil }
func (lostFile) Sync() error                            { return nil }
func (lostFile) SyncData() error                        { return nil }
func (lostFile) SyncTo(int64) (bool, error)             { return false, nil }
func (lostFile) Stat() (vfs.FileInfo, error)            { return lostInfo{}, nil }
func (lostFile) Fd() uintptr                            { return vfs.InvalidFd }
func (lostFile) Close() error                           { return nil }

// lostInfo describes a lostFile: Pebble asks for the size of a log it reuses.
type lostInfo struct{ vfs.FileInfo }

func (lostInfo) Size() int64 { return 0 }
