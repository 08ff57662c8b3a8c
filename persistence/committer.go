package persistence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// defaultMaxBatch is CommitterOptions.MaxBatch when it is not given.
	defaultMaxBatch = 4096
	// maxBatchBytes bounds the values in one batch: past it, a longer batch
	// gains nothing over its one sync and only keeps its commits waiting.
	maxBatchBytes = 16 << 20
	// keptValues bounds the room for values that is kept, in bytes.
	keptValues = 4 << 20
	// laterBy is how long what nobody waits for is held back for what somebody
	// waits for, so that both share a sync.
	laterBy = 10 * time.Millisecond
)

// CommitterOptions tune a Committer; the zero value is good.
type CommitterOptions struct {
	// MaxBatch bounds the records of one batch; default 4,096. A single commit
	// with more goes as a batch of its own.
	MaxBatch int
	// Applied is told of each batch that has become durable, before its
	// continuations run and on the same goroutine: how many commits and records it
	// had and how long the store took. It must not block. nil: nobody.
	Applied func(commits, records int, took time.Duration)
}

// Committer makes the commits of many streams durable with few syncs. One
// goroutine takes what has come in while the previous batch was being synced,
// lets a later write of a record replace an earlier one, applies one batch and
// runs the continuations in the order of the commits. Safe for any number of
// goroutines.
type Committer struct {
	store    Store
	maxBatch int
	applied  func(commits, records int, took time.Duration) // may be nil
	wake     chan struct{}                                  // holds one token when the queue may have something
	stopped  chan struct{}                                  // closed when the goroutine has ended

	mu      sync.Mutex
	queue   []*commit
	urgent  int // commits in the queue that somebody waits for
	overlay overlay
	queued  int // records in overlay's commits: waiting or being synced
	closing bool
	ended   bool
	counts  CommitterCounts

	// The committer's goroutine's own.
	gathered uint64      // counts the batches taken
	merges   uint64      // counts the batches made of them
	timer    *time.Timer // until what is held back is due; nil: it was never waited for
	fences   map[Fence]struct{}

	// Room that it keeps from one batch to the next.
	batch   []*commit // taken
	live    []*commit // of these, what may reach the disk
	fenced  []Fence
	records []Record
	values  []byte // those that are encoded late
}

// CommitterCounts are what a Committer has done so far.
type CommitterCounts struct {
	Batches uint64 // applied to the store, each with one sync
	Commits uint64 // in them
	Records uint64 // in them, of several writes of one record the last
	Refused uint64 // batches that the store did not take
}

// NewCommitter starts a committer on a store. The caller closes the committer
// first and the store afterwards.
func NewCommitter(store Store, opts CommitterOptions) *Committer {
	if opts.MaxBatch <= 0 {
		opts.MaxBatch = defaultMaxBatch
	}
	c := &Committer{
		store:    store,
		maxBatch: opts.MaxBatch,
		applied:  opts.Applied,
		wake:     make(chan struct{}, 1),
		stopped:  make(chan struct{}),
		overlay:  newOverlay(),
		fences:   make(map[Fence]struct{}),
	}
	go c.run()
	return c
}

// Get returns the newest value handed to Commit or, where nothing is in flight,
// the store's. The caller owns it. ErrNotFound also for a record whose deletion
// is in flight.
func (c *Committer) Get(ctx context.Context, name Name) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	record, inFlight := c.overlay.newest(name)
	c.mu.Unlock()
	if !inFlight {
		return c.store.Get(ctx, name)
	}
	if record.Delete {
		return nil, &RecordError{Op: "get", Name: name, Err: ErrNotFound}
	}
	return append([]byte{}, record.value()...), nil
}

// Scan is Store.Scan over the records in flight and the store together. It
// never shows a record older than it was when Scan was called; commits that
// become durable during the scan may show in part.
func (c *Committer) Scan(ctx context.Context, prefix Name, fn func(Name, []byte) error) error {
	// What is in flight is taken first: taken after the store's view, a commit
	// that lands in between would be seen in neither.
	c.mu.Lock()
	inFlight := c.overlay.below(prefix)
	c.mu.Unlock()

	var buffer []byte
	show := func(record Record) error {
		if record.Delete {
			return nil
		}
		buffer = append(buffer[:0], record.value()...)
		return fn(record.Name, buffer)
	}
	err := c.store.Scan(ctx, prefix, func(name Name, value []byte) error {
		for len(inFlight) > 0 && inFlight[0].Name < name {
			if err := show(inFlight[0]); err != nil {
				return err
			}
			inFlight = inFlight[1:]
		}
		if len(inFlight) > 0 && inFlight[0].Name == name {
			newest := inFlight[0]
			inFlight = inFlight[1:]
			return show(newest)
		}
		return fn(name, value)
	})
	if err != nil {
		return err
	}
	for _, record := range inFlight {
		if err := show(record); err != nil {
			return err
		}
	}
	return nil
}

// ScanSettled is Scan over records of the store alone, without those that a commit
// in flight puts or deletes: what it shows is durable once a later commit is.
func (c *Committer) ScanSettled(ctx context.Context, prefix Name, fn func(Name, []byte) error) error {
	type found struct {
		name  Name
		value []byte
	}
	var all []found
	before := c.inFlight(prefix)
	err := c.store.Scan(ctx, prefix, func(name Name, value []byte) error {
		if !before[name] {
			all = append(all, found{name, slices.Clone(value)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	after := c.inFlight(prefix) // a commit may have come into the store meanwhile
	for _, f := range all {
		if after[f.name] {
			continue
		}
		if err := fn(f.name, f.value); err != nil {
			return err
		}
	}
	return nil
}

func (c *Committer) inFlight(prefix Name) map[Name]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := make(map[Name]bool)
	for _, record := range c.overlay.below(prefix) {
		names[record.Name] = true
	}
	return names
}

// Queued is the number of records that wait or are being synced. Commit never
// refuses for it; whoever admits work to the process bounds it.
func (c *Committer) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queued
}

// Counts gives what has become durable so far, and what has not.
func (c *Committer) Counts() CommitterCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

// Close makes durable what was committed before, runs its continuations, and
// stops. When ctx ends first its error is returned and the rest goes on in the
// background; closing again waits again. The store stays open. Close must not
// be called from a continuation.
func (c *Committer) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.signal()
	select {
	case <-c.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close committer: %w", ctx.Err())
	}
}

func (c *Committer) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Committer) run() {
	defer close(c.stopped)
	for {
		batch, more := c.take()
		if !more {
			return
		}
		c.settle(batch, c.write(batch))
		for _, one := range batch {
			one.done(one.err)
			one.release()
		}
		clear(batch)
	}
}

// take waits for commits and takes as many as fit one batch. It tells false
// when the committer was closed and nothing is left.
func (c *Committer) take() ([]*commit, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.ready() {
		if c.closing {
			c.ended = true
			return nil, false
		}
		var due <-chan time.Time // of the first commit in the queue, which nobody waits for
		if len(c.queue) > 0 {
			due = c.after(time.Until(c.queue[0].due))
		}
		c.mu.Unlock()
		select {
		case <-c.wake:
		case <-due:
		}
		c.mu.Lock()
	}
	c.gathered++
	names, size, n := 0, 0, 0
	for ; n < len(c.queue); n++ {
		one := c.queue[n]
		if one.err != nil {
			continue
		}
		for i := range one.writes {
			if f := one.writes[i].flight; f.counted != c.gathered {
				f.counted = c.gathered
				names++
			}
			size += one.writes[i].record.size()
		}
		if n > 0 && (names > c.maxBatch || size > maxBatchBytes) {
			break
		}
	}
	c.batch = append(c.batch[:0], c.queue[:n]...)
	c.queue = slices.Delete(c.queue, 0, n)
	if len(c.queue) == 0 && cap(c.queue) > 2*c.maxBatch {
		c.queue = nil
	}
	for _, one := range c.batch {
		if one.due.IsZero() {
			c.urgent--
		}
	}
	return c.batch, true
}

// after is time.After with one timer.
func (c *Committer) after(d time.Duration) <-chan time.Time {
	if c.timer == nil {
		c.timer = time.NewTimer(d)
	} else {
		c.timer.Reset(d)
	}
	return c.timer.C
}

// ready tells whether a batch is to be made: for somebody who waits, for who has waited
// long enough, or because there is enough for a whole one. The caller holds the lock.
func (c *Committer) ready() bool {
	switch {
	case len(c.queue) == 0:
		return false
	case c.urgent > 0, c.closing, len(c.queue) >= c.maxBatch:
		return true
	}
	return !time.Now().Before(c.queue[0].due)
}

// write applies the commits that may reach the disk, and returns the streams
// that failed on the way. The commits that failed have their err set.
func (c *Committer) write(batch []*commit) map[*Stream]error {
	c.live = append(c.live[:0], batch...)
	defer clear(c.live)
	live := slices.DeleteFunc(c.live, func(one *commit) bool { return one.err != nil })
	var failed map[*Stream]error
	for len(live) > 0 {
		merged := c.merge(live)
		if len(merged.Fences) == 0 {
			break // no commit has records; where all have ended the fences still count
		}
		// No deadline: a sync that has begun cannot be called off.
		var start time.Time
		if c.applied != nil {
			start = time.Now()
		}
		err := c.store.Apply(context.Background(), merged)
		records := len(merged.Records)
		c.release(merged)
		c.count(len(live), records, err)
		if err == nil {
			if c.applied != nil {
				c.applied(len(live), records, time.Since(start))
			}
			break
		}
		// A fenced owner loses its own commits and nobody else's.
		var fenced *FencedError
		isFenced := errors.As(err, &fenced)
		var rest, lost []*commit
		for _, one := range live {
			if isFenced && one.stream.fence != (Fence{Owner: fenced.Owner, Epoch: fenced.Have}) {
				rest = append(rest, one)
			} else {
				lost = append(lost, one)
			}
		}
		if len(lost) == 0 {
			rest, lost = nil, live // a store that names a fence of nobody here
		}
		if failed == nil {
			failed = make(map[*Stream]error)
		}
		for _, one := range lost {
			one.err = fmt.Errorf("commit: %w", err)
			failed[one.stream] = one.err
		}
		live = rest
	}
	return failed
}

func (c *Committer) count(commits, records int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.counts.Refused++
		return
	}
	c.counts.Batches++
	c.counts.Commits += uint64(commits) //nolint:gosec // a length
	c.counts.Records += uint64(records) //nolint:gosec // a length
}

// merge makes one batch of the commits: of several writes of a record the last,
// and nothing of a record that begins and ends within the batch.
func (c *Committer) merge(commits []*commit) Batch {
	c.merges++
	clear(c.fences)
	batch := Batch{Fences: c.fenced[:0], Records: c.records[:0]}
	for _, one := range commits {
		if len(one.writes) > 0 {
			c.fence(&batch, one.stream.fence)
		}
		for i := range one.writes {
			w := &one.writes[i]
			f := w.flight
			if f.merged != c.merges {
				f.merged, f.at = c.merges, len(batch.Records)
				batch.Records = append(batch.Records, w.record)
				continue
			}
			earlier := &batch.Records[f.at]
			isNew := earlier.New // the first write tells what the store has
			*earlier = w.record
			earlier.New = isNew
		}
	}
	c.fenced, c.records = batch.Fences, batch.Records
	batch.Records = slices.DeleteFunc(batch.Records, func(r Record) bool { return r.New && r.Delete })
	size := 0
	for i := range batch.Records {
		if r := &batch.Records[i]; r.Content != nil {
			size += r.size()
		}
	}
	c.values = appendValues(slices.Grow(c.values[:0], size), batch.Records)
	return batch
}

// release takes back the room of a batch that was applied. Its values are wiped:
// there are keys in them.
func (c *Committer) release(batch Batch) {
	clear(batch.Records)
	clear(c.values)
	if cap(c.values) > keptValues {
		c.values = nil
	}
	if cap(c.records) > 2*c.maxBatch {
		c.records = nil
	}
	if cap(c.batch) > 2*c.maxBatch {
		c.batch, c.live, c.fenced = nil, nil, nil // the others have no more than it
	}
}

// fence adds a fence to the batch unless it is there.
func (c *Committer) fence(batch *Batch, f Fence) {
	if _, known := c.fences[f]; !known {
		c.fences[f] = struct{}{}
		batch.Fences = append(batch.Fences, f)
	}
}

// settle takes the batch's records out of flight. The streams that failed fail
// here, together with what is queued behind on them, before any continuation
// runs: nobody can read or commit on top of what was lost.
func (c *Committer) settle(batch []*commit, failed map[*Stream]error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range batch {
		c.land(one)
	}
	if len(failed) == 0 {
		return
	}
	for stream, cause := range failed {
		stream.failed = cause
	}
	for _, one := range c.queue {
		cause, lost := failed[one.stream]
		if !lost || one.err != nil {
			continue
		}
		c.land(one)
		one.err = fmt.Errorf("%w: %w", ErrStreamFailed, cause)
	}
}

// land takes one commit's records out of flight, once.
func (c *Committer) land(one *commit) {
	c.queued -= c.overlay.remove(one)
}
