package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
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
// When the disk refuses a write for want of space, also one in the background,
// Apply and Own give ErrFull (ErrReadOnly when it was mounted read-only), what is
// durable can be read, and the store looks from time to time whether it can
// write again. A scan that is under way at that moment may end with the same error. When a write fails for another reason the store has failed: every
// call from then on gives ErrFailed with the cause, and nothing more is written,
// until the directory is opened again.
type Store struct {
	dir     string
	options Options
	lock    io.Closer // of the directory
	logs    *logEnds
	tables  *keptTables

	// write orders commits, so that a batch is applied under the epochs that it
	// was checked against.
	write sync.Mutex

	life    sync.Mutex // guards what follows and the calls of databases
	now     *database  // nil while another is being opened
	failure error      // why there will be no other
	news    chan struct{}
	closed  bool

	calls sync.WaitGroup
	stop  chan struct{} // closed by Close
	kept  chan struct{} // closed when the keeper has ended
	idle  chan struct{} // holds a token when a database that reads has no call
}

var _ persistence.Store = (*Store)(nil)

func newStore(dir string, opts Options, lock io.Closer, now *database) *Store {
	s := &Store{
		dir: dir, options: opts, lock: lock, logs: now.files.logs, tables: now.files.tables, now: now,
		news: make(chan struct{}), stop: make(chan struct{}), kept: make(chan struct{}), idle: make(chan struct{}, 1),
	}
	go s.keep()
	return s
}

// begin lets a call in, to the database that is there; the caller ends it with
// end. It waits while the keeper opens another.
func (s *Store) begin(ctx context.Context, op string) (*database, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		d, news, err := s.enter(op)
		if d != nil || err != nil {
			return d, err
		}
		select {
		case <-news:
		case <-s.stop:
		case <-ctx.Done():
		}
	}
}

// enter is begin without the waiting: news is closed when it is worth another
// try.
func (s *Store) enter(op string) (_ *database, news <-chan struct{}, _ error) {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil, nil, &persistence.StoreError{Op: op, Path: s.dir, Kind: persistence.ErrClosed}
	}
	if s.failure != nil {
		return nil, nil, &persistence.StoreError{Op: op, Path: s.dir, Kind: persistence.ErrFailed, Err: s.failure}
	}
	if s.now == nil {
		return nil, s.news, nil
	}
	switch cause := s.now.files.monitor.failure(); {
	case cause == nil:
		s.calls.Add(1)
		s.now.calls++
		return s.now, nil, nil
	case refusal(cause) != nil:
		return nil, s.news, nil
	default:
		return nil, nil, s.failed(op, cause)
	}
}

// end ends a call. The last one of a database that is no longer used closes it.
func (s *Store) end(d *database) {
	defer s.calls.Done()
	s.life.Lock()
	d.calls--
	last, retired := d.calls == 0, d.retired
	s.life.Unlock()
	switch {
	case last && retired:
		_ = d.db.Close() // its failure was told
		s.tables.release()
	case last && d.mode == reading:
		select {
		case s.idle <- struct{}{}:
		default:
		}
	}
}

// failed gives an error of Pebble or of the disk its kind.
func (s *Store) failed(op string, err error) error {
	return &persistence.StoreError{Op: op, Path: s.dir, Kind: kindOf(err), Err: err}
}

// Get implements persistence.Store.
func (s *Store) Get(ctx context.Context, name persistence.Name) ([]byte, error) {
	for {
		d, err := s.begin(ctx, "get")
		if err != nil {
			return nil, err
		}
		value, err := d.get(name)
		s.end(d)
		switch {
		case err == nil:
			return value, nil
		case errors.Is(err, pebble.ErrNotFound):
			return nil, &persistence.RecordError{Op: "get", Name: name, Err: persistence.ErrNotFound}
		case !d.frozen(): // else the next one knows
			return nil, &persistence.RecordError{Op: "get", Name: name, Err: s.failed("read", err)}
		}
	}
}

// Scan implements persistence.Store.
func (s *Store) Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error {
	return s.show(ctx, prefix, prefixed(prefix), math.MaxInt, fn)
}

// ScanAfter implements persistence.Store.
func (s *Store) ScanAfter(ctx context.Context, after persistence.Name, limit int, fn func(persistence.Name, []byte) error) error {
	return s.show(ctx, after, pebble.IterOptions{LowerBound: append([]byte(after), 0)}, limit, fn)
}

func (s *Store) show(ctx context.Context, from persistence.Name, bounds pebble.IterOptions, limit int, fn func(persistence.Name, []byte) error) error {
	shown := false
	for {
		d, err := s.begin(ctx, "scan")
		if err != nil {
			return err
		}
		err = d.show(ctx, bounds, limit, func(name persistence.Name, value []byte) error {
			shown = true
			return fn(name, value)
		})
		s.end(d)
		failed, ok := err.(readError) //nolint:errorlint // one that fn returns is fn's
		switch {
		case !ok:
			return err
		case !d.frozen():
			err = failed.error
		case !shown:
			continue // the next one knows
		default: // that one shows another moment
			err = d.files.monitor.failure()
		}
		return &persistence.RecordError{Op: "scan", Name: from, Err: s.failed("read", err)}
	}
}

// prefixed bounds the names that start with prefix.
func prefixed(prefix persistence.Name) pebble.IterOptions {
	if prefix == "" { // Pebble wants no bound rather than an empty one
		return pebble.IterOptions{}
	}
	return pebble.IterOptions{LowerBound: []byte(prefix), UpperBound: after([]byte(prefix))}
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
	d, err := s.begin(ctx, "apply")
	if err != nil {
		return err
	}
	defer s.end(d)
	if err := batch.Check(); err != nil {
		return err
	}
	changes := d.db.NewBatchWithSize(room(batch.Records))
	defer func() { _ = changes.Close() }() // a batch in memory: nothing can fail
	for _, record := range batch.Records {
		var put *pebble.DeferredBatchOp
		if record.Delete {
			put = changes.DeleteDeferred(len(record.Name))
		} else {
			put = changes.SetDeferred(len(record.Name), len(record.Value))
			copy(put.Value, record.Value)
		}
		copy(put.Key, record.Name)
		if err := put.Finish(); err != nil {
			return s.failed("apply", fmt.Errorf("record %s: %w", record.Name, err))
		}
	}
	s.write.Lock()
	defer s.write.Unlock()
	for _, fence := range batch.Fences {
		if stored := d.epochs[fence.Owner]; stored != fence.Epoch {
			return &persistence.FencedError{Owner: fence.Owner, Have: fence.Epoch, Stored: stored}
		}
	}
	return s.commit("apply", d, changes)
}

// room is how many bytes a batch of the records takes: growing to it would take
// twice as many.
func room(records []persistence.Record) int {
	const header, each = 12, 1 + 2*5 // a kind and two lengths
	n := header
	for i := range records {
		n += each + len(records[i].Name) + len(records[i].Value)
	}
	return n
}

// Own implements persistence.Store.
func (s *Store) Own(ctx context.Context, owner persistence.OwnerID) (uint64, error) {
	epochs, err := s.own(ctx, "own", []persistence.OwnerID{owner})
	if err != nil {
		return 0, err
	}
	return epochs[0], nil
}

// OwnAll implements persistence.Store.
func (s *Store) OwnAll(ctx context.Context, owners []persistence.OwnerID) ([]uint64, error) {
	return s.own(ctx, "own all", owners)
}

func (s *Store) own(ctx context.Context, op string, owners []persistence.OwnerID) ([]uint64, error) {
	d, err := s.begin(ctx, op)
	if err != nil {
		return nil, err
	}
	defer s.end(d)
	s.write.Lock()
	defer s.write.Unlock()
	change := d.db.NewBatch()
	defer func() { _ = change.Close() }()
	epochs := make([]uint64, len(owners))
	var value [epochBytes]byte
	for i, owner := range owners {
		epochs[i] = d.epochs[owner] + 1
		binary.BigEndian.PutUint64(value[:], epochs[i])
		if err := change.Set([]byte(persistence.FenceName(owner)), value[:], nil); err != nil {
			return nil, s.failed(op, err)
		}
	}
	if err := s.commit(op, d, change); err != nil {
		return nil, err
	}
	for i, owner := range owners {
		d.epochs[owner] = epochs[i]
	}
	return epochs, nil
}

// writable gives the error of a database that cannot be written to. The caller holds
// the write lock.
func (s *Store) writable(op string, d *database) error {
	if d.mode == reading && d.refused != nil {
		return s.failed(op, d.refused)
	}
	if d.mode == reading {
		return &persistence.StoreError{Op: op, Path: s.dir, Kind: persistence.ErrReadOnly}
	}
	if cause := d.files.monitor.failure(); cause != nil {
		return s.failed(op, cause) // failed while this call waited for its turn
	}
	return nil
}

// commit makes a batch durable. The caller holds the write lock.
func (s *Store) commit(op string, d *database, changes *pebble.Batch) error {
	if err := s.writable(op, d); err != nil {
		return err
	}
	if err := d.db.Apply(changes, pebble.Sync); err != nil {
		return s.failed(op, err)
	}
	// A failed write looks like success to Pebble; see files. Where a table or a
	// manifest could not be written the batch is still in its log.
	if cause := d.files.monitor.failure(); cause != nil && d.files.logLost.Load() {
		return s.failed(op, cause)
	}
	return nil
}

// Close implements persistence.Store: it waits for the calls that are under way
// and releases the directory. A store whose disk has failed or takes no writes
// closes without an error: that was told before.
func (s *Store) Close() error {
	s.life.Lock()
	again := s.closed
	s.closed = true
	s.life.Unlock()
	if again {
		return nil
	}
	close(s.stop)
	<-s.kept
	s.calls.Wait()
	err := s.now.close(s.dir)
	if lockErr := s.lock.Close(); err == nil {
		err = lockErr
	}
	if err != nil {
		return s.failed("close", err)
	}
	return nil
}
