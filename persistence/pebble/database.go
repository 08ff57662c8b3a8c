package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
)

// mode is what a database is opened for.
type mode int

const (
	writing mode = iota
	reading
)

// database is Pebble's database, opened once: the Store closes it and opens the
// next when the disk stops taking writes and when it takes them again.
type database struct {
	db      *pebble.DB
	options *pebble.Options
	files   *files
	mode    mode
	// refused is why a database only reads, nil if it was asked to.
	refused error
	// epochs are those of the fence records. Guarded by Store.write.
	epochs map[persistence.OwnerID]uint64

	calls   int  // under way; guarded by Store.life
	retired bool // the last call closes it; guarded by Store.life
}

// openDatabase opens the database in a directory that the caller has locked. An
// error is for openError.
func openDatabase(dir string, disk *files, opts Options, m mode) (_ *database, err error) {
	defer func() {
		if failure := disk.monitor.failure(); failure != nil && err != nil {
			err = failure // what followed from it says less
		}
	}()
	format, err := formatOf(disk, dir)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(disk.checkSeal(dir), disk.checkManifest(dir)); err != nil {
		return nil, err
	}
	if m == writing {
		if err := disk.tidy(dir); err != nil {
			return nil, err
		}
	}
	set := settings(disk, opts, m)
	db, err := pebble.Open(dir, set)
	if err != nil {
		return nil, err
	}
	d := &database{db: db, options: set, files: disk, mode: m, epochs: make(map[persistence.OwnerID]uint64)}
	if m == writing && format < pebble.FormatWALSyncChunks {
		// The log that Open has begun is still in the old format, in which any
		// flipped bit reads as the end of the log. A flush begins a new one.
		err = db.Flush()
	}
	if err == nil {
		err = d.loadEpochs()
	}
	if err == nil {
		err = disk.monitor.failure()
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return d, nil
}

// tidy makes a directory ready to be written to.
func (f *files) tidy(dir string) error {
	if err := f.unseal(dir); err != nil {
		return err
	}
	if err := removeProbe(f.FS, dir); err != nil {
		return err
	}
	if err := f.dropRewritten(dir); err != nil {
		return err
	}
	return f.dropSums(dir)
}

// loadEpochs fills the cache that Apply checks fences against.
func (d *database) loadEpochs() error {
	fences := prefixed(persistence.NewName(persistence.KindFence))
	return d.show(context.Background(), fences, math.MaxInt, func(name persistence.Name, value []byte) error {
		parts, err := name.Parts()
		if err != nil || len(parts) != 1 || len(parts[0]) != len(persistence.OwnerID{}) || len(value) != epochBytes {
			return fmt.Errorf("%w: record %s", persistence.ErrCorrupt, name)
		}
		d.epochs[persistence.OwnerID(parts[0])] = binary.BigEndian.Uint64(value)
		return nil
	})
}

// close closes the database and leaves the seal of a store that was closed. What
// the disk has refused before was told.
func (d *database) close(dir string) error {
	if d == nil {
		return nil
	}
	failed := d.mode == reading || d.frozen()
	err := d.db.Close()
	if failed {
		return nil
	}
	if err == nil {
		err = d.files.seal(dir)
	}
	return err
}

// frozen tells whether the disk has refused a write. Tables that were written from
// then on are not there, though the database believes so: what it cannot read says
// nothing about what is durable.
func (d *database) frozen() bool { return d.files.monitor.failed() }

// get gives a copy of a value. The error is Pebble's.
func (d *database) get(name persistence.Name) ([]byte, error) {
	value, closer, err := d.db.Get([]byte(name))
	if err != nil {
		return nil, err
	}
	own := append([]byte{}, value...)
	if err := closer.Close(); err != nil {
		return nil, err
	}
	return own, nil
}

// readError is a failure of the database below show, as opposed to an error of
// the caller's.
type readError struct{ error }

// Unwrap gives the cause.
func (e readError) Unwrap() error { return e.error }

// show calls fn for the first limit records within the bounds. An error of
// Pebble's is a readError, every other is the context's or fn's as it is.
func (d *database) show(ctx context.Context, bounds pebble.IterOptions, limit int, fn func(persistence.Name, []byte) error) (err error) {
	records, err := d.db.NewIter(&bounds)
	if err != nil {
		return readError{err}
	}
	defer func() {
		if closeErr := records.Close(); err == nil && closeErr != nil {
			err = readError{closeErr}
		}
	}()
	var buffer []byte
	for shown := 0; shown < limit && step(records, shown); shown++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		value, err := records.ValueAndErr()
		if err != nil {
			return readError{err}
		}
		buffer = append(buffer[:0], value...) // the block cache is not the caller's
		if err := fn(persistence.Name(records.Key()), buffer); err != nil {
			return err
		}
	}
	if err := records.Error(); err != nil {
		return readError{err}
	}
	return nil
}

// step goes to the next record, the first one at the beginning.
func step(records *pebble.Iterator, shown int) bool {
	if shown == 0 {
		return records.First()
	}
	return records.Next()
}

// refusal is the kind of error for a disk that takes no writes but will again,
// nil for any other failure.
func refusal(cause error) error {
	switch {
	case vfs.IsNoSpaceError(cause), errors.Is(cause, syscall.ENOSPC), errors.Is(cause, syscall.EDQUOT):
		return persistence.ErrFull
	case errors.Is(cause, syscall.EROFS):
		return persistence.ErrReadOnly
	}
	return nil
}

// kindOf gives an error of Pebble or of the disk its kind.
func kindOf(err error) error {
	if pebble.IsCorruptionError(err) {
		return persistence.ErrCorrupt
	}
	if kind := refusal(err); kind != nil {
		return kind
	}
	return persistence.ErrFailed
}
