package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
)

// rewrittenFile is the table of a Rewrite until the database has taken it over.
const rewrittenFile = "rewritten.sst"

// Rewrite puts records, which are of one kind and in ascending order of their names, in
// the place of all that there is above after and up to the last of them: what is not
// among them is gone. Nobody may write there from the moment at which the records were
// read on.
//
// They become a table of the last level at once. Written as batches they would go
// through the log and through every level, each of which merges them with what is
// below: for a whole store that is several times its size, and is left for later.
//
// It takes the records of the store itself, too. A *persistence.NameError is for those
// that are out of order, to be deleted, or of more than one kind, and for an epoch of
// ownership that is not what the store has. After another error the records are those of
// before or those given.
func (s *Store) Rewrite(ctx context.Context, after persistence.Name, records []persistence.Record) error {
	if len(records) == 0 {
		return nil
	}
	if err := ascending(after, records); err != nil {
		return err
	}
	d, err := s.begin(ctx, "rewrite")
	if err != nil {
		return err
	}
	defer s.end(d)
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.writable("rewrite", d); err != nil {
		return err
	}
	if err := d.sameEpochs(records); err != nil {
		return err
	}
	path := d.files.PathJoin(s.dir, rewrittenFile)
	if err := d.writeTable(path, records); err != nil {
		_ = d.files.Remove(path)
		return s.failed("rewrite", err)
	}
	last := records[len(records)-1].Name
	span := pebble.KeyRange{Start: append([]byte(after), 0), End: append([]byte(last), 0)}
	// What has begun is not called off: it would not be known what is there.
	_, err = d.db.IngestAndExcise(context.WithoutCancel(ctx), []string{path}, nil, nil, span)
	if cause := d.files.monitor.failure(); cause != nil {
		err = cause // what followed from it says less
	}
	if err != nil {
		_ = d.files.Remove(path)
		return s.failed("rewrite", err)
	}
	return nil
}

// ascending refuses records that are out of order, to be deleted, or of more than one
// kind: see ofOneKind.
func ascending(after persistence.Name, records []persistence.Record) error {
	for i := range records {
		name := records[i].Name
		if name <= after {
			return &persistence.NameError{Name: name, Reason: "out of order"}
		}
		if name.Kind() != records[0].Name.Kind() {
			return &persistence.NameError{Name: name, Reason: "of another kind than the record before"}
		}
		if records[i].Delete {
			return &persistence.NameError{Name: name, Reason: "to be deleted by a rewrite"}
		}
		after = name
	}
	return nil
}

// sameEpochs refuses epochs of ownership that are not those that the store has. The
// caller holds the write lock.
func (d *database) sameEpochs(records []persistence.Record) error {
	for i := range records {
		name := records[i].Name
		if name.Kind() != persistence.KindFence {
			continue
		}
		parts, err := name.Parts()
		if err != nil || len(parts) != 1 || len(parts[0]) != len(persistence.OwnerID{}) || len(records[i].Value) != epochBytes ||
			binary.BigEndian.Uint64(records[i].Value) != d.epochs[persistence.OwnerID(parts[0])] {
			return &persistence.NameError{Name: name, Reason: "not the epoch that the store has"}
		}
	}
	return nil
}

// writeTable writes records to a table that nothing names yet, durably.
func (d *database) writeTable(path string, records []persistence.Record) error {
	file, err := d.files.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	last := len(d.options.Levels) - 1
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(file), d.options.MakeWriterOptions(last, d.db.TableFormat()))
	for i := range records {
		if err := w.Set([]byte(records[i].Name), records[i].Value); err != nil {
			return errors.Join(fmt.Errorf("record %s: %w", records[i].Name, err), w.Close())
		}
	}
	return w.Close()
}

// dropRewritten removes the table that a crash or a full disk has left of a Rewrite.
func (f *files) dropRewritten(dir string) error {
	err := f.FS.Remove(f.PathJoin(dir, rewrittenFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
