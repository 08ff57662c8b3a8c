package persistence

import (
	"fmt"
	"slices"
	"time"
)

// Stream orders the commits of one owner of state, such as one contact. After a
// failed commit every later one on the stream fails with ErrStreamFailed until
// Resume, so that state computed on top of lost state can never become durable.
type Stream struct {
	committer *Committer
	fence     Fence
	failed    error // guarded by the committer's lock; nil while all is well
}

// NewStream starts a stream whose batches carry the fence. It needs no closing.
func (c *Committer) NewStream(fence Fence) *Stream {
	return &Stream{committer: c, fence: fence}
}

// Commit hands over the records, to become durable together, and returns at
// once; nothing may change their values afterwards, but the slice is the caller's
// again. From then on
// Committer.Get and Scan show them. done runs when they are durable (nil) or
// will never be, on the committer's goroutine and in the order of the commits;
// it must be quick and may call Commit. After Close, done is called with
// ErrClosed, on the caller's goroutine when the committer's has ended.
//
// A commit without records reaches no disk; its done comes when everything
// committed before it is settled.
//
// The error is one of the store (wrapped), ErrStreamFailed with the failure that
// the stream still stands for, *NameError, or ErrClosed.
func (s *Stream) Commit(records []Record, done func(error)) {
	s.commit(records, done, time.Time{})
}

// CommitLater is Commit for what nobody waits for: it becomes durable with the next
// batch that somebody waits for, and after 10 ms at the latest. It keeps its place among
// all commits.
func (s *Stream) CommitLater(records []Record, done func(error)) {
	s.commit(records, done, time.Now().Add(laterBy))
}

func (s *Stream) commit(records []Record, done func(error), due time.Time) {
	c := s.committer
	bad := Batch{Records: records}.Check()
	one := newCommit(s, records, done)
	one.due = due

	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		one.release()
		done(fmt.Errorf("commit: %w", ErrClosed))
		return
	}
	switch {
	case c.closing:
		one.err = fmt.Errorf("commit: %w", ErrClosed)
	case s.failed != nil:
		one.err = fmt.Errorf("%w: %w", ErrStreamFailed, s.failed)
	case bad != nil:
		one.err = fmt.Errorf("commit: %w", bad)
		s.failed = one.err
	default:
		c.queued += c.overlay.add(one)
	}
	c.queue = append(c.queue, one)
	if due.IsZero() {
		c.urgent++
	}
	news := c.urgent > 0 || len(c.queue) == 1 || len(c.queue) >= c.maxBatch
	c.mu.Unlock()
	if news {
		c.signal()
	}
}

// Restart resumes the stream for a new owner of its state: it waits until all records
// under these prefixes, and whatever else was committed before, are durable or lost.
// State that may still be lost is nothing to start from. If nothing under them is in
// flight it does not wait; without any prefix it always does. Not for continuations.
func (s *Stream) Restart(state ...Name) {
	s.Resume()
	if len(state) > 0 && !s.committer.underWay(state) {
		return
	}
	settled := make(chan struct{})
	s.Commit(nil, func(error) { close(settled) })
	<-settled
	s.Resume() // of what failed meanwhile nothing is built on
}

// Resume lets the stream commit again after a failure, once its owner has gone
// back to what Committer.Get shows. Commits that were queued before the failure
// stay failed, also those whose done has not run yet.
func (s *Stream) Resume() {
	s.committer.mu.Lock()
	s.failed = nil
	s.committer.mu.Unlock()
}

// underWay tells whether a record under one of the prefixes is in flight.
func (c *Committer) underWay(prefixes []Name) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(prefixes, c.overlay.any)
}
