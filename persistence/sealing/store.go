package sealing

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
)

// What is kept from one batch to the next at most, in bytes and in records.
const (
	keptBuffer  = 4 << 20
	keptRecords = 16 << 10
)

// Store is a persistence.Store that seals what another one keeps; see Open. Safe
// for any number of goroutines. Batches are applied one after the other.
type Store struct {
	options Options
	ring    *keyring.Keyring
	inner   persistence.Store

	// reading orders readers and the end of keys: who has the lock shared finds
	// the key of every value that the store below shows.
	reading sync.RWMutex
	keys    keys

	// write orders batches. What follows is guarded by it.
	write     sync.Mutex
	sealer    sealer
	head      head
	anchor    *anchor
	unsettled bool // it is not known whether the last batch is there, or the anchor lags
	condition condition
	dirty     bool   // something was written since the epoch began
	notes     *notes // of what is written while records are sealed anew, or nil
	buffer    []byte // of the last batch, for the next one: the store below has copied it
	records   []persistence.Record

	turn    chan struct{} // holds one token while somebody changes the keyring
	giveWay chan struct{} // asks the rotation in the background to end early
	stop    func()        // ends the rotation in the background; nil when there is none

	life   sync.RWMutex // guards closed and starts of calls
	calls  sync.WaitGroup
	closed bool
}

var _ persistence.Store = (*Store)(nil)

// enter lets a call in; the caller ends it with s.calls.Done.
func (s *Store) enter(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed {
		return &persistence.StoreError{Op: op, Path: s.options.Dir, Kind: persistence.ErrClosed}
	}
	s.calls.Add(1)
	return nil
}

// enterToWrite is enter for a call that changes something.
func (s *Store) enterToWrite(ctx context.Context, op string) error {
	if s.options.ReadOnly {
		return &persistence.StoreError{Op: op, Path: s.options.Dir, Kind: ErrReadOnly}
	}
	return s.enter(ctx, op)
}

// Get implements persistence.Store.
func (s *Store) Get(ctx context.Context, name persistence.Name) ([]byte, error) {
	if err := s.enter(ctx, "get"); err != nil {
		return nil, err
	}
	defer s.calls.Done()
	switch name.Kind() {
	case persistence.KindFence:
		return s.inner.Get(ctx, name)
	case persistence.KindHead:
		return nil, &persistence.RecordError{Op: "get", Name: name, Err: persistence.ErrNotFound}
	}
	s.reading.RLock()
	sealed, err := s.inner.Get(ctx, name)
	known := s.keys
	s.reading.RUnlock()
	if err != nil {
		return nil, err
	}
	value, err := known.open(name, sealed)
	if err != nil {
		return nil, corrupt("get", name, err)
	}
	return value, nil
}

// Scan implements persistence.Store. It may outlast the keys of its time.
func (s *Store) Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error {
	if err := s.enter(ctx, "scan"); err != nil {
		return err
	}
	defer s.calls.Done()
	return s.show(fn, func(each func(persistence.Name, []byte) error) error {
		return s.inner.Scan(ctx, prefix, each)
	})
}

// ScanAfter implements persistence.Store.
func (s *Store) ScanAfter(ctx context.Context, after persistence.Name, limit int, fn func(persistence.Name, []byte) error) error {
	if err := s.enter(ctx, "scan"); err != nil {
		return err
	}
	defer s.calls.Done()
	// The head does not count.
	below := limit
	if after < headName {
		below++
	}
	return s.show(func(name persistence.Name, value []byte) error {
		if limit--; limit < 0 {
			return nil
		}
		return fn(name, value)
	}, func(each func(persistence.Name, []byte) error) error {
		return s.inner.ScanAfter(ctx, after, below, each)
	})
}

// show opens what a scan of the store below shows. The keys are taken at its
// first record, when its view is settled, and none may end before.
func (s *Store) show(fn func(persistence.Name, []byte) error, scan func(func(persistence.Name, []byte) error) error) error {
	var known keys
	s.reading.RLock()
	settle := sync.OnceFunc(func() {
		known = s.keys
		s.reading.RUnlock()
	})
	defer settle()
	return scan(func(name persistence.Name, value []byte) error {
		settle()
		switch name.Kind() {
		case persistence.KindFence:
			return fn(name, value)
		case persistence.KindHead:
			return nil
		}
		value, err := known.open(name, value)
		if err != nil {
			return corrupt("scan", name, err)
		}
		return fn(name, value)
	})
}

// Apply implements persistence.Store. It returns nil when the batch, the head
// that counts it and the anchor are durable.
func (s *Store) Apply(ctx context.Context, batch persistence.Batch) error {
	if err := s.enterToWrite(ctx, "apply"); err != nil {
		return err
	}
	defer s.calls.Done()
	batch.Head = false
	if err := batch.Check(); err != nil {
		return err
	}
	if len(batch.Records) == 0 {
		return s.inner.Apply(ctx, batch) // it checks the fences
	}
	s.write.Lock()
	defer s.write.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.commit(ctx, batch, nil)
}

// Own implements persistence.Store. Epochs are the store's below.
func (s *Store) Own(ctx context.Context, owner persistence.OwnerID) (uint64, error) {
	if err := s.enterToWrite(ctx, "own"); err != nil {
		return 0, err
	}
	defer s.calls.Done()
	return s.inner.Own(ctx, owner)
}

// OwnAll implements persistence.Store.
func (s *Store) OwnAll(ctx context.Context, owners []persistence.OwnerID) ([]uint64, error) {
	if err := s.enterToWrite(ctx, "own all"); err != nil {
		return nil, err
	}
	defer s.calls.Done()
	return s.inner.OwnAll(ctx, owners)
}

// commit writes a batch with the head that follows, changed by change when it is
// not nil, and moves the anchor on. The caller holds the write lock.
func (s *Store) commit(ctx context.Context, batch persistence.Batch, change func(*head)) error {
	ctx = context.WithoutCancel(ctx) // a sync that has begun cannot be called off
	if s.unsettled {
		if err := s.settle(ctx); err != nil {
			return err
		}
	}
	next := s.head
	next.counter++
	if change != nil {
		change(&next)
	}
	state := persistence.Record{Name: headName, Value: next.encode()}
	s.dirty = true // also if it is not known afterwards whether the batch is there
	err := s.inner.Apply(ctx, persistence.Batch{Fences: batch.Fences, Records: s.sealed(batch.Records, state), Head: true})
	if errors.Is(err, persistence.ErrFenced) {
		return err // nothing was written
	}
	if err != nil {
		s.unsettled = true
		s.condition.unsettled.Store(true)
		s.notes.lose()
		return err
	}
	s.head = next
	s.condition.rolledBack.Store(next.pending)
	s.notes.add(batch.Records)
	return s.moveAnchor()
}

// sealed gives records with their values sealed. They are good until the next
// call. The caller holds the write lock.
func (s *Store) sealed(records []persistence.Record, more ...persistence.Record) []persistence.Record {
	out := append(append(s.records[:0], records...), more...)
	size := 0
	for i := range out {
		if !out[i].Delete {
			size += len(out[i].Value) + overhead
		}
	}
	if cap(s.buffer) < size {
		s.buffer = make([]byte, 0, size)
	}
	buffer := s.buffer[:0]
	for i := range out {
		if out[i].Delete {
			continue
		}
		start := len(buffer)
		buffer = s.sealer.appendSealed(buffer, out[i].Name, out[i].Value)
		out[i].Value = buffer[start:]
	}
	s.records = out
	if cap(out) > keptRecords {
		s.records = nil
	}
	if cap(buffer) > keptBuffer {
		s.buffer = nil
	}
	return out
}

// settle finds out what has become of a batch that failed, and brings the anchor
// to where the store is. The caller holds the write lock.
func (s *Store) settle(ctx context.Context) error {
	stored, err := s.readHead(ctx)
	if err != nil {
		return err
	}
	if stored.run != s.head.run || stored.counter != s.head.counter && stored.counter != s.head.counter+1 {
		return corrupt("get", headName, fmt.Errorf("counts %d batches, not %d", stored.counter, s.head.counter))
	}
	s.head = stored
	s.condition.rolledBack.Store(stored.pending)
	return s.moveAnchor()
}

// moveAnchor makes the anchor say what the head says. The caller holds the write
// lock.
func (s *Store) moveAnchor() error {
	s.unsettled = true
	if err := s.anchor.move(s.head.point); err != nil {
		s.condition.unsettled.Store(true)
		return &persistence.StoreError{Op: "apply", Path: s.options.Anchor, Kind: diskKind(err), Err: err}
	}
	s.unsettled = false
	s.condition.unsettled.Store(false)
	return nil
}

// SetProtector seals the keyring under another passphrase or key file. When it
// returns nil the one before opens nothing any more.
func (s *Store) SetProtector(ctx context.Context, p keyring.Protector) error {
	if err := s.enterToWrite(ctx, "set protector"); err != nil {
		return err
	}
	defer s.calls.Done()
	return s.failed("set protector", s.ring.SetProtector(p))
}

// Close implements persistence.Store: it waits for the calls that are under way,
// rotates, for closeTime at most, and closes everything. A rotation that fails
// is logged: the older keys stay until the store is open again. After one that
// comes to its end the next Open has nothing to seal anew at once.
func (s *Store) Close() error {
	s.life.Lock()
	again := s.closed
	s.closed = true
	s.life.Unlock()
	if again {
		return nil
	}
	if s.stop != nil {
		s.stop()
	}
	s.calls.Wait()
	if !s.options.ReadOnly {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		if err := s.leaveClean(ctx); err != nil {
			s.options.Logger.Warn("older keys stay: the rotation at close has failed", "dir", s.options.Dir, "error", err)
		}
	}
	return s.release()
}

// release closes what is open.
func (s *Store) release() error {
	var errs []error
	if s.inner != nil {
		errs = append(errs, s.inner.Close())
	}
	if s.anchor != nil {
		errs = append(errs, s.anchor.close())
	}
	if s.ring != nil {
		errs = append(errs, s.ring.Close())
	}
	return errors.Join(errs...)
}
