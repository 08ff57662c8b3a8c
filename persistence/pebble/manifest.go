package pebble

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/cell"
)

// Pebble takes a damaged record of a manifest for its end and goes on with the
// tables and logs of an earlier moment. So each manifest has a cell beside it
// with the length and the SHA-256 of what was synced, which is durable before
// Pebble learns that the manifest is: what follows is a write that a crash has
// cut, what does not match before it is corruption.
const (
	manifestPrefix = "MANIFEST-"
	sumPrefix      = "sum."
	sumBytes       = 8 + sha256.Size // length, big-endian, and sum
)

// manifest is one manifest while Pebble writes it.
type manifest struct {
	*file
	name   string // of the sum
	length uint64
	sum    hash.Hash
	cell   *cell.Cell // nil before the first sync
}

// createManifest makes a manifest. A sum of the same name is of one that a crash
// has cut before anything pointed at it.
func (f *files) createManifest(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.dropSum(name); err != nil {
		return nil, err
	}
	made, err := f.writable(name, func() (vfs.File, error) { return f.create(name, category) })
	if err != nil {
		return nil, err
	}
	written, ok := made.(*file)
	if !ok {
		return made, nil // lost
	}
	return &manifest{file: written, name: f.sumOf(name), sum: sha256.New()}, nil
}

// Write implements vfs.File.
func (m *manifest) Write(p []byte) (int, error) {
	m.sum.Write(p) // first: a file may use p as it likes
	m.length += uint64(len(p))
	return m.file.Write(p)
}

// Sync implements vfs.File.
func (m *manifest) Sync() error {
	return m.files.write(func() error { return m.note(m.File.Sync()) })
}

// SyncData implements vfs.File.
func (m *manifest) SyncData() error {
	return m.files.write(func() error { return m.note(m.File.SyncData()) })
}

// note makes the sum of what was synced durable.
func (m *manifest) note(err error) error {
	if err != nil {
		return err
	}
	value := m.sum.Sum(binary.BigEndian.AppendUint64(make([]byte, 0, sumBytes), m.length))
	if m.cell == nil {
		m.cell, err = cell.Create(cells{m.files}, m.name, value)
		return err
	}
	return m.cell.Replace(value)
}

// Close implements vfs.File.
func (m *manifest) Close() error {
	if m.cell != nil {
		if err := m.cell.Close(); err != nil {
			m.files.monitor.fail(err)
		}
	}
	return m.file.Close()
}

// checkManifest compares the present manifest with its sum, if there is a store
// in the directory. It only reads.
func (f *files) checkManifest(dir string) error {
	name, err := atomicfs.ReadMarker(f, dir, "manifest")
	if err != nil || name == "" {
		return err
	}
	note, value, err := cell.Open(readCells{cells{f}}, f.sumOf(f.PathJoin(dir, name)))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: the sum of %s is missing", persistence.ErrCorrupt, name)
	}
	if err != nil {
		return err
	}
	if err := note.Close(); err != nil {
		return err
	}
	if len(value) != sumBytes {
		return fmt.Errorf("%w: the sum of %s has %d bytes", persistence.ErrCorrupt, name, len(value))
	}
	opened, err := f.FS.Open(f.PathJoin(dir, name), vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	sum := sha256.New()
	synced := binary.BigEndian.Uint64(value)
	read, err := io.Copy(sum, io.LimitReader(opened, int64(min(synced, 1<<62))))
	if err := errors.Join(err, opened.Close()); err != nil {
		return err
	}
	if uint64(read) != synced || !slices.Equal(sum.Sum(nil), value[8:]) { //nolint:gosec // a count is not negative
		return fmt.Errorf("%w: file %s is not as it was synced", persistence.ErrCorrupt, name)
	}
	return nil
}

// sumOf names the sum of a manifest.
func (f *files) sumOf(manifest string) string {
	return f.PathJoin(f.PathDir(manifest), sumPrefix+f.PathBase(manifest))
}

// dropSum removes the sum of a manifest, if there is one.
func (f *files) dropSum(manifest string) error {
	err := f.write(func() error { return f.FS.Remove(f.sumOf(manifest)) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// dropSums removes the sums that a crash has left of manifests that are gone.
func (f *files) dropSums(dir string) error {
	names, err := f.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		of, found := strings.CutPrefix(name, sumPrefix)
		if !found || slices.Contains(names, of) {
			continue
		}
		if err := f.FS.Remove(f.PathJoin(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// readCells opens cells to read: the disk may take no writes.
type readCells struct{ cells }

// Open implements cell.FS.
func (c readCells) Open(name string) (cell.File, error) {
	opened, err := c.disk.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return cellFile{opened}, nil
}
