package pebble

import (
	"runtime"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// tableBuffer is how much of a table is written to its file at once. Pebble hands
// over each block, of a few KiB, by itself.
const tableBuffer = 128 << 10

// tableFile is a table that is being written, from its start to its end, before
// anything names it: what is not written yet is missed by nobody until it is synced.
type tableFile struct {
	*file
	pending []byte
}

var _ vfs.File = (*tableFile)(nil)

// Write implements vfs.File. Who is waiting for a processor goes first: a table is
// written by two goroutines that wake each other, block by block, and keep their
// processor for 10 ms that way, which is longer than a message may take.
func (t *tableFile) Write(p []byte) (int, error) {
	runtime.Gosched()
	if len(t.pending) > 0 && len(t.pending)+len(p) > tableBuffer {
		if err := t.flush(); err != nil {
			return 0, err
		}
	}
	if len(p) >= tableBuffer {
		return t.file.Write(p)
	}
	if t.pending == nil {
		t.pending = make([]byte, 0, tableBuffer)
	}
	t.pending = append(t.pending, p...)
	return len(p), nil
}

// flush writes what is pending. A failure freezes the store, see files, and is
// nothing that a table could be told.
func (t *tableFile) flush() error {
	if len(t.pending) == 0 {
		return nil
	}
	_, err := t.file.Write(t.pending)
	t.pending = t.pending[:0]
	return err
}

// flushed does something with a file that has all that was written to it.
func (t *tableFile) flushed(then func() error) error {
	if err := t.flush(); err != nil {
		return err
	}
	return then()
}

// Sync implements vfs.File.
func (t *tableFile) Sync() error { return t.flushed(t.file.Sync) }

// SyncData implements vfs.File.
func (t *tableFile) SyncData() error { return t.flushed(t.file.SyncData) }

// SyncTo implements vfs.File.
func (t *tableFile) SyncTo(length int64) (full bool, err error) {
	err = t.flushed(func() (err error) { full, err = t.file.SyncTo(length); return err })
	return full, err
}

// Stat implements vfs.File.
func (t *tableFile) Stat() (info vfs.FileInfo, err error) {
	err = t.flushed(func() (err error) { info, err = t.file.Stat(); return err })
	return info, err
}

// Close implements vfs.File.
func (t *tableFile) Close() error { return t.flushed(t.file.Close) }
