package pebble

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// When the sync of a log is refused, what was written to it since the last one
// may still be in the cache of the operating system. The batch was refused, so
// nobody may see it, in this process at least: whoever builds on it would build
// on what the next loss of power takes away. So the databases that follow see
// such a log as long as it was synced.

// logEnd is how far a log has come, in bytes.
type logEnd struct{ written, synced atomic.Int64 }

// logEnds are the logs of this process by path: of those that are being written
// how far they have come, of those of a database that has ended how much of them
// may be seen. Safe for concurrent use; nil remembers nothing.
type logEnds struct {
	mu   sync.Mutex
	open map[string]*logEnd
	cut  map[string]int64
}

// begin notes a log that is written from its start.
func (l *logEnds) begin(name string) *logEnd {
	end := new(logEnd)
	if l == nil {
		return end
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open, l.cut = make(map[string]*logEnd), make(map[string]int64)
	}
	l.open[name] = end
	delete(l.cut, name)
	return end
}

// forget drops a log that is no more.
func (l *logEnds) forget(name string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, name)
	delete(l.cut, name)
}

// unsynced tells whether a log has more than was synced.
func (l *logEnds) unsynced() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range l.open {
		if end.written.Load() > end.synced.Load() {
			return true
		}
	}
	return false
}

// settle ends the logs of a database that has ended: of each only what was
// synced may be seen.
func (l *logEnds) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, end := range l.open {
		if synced := end.synced.Load(); end.written.Load() > synced {
			l.cut[name] = synced
		}
	}
	clear(l.open)
}

// seen is a log as it may be seen.
func (l *logEnds) seen(name string, opened vfs.File) vfs.File {
	if l == nil {
		return opened
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	size, cut := l.cut[name]
	if !cut {
		return opened
	}
	return &cutLog{File: opened, rest: io.LimitReader(opened, size), size: size}
}

// cutLog is a log that ends where it was synced last.
type cutLog struct {
	vfs.File
	rest io.Reader
	size int64
}

// Read implements vfs.File.
func (c *cutLog) Read(p []byte) (int, error) { return c.rest.Read(p) }

// ReadAt implements vfs.File.
func (c *cutLog) ReadAt(p []byte, offset int64) (int, error) {
	return io.NewSectionReader(c.File, 0, c.size).ReadAt(p, offset)
}

// Stat implements vfs.File.
func (c *cutLog) Stat() (vfs.FileInfo, error) {
	info, err := c.File.Stat()
	if err != nil {
		return nil, err
	}
	return cutInfo{info, min(info.Size(), c.size)}, nil
}

type cutInfo struct {
	vfs.FileInfo
	size int64
}

func (c cutInfo) Size() int64 { return c.size }
