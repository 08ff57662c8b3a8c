package pebble

import (
	"context"

	"github.com/rookery-im/rookery/persistence"
)

// Sizes are what a store takes on its disk, in bytes.
type Sizes struct {
	Files uint64 // all of its files
	Log   uint64 // the write-ahead logs among them
}

// Sizes asks the database, which knows them without the disk. While the database is
// being changed for another, see Store, it waits for the next until ctx ends.
func (s *Store) Sizes(ctx context.Context) (Sizes, error) {
	d, err := s.begin(ctx, "sizes")
	if err != nil {
		return Sizes{}, err
	}
	defer s.end(d)
	m := d.db.Metrics()
	// Pebble learns the length of a log file when it begins the next; what is in the
	// present one it knows.
	log := max(m.WAL.PhysicalSize, m.WAL.Size)
	return Sizes{
		Files: m.DiskSpaceUsage() - m.WAL.PhysicalSize + log,
		Log:   log + m.WAL.ObsoletePhysicalSize,
	}, nil
}

// SizeAfter is about how many bytes the records above a name take in tables, with
// what they have left there of before: what is still in memory is not counted. It
// reads nothing but a few blocks of indexes.
func (s *Store) SizeAfter(ctx context.Context, after persistence.Name) (uint64, error) {
	d, err := s.begin(ctx, "size")
	if err != nil {
		return 0, err
	}
	defer s.end(d)
	size, err := d.db.EstimateDiskUsage(append([]byte(after), 0), []byte{0xff}) // no kind is so high
	if err != nil {
		return 0, s.failed("size", err)
	}
	return size, nil
}
