package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
)

const (
	defaultCacheBytes    = 64 << 20
	defaultMemTableBytes = 16 << 20
	// bloomBits per name keep one in a hundred look-ups of an absent record
	// from being answered in memory.
	bloomBits = 10
)

// Options of a store; the zero value is good.
type Options struct {
	// FS is where the directory lies; default the operating system's.
	FS vfs.FS
	// Logger gets Pebble's file events at debug level and its failures at error
	// level, never a value; default none.
	Logger *slog.Logger
	// CacheBytes bounds the block cache; default 64 MiB.
	CacheBytes int64
	// MemTableBytes is what gathers in memory before it is written as a table;
	// default 16 MiB. A session's state that is overwritten while it is still
	// there never costs a compaction.
	MemTableBytes uint64
}

// Open opens the store in a directory, or makes both. The directory is private
// to its user (0700, files 0600): an existing one that has files and lets others
// in is refused.
//
// The error is a *persistence.StoreError of kind ErrLocked, ErrCorrupt,
// ErrPermission, ErrNotDirectory, ErrNewerFormat, or ErrFailed for a disk that
// does not work.
func Open(dir string, opts Options) (*Store, error) {
	if opts.FS == nil {
		opts.FS = vfs.Default
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.CacheBytes <= 0 {
		opts.CacheBytes = defaultCacheBytes
	}
	if opts.MemTableBytes == 0 {
		opts.MemTableBytes = defaultMemTableBytes
	}
	watch := &monitor{dir: dir, logger: opts.Logger}
	store, err := open(dir, newFiles(opts.FS, watch), opts)
	if failure := watch.failure(); failure != nil && err != nil {
		err = failure // what followed from it says less
	}
	if err != nil {
		return nil, openError(dir, err)
	}
	return store, nil
}

func open(dir string, disk *files, opts Options) (_ *Store, err error) {
	if err := disk.prepare(dir); err != nil {
		return nil, err
	}
	lock, err := pebble.LockDirectory(dir, disk)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	format, err := formatOf(disk, dir)
	if err != nil {
		return nil, err
	}
	if err := disk.unseal(dir); err != nil {
		return nil, err
	}
	db, err := pebble.Open(dir, settings(disk, lock, opts))
	if err != nil {
		return nil, err
	}
	store := &Store{dir: dir, db: db, lock: lock, files: disk, epochs: make(map[persistence.OwnerID]uint64)}
	if format < pebble.FormatWALSyncChunks {
		// The log that Open has begun is still in the old format, in which any
		// flipped bit reads as the end of the log. A flush begins a new one.
		err = db.Flush()
	}
	if err == nil {
		err = store.loadEpochs()
	}
	if err == nil {
		err = disk.monitor.failure()
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return store, nil
}

// settings for many small records, of which the recent ones are written over
// again and again and most of the others are read one by one.
func settings(disk *files, lock *pebble.Lock, opts Options) *pebble.Options {
	set := &pebble.Options{
		FS:                 disk,
		Lock:               lock,
		Logger:             disk.monitor,
		FormatMajorVersion: pebble.FormatNewest,
		CacheSize:          opts.CacheBytes,
		MemTableSize:       opts.MemTableBytes,
		EventListener: &pebble.EventListener{
			BackgroundError: disk.monitor.background,
			DataCorruption:  disk.monitor.corruption,
		},
	}
	for i := range set.Levels {
		set.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	return set
}

// formatOf reads the format that the store in dir is written in, 0 for none.
// Pebble has no typed error for one it does not know, and a store that only
// needs a newer release must not be called corrupt.
func formatOf(disk *files, dir string) (pebble.FormatMajorVersion, error) {
	const marker = "marker.format-version."
	names, err := disk.List(dir)
	if err != nil {
		return 0, err
	}
	var newest pebble.FormatMajorVersion
	for _, name := range names {
		rest, found := strings.CutPrefix(name, marker)
		if !found {
			continue
		}
		_, version, _ := strings.Cut(rest, ".")
		number, err := strconv.ParseUint(version, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("%w: file %s", persistence.ErrCorrupt, name)
		}
		newest = max(newest, pebble.FormatMajorVersion(number))
	}
	if newest > pebble.FormatNewest {
		return 0, fmt.Errorf("%w: format %d, this one knows up to %d", persistence.ErrNewerFormat, newest, pebble.FormatNewest)
	}
	return newest, nil
}

// loadEpochs fills the cache that Apply checks fences against.
func (s *Store) loadEpochs() error {
	return s.Scan(context.Background(), persistence.NewName(persistence.KindFence), func(name persistence.Name, value []byte) error {
		parts, err := name.Parts()
		if err != nil || len(parts) != 1 || len(parts[0]) != len(persistence.OwnerID{}) || len(value) != epochBytes {
			return fmt.Errorf("%w: record %s", persistence.ErrCorrupt, name)
		}
		s.epochs[persistence.OwnerID(parts[0])] = binary.BigEndian.Uint64(value)
		return nil
	})
}

// openError gives a failure to open its kind. What is neither said by us nor by
// the operating system is Pebble's word that it cannot make sense of the files.
func openError(dir string, err error) error {
	kind := persistence.ErrCorrupt
	var number syscall.Errno
	switch {
	case pebble.IsCorruptionError(err):
	case errors.Is(err, persistence.ErrLocked):
		kind = persistence.ErrLocked
	case errors.Is(err, persistence.ErrNewerFormat):
		kind = persistence.ErrNewerFormat
	case errors.Is(err, persistence.ErrNotDirectory), errors.Is(err, syscall.ENOTDIR):
		kind = persistence.ErrNotDirectory
	case errors.Is(err, persistence.ErrPermission), errors.Is(err, fs.ErrPermission):
		kind = persistence.ErrPermission
	case errors.Is(err, fs.ErrNotExist): // a file that the others name
	case errors.As(err, &number):
		kind = persistence.ErrFailed
	}
	return &persistence.StoreError{Op: "open", Path: dir, Kind: kind, Err: err}
}
