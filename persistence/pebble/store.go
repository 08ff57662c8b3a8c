package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/rookery-im/rookery/persistence"
)

// epochBytes is the size of a fence record's value.
const epochBytes = 8

// Store is a persistence.Store on a Pebble database; see Open. Safe for any
// number of goroutines. Batches are applied one after the other: whoever has
// many small ones gathers them first, as persistence.Committer does.
//
// When any write to the disk fails, also one in the background, the store has
// failed: every call from then on gives ErrFailed with the cause (ENOSPC, say),
// and nothing more is written, until the directory is opened again.
type Store struct {
	dir   string
	db    *pebble.DB
	lock  *pebble.Lock
	files *files

	// write orders commits, so that a batch is applied under the epochs that it
	// was checked against.
	write  sync.Mutex
	epochs map[persistence.OwnerID]uint64 // as in the fence records

	life   sync.RWMutex // guards closed and starts of calls
	calls  sync.WaitGroup
	closed bool
}

var _ persistence.Store = (*Store)(nil)

// begin lets a call in; the caller ends it with s.calls.Done.
func (s *Store) begin(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed {
		return &persistence.StoreError{Op: op, Path: s.dir, Kind: persistence.ErrClosed}
	}
	if err := s.check(op); err != nil {
		return err
	}
	s.calls.Add(1)
	return nil
}

// check gives the failure that the store cannot go on from, if there is one.
func (s *Store) check(op string) error {
	if cause := s.files.monitor.failure(); cause != nil {
		return &persistence.StoreError{Op: op, Path: s.dir, Kind: persistence.ErrFailed, Err: cause}
	}
	return nil
}

// failed gives an error of Pebble its kind.
func (s *Store) failed(op string, err error) error {
	kind := persistence.ErrFailed
	if pebble.IsCorruptionError(err) {
		kind = persistence.ErrCorrupt
	}
	return &persistence.StoreError{Op: op, Path: s.dir, Kind: kind, Err: err}
}

// Get implements persistence.Store.
func (s *Store) Get(ctx context.Context, name persistence.Name) ([]byte, error) {
	if err := s.begin(ctx, "get"); err != nil {
		return nil, err
	}
	defer s.calls.Done()
	value, closer, err := s.db.Get([]byte(name))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, &persistence.RecordError{Op: "get", Name: name, Err: persistence.ErrNotFound}
	}
	if err != nil {
		return nil, &persistence.RecordError{Op: "get", Name: name, Err: s.failed("read", err)}
	}
	own := append([]byte{}, value...)
	if err := closer.Close(); err != nil {
		return nil, &persistence.RecordError{Op: "get", Name: name, Err: s.failed("read", err)}
	}
	return own, nil
}

// Scan implements persistence.Store.
func (s *Store) Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) (err error) {
	if err := s.begin(ctx, "scan"); err != nil {
		return err
	}
	defer s.calls.Done()
	wrap := func(err error) error {
		return &persistence.RecordError{Op: "scan", Name: prefix, Err: s.failed("read", err)}
	}
	var bounds pebble.IterOptions
	if prefix != "" { // Pebble wants no bound rather than an empty one
		bounds.LowerBound, bounds.UpperBound = []byte(prefix), after([]byte(prefix))
	}
	records, err := s.db.NewIter(&bounds)
	if err != nil {
		return wrap(err)
	}
	defer func() {
		if closeErr := records.Close(); err == nil && closeErr != nil {
			err = wrap(closeErr)
		}
	}()
	var buffer []byte
	for records.First(); records.Valid(); records.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		value, err := records.ValueAndErr()
		if err != nil {
			return wrap(err)
		}
		buffer = append(buffer[:0], value...) // the block cache is not the caller's
		if err := fn(persistence.Name(records.Key()), buffer); err != nil {
			return err
		}
	}
	if err := records.Error(); err != nil {
		return wrap(err)
	}
	return nil
}

// after is the first name past all that start with prefix, nil when there is
// none.
func after(prefix []byte) []byte {
	for end := bytes.Clone(prefix); len(end) > 0; end = end[:len(end)-1] {
		if last := len(end) - 1; end[last] < 0xff {
			end[last]++
			return end
		}
	}
	return nil
}

// Apply implements persistence.Store.
func (s *Store) Apply(ctx context.Context, batch persistence.Batch) error {
	if err := s.begin(ctx, "apply"); err != nil {
		return err
	}
	defer s.calls.Done()
	if err := batch.Check(); err != nil {
		return err
	}
	changes := s.db.NewBatch()
	defer func() { _ = changes.Close() }() // a batch in memory: nothing can fail
	for _, record := range batch.Records {
		var err error
		if record.Delete {
			err = changes.Delete([]byte(record.Name), nil)
		} else {
			err = changes.Set([]byte(record.Name), record.Value, nil)
		}
		if err != nil {
			return s.failed("apply", fmt.Errorf("record %s: %w", record.Name, err))
		}
	}
	s.write.Lock()
	defer s.write.Unlock()
	for _, fence := range batch.Fences {
		if stored := s.epochs[fence.Owner]; stored != fence.Epoch {
			return &persistence.FencedError{Owner: fence.Owner, Have: fence.Epoch, Stored: stored}
		}
	}
	return s.commit("apply", changes)
}

// Own implements persistence.Store.
func (s *Store) Own(ctx context.Context, owner persistence.OwnerID) (uint64, error) {
	if err := s.begin(ctx, "own"); err != nil {
		return 0, err
	}
	defer s.calls.Done()
	s.write.Lock()
	defer s.write.Unlock()
	epoch := s.epochs[owner] + 1
	change := s.db.NewBatch()
	defer func() { _ = change.Close() }()
	if err := change.Set([]byte(persistence.FenceName(owner)), binary.BigEndian.AppendUint64(nil, epoch), nil); err != nil {
		return 0, s.failed("own", err)
	}
	if err := s.commit("own", change); err != nil {
		return 0, err
	}
	s.epochs[owner] = epoch
	return epoch, nil
}

// commit makes a batch durable. The caller holds the write lock.
func (s *Store) commit(op string, changes *pebble.Batch) error {
	if err := s.check(op); err != nil {
		return err // failed while this call waited for its turn
	}
	if err := s.db.Apply(changes, pebble.Sync); err != nil {
		return s.failed(op, err)
	}
	// A failed write looks like success to Pebble; see files.
	return s.check(op)
}

// Close implements persistence.Store: it waits for the calls that are under way
// and releases the directory. A failed store closes without an error: its
// failure was told before.
func (s *Store) Close() error {
	s.life.Lock()
	again := s.closed
	s.closed = true
	s.life.Unlock()
	if again {
		return nil
	}
	s.calls.Wait()
	failedBefore := s.files.monitor.failed()
	err := s.db.Close()
	if err == nil && !failedBefore {
		err = s.files.seal(s.dir)
	}
	if lockErr := s.lock.Close(); err == nil {
		err = lockErr
	}
	if err != nil && !failedBefore {
		return s.failed("close", err)
	}
	return nil
}
