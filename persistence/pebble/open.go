package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
)

const (
	defaultCacheBytes    = 256 << 20
	defaultMemTableBytes = 32 << 20
	memTables            = 2 // at a time
	defaultHeadroom      = 16 << 20
	filterBits           = 10 // for each name
	defaultProbeEvery    = 10 * time.Second
)

// Options of a store; the zero value is good.
type Options struct {
	// FS is where the directory lies; default the operating system's.
	FS vfs.FS
	// Logger gets Pebble's file events at debug level and its failures at error
	// level, never a value; default none.
	Logger *slog.Logger
	// CacheBytes bounds the block cache; default 256 MiB. It grows with what is
	// read, up to the size of the store. Room that memtables do not need is used
	// for it, too.
	CacheBytes int64
	// MemTableBytes is what gathers in memory before it is written as a table;
	// default 32 MiB, and there may be two. A session's state that is overwritten
	// while it is still there never costs a compaction.
	MemTableBytes uint64
	// ReadOnly opens a store that is there and changes no file of it: Apply and
	// Own give ErrReadOnly. It is locked all the same. fs.ErrNotExist when there
	// is no such directory.
	ReadOnly bool
	// Headroom is how many bytes must be free, in Dir and by its user's quota,
	// before a store writes again that the disk was too full for; default 16 MiB.
	Headroom int64
	// ProbeEvery is how often that is looked after; default 10 s.
	ProbeEvery time.Duration

	adjust func(*pebble.Options) // by the benchmark that the settings come from
}

// Open opens the store in a directory, or makes both. The directory is private
// to its user (0700, files 0600): an existing one that has files and lets others
// in is refused.
//
// The error is a *persistence.StoreError of kind ErrLocked, ErrCorrupt,
// ErrPermission, ErrNotDirectory, ErrNewerFormat, ErrFull, ErrReadOnly, or
// ErrFailed for a disk that does not work.
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
	if opts.Headroom <= 0 {
		opts.Headroom = defaultHeadroom
	}
	if opts.ProbeEvery <= 0 {
		opts.ProbeEvery = defaultProbeEvery
	}
	disk := newFiles(opts.FS, newMonitor(dir, opts.Logger))
	disk.logs, disk.tables = new(logEnds), new(keptTables)
	if _, err := disk.Stat(dir); opts.ReadOnly && errors.Is(err, fs.ErrNotExist) {
		return nil, &persistence.StoreError{Op: "open", Path: dir, Kind: fs.ErrNotExist}
	}
	if err := disk.prepare(dir); err != nil {
		return nil, openError(dir, err)
	}
	lock, err := disk.lock(dir)
	if err != nil {
		return nil, openError(dir, err)
	}
	m := writing
	if opts.ReadOnly {
		m = reading
	}
	now, err := openDatabase(dir, disk, opts, m)
	if err != nil {
		return nil, openError(dir, errors.Join(err, lock.Close()))
	}
	return newStore(dir, opts, lock, now), nil
}

// settings for many small sealed records, of which the recent ones are written
// over again and again: docs/adr/0014-pebble-options.md.
func settings(disk *files, opts Options, m mode) *pebble.Options {
	set := &pebble.Options{
		FS:                 disk,
		ReadOnly:           m == reading,
		Logger:             disk.monitor,
		FormatMajorVersion: pebble.FormatNewest,
		// Pebble takes the memory of memtables out of the cache's.
		CacheSize:    opts.CacheBytes + memTables*int64(opts.MemTableBytes), //nolint:gosec // far below
		MemTableSize: opts.MemTableBytes,

		MemTableStopWritesThreshold: memTables,
		EventListener: &pebble.EventListener{
			BackgroundError: disk.monitor.background,
			DataCorruption:  disk.monitor.corruption,
		},
	}
	for i := range set.Levels {
		set.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
		set.Levels[i].FilterPolicy = bloom.FilterPolicy(filterBits)
	}
	// Names that are looked up are nearly always there: in the last level, at the
	// latest, where Pebble asks no filter by itself.
	set.Levels[len(set.Levels)-1].FilterPolicy = pebble.NoFilterPolicy
	set.Experimental.SpanPolicyFunc = ofOneKind
	if opts.adjust != nil {
		opts.adjust(set)
	}
	// What Rewrite puts in place waits for a flush, and its errors come back to it:
	// from the log it would be taken later, with nobody to tell.
	set.Experimental.DisableIngestAsFlushable = func() bool { return true }
	set.EnsureDefaults() // Pebble does it in a copy of its own; Rewrite needs them, too
	return set
}

// ofOneKind has each table end where records of another kind begin. What is in the
// outbox or the inbox is there for milliseconds: a deletion ends in the first compaction
// below which no table may have its record, and that is the one out of level 0 if none
// reaches from the kind before to the kind after. Otherwise it goes down to the last
// level, and each time has the tables of all kinds there written anew.
func ofOneKind(start []byte) (policy pebble.SpanPolicy, end []byte, err error) {
	if start[0] == math.MaxUint8 {
		return policy, nil, nil
	}
	return policy, []byte{start[0] + 1}, nil
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
	case refusal(err) != nil:
		kind = refusal(err)
	case errors.Is(err, fs.ErrNotExist): // a file that the others name
	case errors.As(err, &number):
		kind = persistence.ErrFailed
	}
	return &persistence.StoreError{Op: "open", Path: dir, Kind: kind, Err: err}
}
