package memory

import (
	"bytes"
	"context"
	"encoding/binary"
	"sync"

	"github.com/rookery-im/rookery/persistence"
)

// Store is a persistence.Store in memory. It copies what goes in and what comes
// out. Safe for any number of goroutines.
type Store struct {
	mu     sync.RWMutex
	values map[persistence.Name][]byte // a slice is replaced, never written to
	names  index
	closed bool
}

var _ persistence.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{values: make(map[persistence.Name][]byte)}
}

// Get implements persistence.Store.
func (s *Store) Get(ctx context.Context, name persistence.Name) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	value, found := s.values[name]
	closed := s.closed
	s.mu.RUnlock()
	if closed {
		return nil, &persistence.RecordError{Op: "get", Name: name, Err: persistence.ErrClosed}
	}
	if !found {
		return nil, &persistence.RecordError{Op: "get", Name: name, Err: persistence.ErrNotFound}
	}
	return bytes.Clone(value), nil
}

// Scan implements persistence.Store.
func (s *Store) Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error {
	return s.show(ctx, prefix, func() []persistence.Name { return s.names.below(prefix) }, fn)
}

// ScanAfter implements persistence.Store.
func (s *Store) ScanAfter(ctx context.Context, after persistence.Name, limit int, fn func(persistence.Name, []byte) error) error {
	return s.show(ctx, after, func() []persistence.Name { return s.names.after(after, limit) }, fn)
}

// show calls fn for the names that list gives, with the values of that moment.
func (s *Store) show(ctx context.Context, from persistence.Name, list func() []persistence.Name, fn func(persistence.Name, []byte) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// fn runs without the lock, so that it may use the store.
	s.mu.RLock()
	closed := s.closed
	names := list()
	values := make([][]byte, len(names))
	for i, name := range names {
		values[i] = s.values[name]
	}
	s.mu.RUnlock()
	if closed {
		return &persistence.RecordError{Op: "scan", Name: from, Err: persistence.ErrClosed}
	}
	var buffer []byte
	for i, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		buffer = append(buffer[:0], values[i]...)
		if err := fn(name, buffer); err != nil {
			return err
		}
	}
	return nil
}

// Apply implements persistence.Store.
func (s *Store) Apply(ctx context.Context, batch persistence.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return persistence.ErrClosed
	}
	if err := batch.Check(); err != nil {
		return err
	}
	for _, fence := range batch.Fences {
		if stored := s.epoch(fence.Owner); stored != fence.Epoch {
			return &persistence.FencedError{Owner: fence.Owner, Have: fence.Epoch, Stored: stored}
		}
	}
	for _, record := range batch.Records {
		if record.Delete {
			delete(s.values, record.Name)
			s.names.remove(record.Name)
			continue
		}
		s.put(record.Name, append([]byte{}, record.Value...))
	}
	return nil
}

// Own implements persistence.Store.
func (s *Store) Own(ctx context.Context, owner persistence.OwnerID) (uint64, error) {
	epochs, err := s.OwnAll(ctx, []persistence.OwnerID{owner})
	if err != nil {
		return 0, err
	}
	return epochs[0], nil
}

// OwnAll implements persistence.Store.
func (s *Store) OwnAll(ctx context.Context, owners []persistence.OwnerID) ([]uint64, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, persistence.ErrClosed
	}
	epochs := make([]uint64, len(owners))
	for i, owner := range owners {
		epochs[i] = s.epoch(owner) + 1
	}
	for i, owner := range owners {
		s.put(persistence.FenceName(owner), binary.BigEndian.AppendUint64(nil, epochs[i]))
	}
	return epochs, nil
}

// Close implements persistence.Store: it forgets every record.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.values, s.names = true, nil, index{}
	return nil
}

func (s *Store) put(name persistence.Name, value []byte) {
	if _, found := s.values[name]; !found {
		s.names.insert(name)
	}
	s.values[name] = value
}

func (s *Store) epoch(owner persistence.OwnerID) uint64 {
	value, found := s.values[persistence.FenceName(owner)]
	if !found {
		return 0
	}
	return binary.BigEndian.Uint64(value)
}
