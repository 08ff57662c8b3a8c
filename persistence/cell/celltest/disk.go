package celltest

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/rookery-im/rookery/persistence/cell"
)

// SectorBytes is what a disk writes at once.
const SectorBytes = 512

// Disk is a cell.FS in memory with one directory. Its methods may be called from
// any goroutine.
type Disk struct {
	// Before is called before each operation with its name ("open", "create",
	// "rename", "sync dir", "read", "write", "sync", "close"), if set. Its error is
	// that of the operation: of a write the first half of the sectors has landed,
	// of a sync too. It may call Crash.
	Before func(operation string) error

	mu      sync.Mutex
	names   map[string]*inode // as programs see them
	durable map[string]*inode // as a crash without luck leaves them
}

// inode is what a name stands for.
type inode struct {
	cached []byte
	synced []byte
	dirty  map[int]bool // sectors of cached that a sync would write
}

// NewDisk gives an empty disk.
func NewDisk() *Disk {
	return &Disk{names: make(map[string]*inode), durable: make(map[string]*inode)}
}

// Crash gives the disk as a crash at this moment leaves it. lucky is asked for
// each thing that was not synced, a name or a sector, whether it reached the
// disk.
func (d *Disk) Crash(lucky func() bool) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := maps.Clone(d.durable)
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		if names[name] != d.names[name] && lucky() {
			names[name] = d.names[name]
			// One that was renamed is not at both names.
			maps.DeleteFunc(names, func(other string, i *inode) bool { return other != name && i == d.names[name] })
		}
	}
	left := NewDisk()
	for _, name := range slices.Sorted(maps.Keys(names)) {
		file := names[name].crash(lucky)
		left.names[name], left.durable[name] = file, file
	}
	return left
}

func (i *inode) crash(lucky func() bool) *inode {
	content := slices.Clone(i.synced)
	for _, sector := range slices.Sorted(maps.Keys(i.dirty)) {
		if lucky() {
			content = i.put(content, sector)
		}
	}
	return &inode{cached: content, synced: slices.Clone(content), dirty: make(map[int]bool)}
}

// put writes a sector of the cache into what is on disk.
func (i *inode) put(on []byte, sector int) []byte {
	from := sector * SectorBytes
	to := min(from+SectorBytes, len(i.cached))
	if len(on) < to {
		on = append(on, make([]byte, to-len(on))...)
	}
	copy(on[from:to], i.cached[from:to])
	return on
}

// Files lists the names of the files.
func (d *Disk) Files() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.names))
}

// Content gives a file's bytes as programs see them, nil for no file.
func (d *Disk) Content(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if file := d.names[name]; file != nil {
		return slices.Clone(file.cached)
	}
	return nil
}

// Put makes a file of durable bytes.
func (d *Disk) Put(name string, content []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	file := &inode{cached: slices.Clone(content), synced: slices.Clone(content), dirty: make(map[int]bool)}
	d.names[name], d.durable[name] = file, file
}

func (d *Disk) before(operation string) error {
	if d.Before == nil {
		return nil
	}
	if err := d.Before(operation); err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	return nil
}

// Open implements cell.FS.
func (d *Disk) Open(name string) (cell.File, error) {
	if err := d.before("open"); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	found := d.names[name]
	if found == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &file{disk: d, inode: found}, nil
}

// Create implements cell.FS.
func (d *Disk) Create(name string) (cell.File, error) {
	if err := d.before("create"); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names[name] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	made := &inode{dirty: make(map[int]bool)}
	d.names[name] = made
	return &file{disk: d, inode: made}, nil
}

// Rename implements cell.FS.
func (d *Disk) Rename(from, to string) error {
	if err := d.before("rename"); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	moved := d.names[from]
	if moved == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	delete(d.names, from)
	d.names[to] = moved
	return nil
}

// SyncDir implements cell.FS.
func (d *Disk) SyncDir(string) error {
	if err := d.before("sync dir"); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.durable = maps.Clone(d.names)
	return nil
}

// file is an open file.
type file struct {
	disk  *Disk
	inode *inode
}

// ReadAt implements cell.File.
func (f *file) ReadAt(p []byte, offset int64) (int, error) {
	if err := f.disk.before("read"); err != nil {
		return 0, err
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if offset >= int64(len(f.inode.cached)) {
		return 0, io.EOF
	}
	n := copy(p, f.inode.cached[offset:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements cell.File.
func (f *file) WriteAt(p []byte, offset int64) (int, error) {
	failed := f.disk.before("write")
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if failed != nil {
		p = p[:len(p)/2]
	}
	i := f.inode
	end := int(offset) + len(p)
	if len(i.cached) < end {
		i.cached = append(i.cached, make([]byte, end-len(i.cached))...)
	}
	copy(i.cached[offset:], p)
	for at := int(offset); at < end; at += SectorBytes {
		i.dirty[at/SectorBytes] = true
	}
	return len(p), failed
}

// Sync implements cell.File.
func (f *file) Sync() error {
	failed := f.disk.before("sync")
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	i := f.inode
	sectors := slices.Sorted(maps.Keys(i.dirty))
	if failed != nil {
		sectors = sectors[:len(sectors)/2]
	}
	for _, sector := range sectors {
		i.synced = i.put(i.synced, sector)
	}
	clear(i.dirty)
	return failed
}

// Close implements cell.File.
func (f *file) Close() error { return f.disk.before("close") }
