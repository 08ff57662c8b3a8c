package sealing

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
)

const (
	// closeTime bounds the rotation at Close.
	closeTime = 30 * time.Second

	// A step of a walk looks at stepWidth records at most. Beside traffic it seals
	// stepRecords of them anew, or as many as have stepBytes: what traffic waits
	// for is one batch of that size.
	stepWidth   = 1024
	stepRecords = 128
	stepBytes   = 1 << 20
)

var (
	errStepIsFull = errors.New("enough for one step")
	errLostBatch  = errors.New("a batch has failed meanwhile")
	errGiveWay    = errors.New("another rotation takes over")
)

// Rotate begins an epoch, seals every live record under it, and destroys the
// older keys: when it returns nil nothing that was deleted or overwritten before
// can be opened any more. It goes beside the traffic, at full speed. Cancelled
// or failed it has lost nothing: the older keys stay until the next one ends.
func (s *Store) Rotate(ctx context.Context) error {
	if err := s.enterToWrite(ctx, "rotate"); err != nil {
		return err
	}
	defer s.calls.Done()
	if err := s.takeTurn(ctx); err != nil {
		return err
	}
	defer s.endTurn()
	return s.failed("rotate", s.rotate(ctx, besideTraffic))
}

// takeTurn waits until nobody else rotates. The rotation in the background is
// asked to give way.
func (s *Store) takeTurn(ctx context.Context) error {
	for {
		select {
		case s.turn <- struct{}{}:
			return nil
		case s.giveWay <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Store) endTurn() { <-s.turn }

// pace is how a walk goes on: so many records a step, and a wait between two
// steps, which is told what the last one was.
type pace struct {
	records int
	wait    func(ctx context.Context, last *step) error
	alone   bool // nobody uses the store: what it has may be exchanged
}

var (
	// besideTraffic does not wait, but traffic never waits long either.
	besideTraffic = pace{records: stepRecords, wait: noWait}
	// alone is for when there is no traffic.
	alone = pace{records: stepWidth, wait: noWait, alone: true}
)

func noWait(ctx context.Context, _ *step) error {
	runtime.Gosched()
	return ctx.Err()
}

// rotate is Rotate for who has the turn.
func (s *Store) rotate(ctx context.Context, at pace) error {
	if len(s.ring.Epochs()) > keyring.MaxEpochs/2 { // the rest is for who opens the store
		if err := s.retire(ctx, s.ring.Current().ID, at); err != nil {
			return err
		}
	}
	if err := s.begin(); err != nil {
		return err
	}
	return s.retire(ctx, s.ring.Current().ID, at)
}

// leaveClean rotates and notes that in the head, once the older keys are destroyed:
// a crash in between costs the next run a walk.
func (s *Store) leaveClean(ctx context.Context) error {
	if err := s.rotateLast(ctx); err != nil {
		return err
	}
	s.write.Lock()
	defer s.write.Unlock()
	return s.commit(ctx, persistence.Batch{}, func(h *head) { h.clean = true })
}

// rotateLast leaves a store whose older values cannot be opened: with what was
// written in this epoch, if anything was, also this epoch's.
func (s *Store) rotateLast(ctx context.Context) error {
	if err := s.takeTurn(ctx); err != nil {
		return err
	}
	defer s.endTurn()
	s.write.Lock()
	dirty := s.dirty
	s.write.Unlock()
	switch {
	case dirty:
		return s.rotate(ctx, alone)
	case len(s.ring.Epochs()) > 1:
		return s.retire(ctx, s.ring.Current().ID, alone)
	}
	return nil
}

// catchUp ends the older half of the epochs when half of their number is used
// up: a process that is killed after each start begins one each time and never
// comes to the end of a rotation. What it seals anew stays so: the next start
// goes on from there.
func (s *Store) catchUp(ctx context.Context) {
	epochs := s.ring.Epochs()
	if len(epochs) <= keyring.MaxEpochs/2 {
		return
	}
	if err := s.retire(ctx, epochs[len(epochs)/2].ID, alone); err != nil {
		s.options.Logger.Warn("there are many epochs and none can be ended", "dir", s.options.Dir, "error", err)
	}
}

// begin begins an epoch: what is sealed from here on is sealed under its key.
func (s *Store) begin() error {
	epoch, err := s.ring.Begin()
	if err != nil {
		return err
	}
	aead, _ := s.ring.AEAD(epoch.ID)
	s.write.Lock()
	defer s.write.Unlock()
	s.reading.Lock()
	s.keys = maps.Clone(s.keys)
	s.keys[epoch.ID] = aead
	s.reading.Unlock()
	s.sealer = sealer{epoch: epoch.ID, aead: aead}
	s.dirty = false
	return nil
}

// retire seals all live records under epochs before keep anew and destroys those
// epochs' keys. It walks over all records once. That is enough: what comes to be
// behind it, or under its hands, is sealed under the current epoch.
func (s *Store) retire(ctx context.Context, keep uint32, at pace) error {
	if err := s.walk(ctx, keep, at); err != nil {
		return err
	}
	// The head moves to the current epoch, and from here on the records without
	// this walk's are older than the anchor.
	s.write.Lock()
	dirty := s.dirty
	err := s.commit(ctx, persistence.Batch{}, nil)
	s.dirty = dirty
	s.write.Unlock()
	if err != nil {
		return err
	}
	s.reading.Lock()
	kept := maps.Clone(s.keys)
	maps.DeleteFunc(kept, func(id uint32, _ cipher.AEAD) bool { return id < keep })
	s.keys = kept
	s.reading.Unlock()
	return s.ring.Retire(keep)
}

// walk seals all live records under epochs before keep anew.
func (s *Store) walk(ctx context.Context, keep uint32, at pace) error {
	if below, ok := s.inner.(rewriter); ok && at.alone {
		return s.rewrite(ctx, below, keep)
	}
	var work step
	defer work.wipe()
	for more := true; more; {
		var err error
		if more, err = s.step(ctx, &work, keep, at.records); err != nil {
			return err
		}
		if err := at.wait(ctx, &work); err != nil {
			return err
		}
	}
	return nil
}

// step is the work of one step of a walk, and where it has come to.
type step struct {
	after persistence.Name // the last name looked at
	names []persistence.Name
	ends  []int  // of the values in plain
	plain []byte // the values one after the other

	records []persistence.Record // those of them that nothing newer was written for
}

// step seals the next records of a walk anew. It prepares them beside the
// traffic and leaves out those that were written meanwhile. It tells whether
// there may be more.
func (s *Store) step(ctx context.Context, work *step, keep uint32, records int) (more bool, err error) {
	s.write.Lock()
	s.notes = &notes{after: work.after}
	s.write.Unlock()
	seen, err := s.gather(ctx, work, keep, records)

	s.write.Lock()
	defer s.write.Unlock()
	written := s.notes
	s.notes = nil
	switch {
	case err != nil && !errors.Is(err, errStepIsFull):
		return false, err
	case written.lost:
		return false, errLostBatch
	}
	more = err != nil || seen == stepWidth
	if err := s.applyStep(ctx, work, written); err != nil {
		return false, fmt.Errorf("seal records anew: %w", err)
	}
	return more, nil
}

// gather opens the next records under epochs before keep and tells how many it
// has looked at. errStepIsFull when it has so many, or as many bytes as a step
// may have.
func (s *Store) gather(ctx context.Context, work *step, keep uint32, records int) (seen int, err error) {
	work.names, work.ends, work.plain = work.names[:0], work.ends[:0], work.plain[:0]
	err = s.inner.ScanAfter(ctx, work.after, stepWidth, func(name persistence.Name, sealed []byte) error {
		if len(work.names) == records || len(work.plain) >= stepBytes {
			return errStepIsFull
		}
		seen++
		work.after = name
		value, old := s.openOlder(name, sealed, keep)
		if !old {
			return nil
		}
		work.names = append(work.names, name)
		work.plain = append(work.plain, value...)
		work.ends = append(work.ends, len(work.plain))
		return nil
	})
	return seen, err
}

// openOlder opens a record under an epoch before keep, in the place of its sealed
// value. It tells false for all that stays as it is. The caller has the turn: nobody
// else changes the keys.
func (s *Store) openOlder(name persistence.Name, sealed []byte, keep uint32) (value []byte, old bool) {
	if kind := name.Kind(); kind == persistence.KindFence || kind == persistence.KindHead {
		return nil, false
	}
	if epoch, err := epochOf(sealed); err == nil && epoch >= keep {
		return nil, false
	}
	value, err := s.keys.open(name, sealed)
	if err != nil {
		// It could not be read before either. To keep the older keys for it
		// would give up what they open for nothing.
		s.options.Logger.Error("a record cannot be sealed anew", "error", corrupt("rotate", name, err))
		return nil, false
	}
	return value, true
}

// applyStep writes what a step has prepared. The caller holds the write lock.
func (s *Store) applyStep(ctx context.Context, work *step, written *notes) error {
	work.records = work.records[:0]
	start := 0
	for i, name := range work.names {
		value := work.plain[start:work.ends[i]]
		start = work.ends[i]
		if _, newer := written.names[name]; !newer {
			work.records = append(work.records, persistence.Record{Name: name, Value: value})
		}
	}
	if len(work.records) == 0 {
		return nil
	}
	return s.inner.Apply(context.WithoutCancel(ctx), persistence.Batch{Records: s.sealed(work.records)})
}

// wipe forgets the values.
func (w *step) wipe() { clear(w.plain[:cap(w.plain)]) }

// notes are what was written while a step was prepared.
type notes struct {
	after persistence.Name // names up to here do not matter
	names map[persistence.Name]struct{}
	lost  bool // a batch has failed: it is not known what was written
}

func (n *notes) add(records []persistence.Record) {
	if n == nil {
		return
	}
	if n.names == nil {
		n.names = make(map[persistence.Name]struct{}, len(records))
	}
	for i := range records {
		if name := records[i].Name; name > n.after {
			n.names[name] = struct{}{}
		}
	}
}

func (n *notes) lose() {
	if n != nil {
		n.lost = true
	}
}
