package courier

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/transport/topic"
)

const (
	// writeWithin is how long what nobody waits for is gathered.
	writeWithin = 5 * time.Second
	// writeAfter is how many delivered messages are gathered at most: a process that
	// never lives for writeWithin must get on with its history, too.
	writeAfter = 1000
	// writeAtLeast is how often it is looked for what only time has changed.
	writeAtLeast = time.Duration(grace)
	// writeAtOnce is how long what somebody waits for is gathered.
	writeAtOnce = 20 * time.Millisecond
	// writeAgain is how long to wait when the store does not take a write, at least
	// and at most.
	writeAgain, writeAgainMost = time.Second, time.Minute
)

// writeSoon has what is to be written go to the store at once, nearly.
func (c *Courier) writeSoon() {
	select {
	case c.toWrite <- struct{}{}:
	default:
	}
}

// writeFor calls then when a record is durable. It writes nothing for a route that was
// forgotten.
func (c *Courier) writeFor(r *route, record persistence.Record, then func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.dropped {
		return false
	}
	c.puts = append(c.puts, record)
	c.thens = append(c.thens, then)
	c.writeSoon()
	return true
}

// writeLater has what has changed go to the store some time. The lock is held.
func (c *Courier) writeLater() {
	if c.dirty {
		return
	}
	c.dirty = true
	select {
	case c.toGather <- struct{}{}:
	default:
	}
}

// noteDelivered remembers that a message was delivered on a route. The lock is held.
func (c *Courier) noteDelivered(a *arrival, r *route) {
	c.delivered.add(a.id.on(r), c.now())
	if c.unwritten++; c.unwritten == writeAfter {
		c.writeSoon()
	}
}

// writeAll gathers writes until the courier is closed.
func (c *Courier) writeAll() {
	failed := 0
	timer := time.NewTimer(writeAtLeast)
	defer timer.Stop()
	for {
		soon, later := c.toWrite, c.toGather
		if failed > 0 { // it is not hurried
			soon, later = nil, nil
		}
		for waiting := true; waiting; {
			select {
			case <-c.ctx.Done():
				return
			case <-timer.C:
				waiting = false
			case <-later:
				later = nil
				timer.Reset(writeWithin)
			case <-soon:
				soon, later = nil, nil
				timer.Reset(writeAtOnce)
			}
		}
		if err := c.write(c.ctx); err != nil {
			failed++
			timer.Reset(c.backoff(writeAgain, writeAgainMost, failed))
			continue
		}
		failed = 0
		timer.Reset(writeAtLeast)
	}
}

// write writes what the store lacks, in one batch. Only one goroutine does so at a
// time.
func (c *Courier) write(ctx context.Context) error {
	c.mu.Lock()
	now, oldest := c.now(), c.underway.oldest()
	complete := c.complete
	c.complete = nil
	for _, r := range c.coverage.expired(now) {
		c.unstore(r)
	}
	c.dirty, c.unwritten = false, 0
	c.writing = true
	puts, thens := c.puts, c.thens
	c.puts, c.thens = nil, nil
	records := slices.Clone(puts)
	cursor, changes := c.coverage.writes(now, oldest)
	if cursor != c.coverage.cursor {
		records = append(records, persistence.Record{Name: cursorName(), Value: mustMarshal(&record.Cursor{At: cursor})})
	}
	for _, change := range changes {
		records = append(records, change.record)
	}
	var marks []func()
	for _, w := range []*window{c.delivered, c.others} {
		more, written := w.writes(now)
		records, marks = append(records, more...), append(marks, written)
	}
	c.mu.Unlock()
	// Behind the segments that are put: one of them may not be needed any more.
	for _, key := range complete {
		c.segments.finished(key)
	}
	var dropped []func()
	for _, y := range c.segments.both() {
		more, written := y.writes()
		records, dropped = append(records, more...), append(dropped, written)
	}
	// A segment may have been dropped before it was put, and be deleted already. What is
	// dropped from here on is deleted next time.
	records = slices.DeleteFunc(records, c.segments.letGo)
	var err error
	if len(records) > 0 {
		err = c.options.Store.Apply(ctx, persistence.Batch{Records: records})
	}

	c.mu.Lock()
	c.writing = false
	for _, change := range changes {
		c.coverage.written(change, err == nil, now)
	}
	if err != nil {
		c.puts, c.thens = append(puts, c.puts...), append(thens, c.thens...)
		c.mu.Unlock()
		c.counts.failedWrites.Add(1)
		c.wrote(err)
		return err
	}
	c.coverage.cursor = cursor
	for _, mark := range marks {
		mark()
	}
	for _, change := range changes {
		c.isReady(change.route)
	}
	c.mu.Unlock()
	for _, written := range dropped {
		written()
	}
	if len(records) > 0 {
		c.counts.writes.Add(1)
	}
	c.wrote(nil)
	for _, then := range thens {
		then()
	}
	return nil
}

// wrote notes how the store is, and says so when that changes.
func (c *Courier) wrote(err error) {
	c.mu.Lock()
	before := c.storeErr
	c.storeErr = err
	c.mu.Unlock()
	switch {
	case err != nil && before == nil && c.ctx.Err() == nil:
		c.log.Warn("the store does not take what the courier has to write", "error", err)
	case err == nil && before != nil:
		c.log.Info("the store takes what the courier writes again")
	}
}

// shelf is where topic keys are kept.
type shelf struct{ *Courier }

// LoadTopicKey implements topic.Store.
func (s shelf) LoadTopicKey(name topic.Digest) (key secret.Key, found bool, err error) {
	value, err := s.options.Store.Get(s.ctx, keyName(name))
	if errors.Is(err, persistence.ErrNotFound) {
		return key, false, nil
	}
	if err != nil {
		return key, false, err
	}
	defer clear(value)
	key, err = decodeKey(keyName(name), value)
	return key, err == nil, err
}

// SaveTopicKey implements topic.Store. It is written with what comes next, if somebody
// listens to the topic: its record goes with that of the route.
func (s shelf) SaveTopicKey(name topic.Digest, key *secret.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.coverage.uses(name) {
		return nil
	}
	value := mustMarshal(&record.TopicKey{Key: key.Bytes()})
	s.puts = append(s.puts, persistence.Record{Name: keyName(name), Value: value})
	s.writeLater()
	return nil
}
