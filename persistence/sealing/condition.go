package sealing

import (
	"sync/atomic"
	"time"
)

// Condition is how a store is, as a monitor wants to know it.
type Condition struct {
	// Epochs is how many keys there are that open something on disk, and Oldest since
	// when these may open what is to be forgotten: when the first of these epochs
	// began, or when the store was opened if it had been closed without anything
	// like that. Zero of a store that is closed.
	Epochs int
	Oldest time.Time
	// RolledBack says that the store has gone back and no new start was made since.
	RolledBack bool
	// Unsettled says that a write has failed, so that it is not known whether its batch
	// is there, or that the anchor could not follow. The next write finds out.
	Unsettled bool
}

// condition is what is noted of it beside the lock of writers.
type condition struct {
	rolledBack, unsettled atomic.Bool
	// clean is when a store was opened in which nothing was to be forgotten; zero of
	// any other. Open sets it.
	clean time.Time
}

// Condition tells how the store is. Unlike Stats it neither reads the disk nor waits
// for who writes.
func (s *Store) Condition() Condition {
	c := Condition{RolledBack: s.condition.rolledBack.Load(), Unsettled: s.condition.unsettled.Load()}
	if epochs := s.ring.Epochs(); len(epochs) > 0 {
		c.Epochs, c.Oldest = len(epochs), epochs[0].Created
		if c.Oldest.Before(s.condition.clean) {
			c.Oldest = s.condition.clean
		}
	}
	return c
}
