package sealing

import (
	"context"

	"github.com/rookery-im/rookery/persistence"
)

// Recovery gives the number of the last recovery, 0 for none, and whether its
// user still owes it the new start. Numbers grow, and no two stores share one
// for as long as clocks go right: what carries another number than a pending
// recovery's has not been started anew.
func (s *Store) Recovery() (number uint64, pending bool) {
	s.write.Lock()
	defer s.write.Unlock()
	return s.head.recovery, s.head.pending
}

// RolledBack says that the store has gone back, in this run or before, and no
// new start has been made since.
func (s *Store) RolledBack() bool {
	_, pending := s.Recovery()
	return pending
}

// Recovered ends a recovery, durably when it returns nil: the user has made its
// new start.
func (s *Store) Recovered(ctx context.Context) error {
	return s.note(ctx, "recovered", func(h *head) { h.pending = false })
}

// MarkRestored makes the next Open a recovery, durably when it returns nil. It
// is the last step of who puts records into the store that may be older than
// what was sent since.
func (s *Store) MarkRestored(ctx context.Context) error {
	return s.note(ctx, "mark restored", func(h *head) { h.restored = true })
}

// note writes the head alone.
func (s *Store) note(ctx context.Context, op string, change func(*head)) error {
	if err := s.enterToWrite(ctx, op); err != nil {
		return err
	}
	defer s.calls.Done()
	s.write.Lock()
	defer s.write.Unlock()
	return s.commit(ctx, persistence.Batch{}, change)
}
