package sealing

import (
	"context"
	"errors"
	"time"

	"github.com/rookery-im/rookery/persistence"
)

const (
	// longestPause between two steps keeps a small store from being sealed anew
	// for as long as a big one.
	longestPause = 100 * time.Millisecond
	// surveySteps is after how many steps a walk looks how far it has come.
	surveySteps = 64
	// recordBytes is what a record is taken to need on disk until then.
	recordBytes = 512
)

// startRotating starts what ends epochs in the background. behind says that earlier
// runs may have left something to forget.
func (s *Store) startRotating(behind bool) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.rotateForEver(ctx, behind)
	}()
	s.stop = func() {
		cancel()
		<-ended
	}
}

// rotateForEver first ends the epochs of earlier runs if they are behind, since a
// process that does not run ends none, and from then on one each half of the
// bound. If they are not, the first thing to forget is yet to come.
func (s *Store) rotateForEver(ctx context.Context, behind bool) {
	begun := time.Now()
	if !behind && !sleep(ctx, s.options.Bound/2) {
		return
	}
	for {
		fresh := time.Since(begun) < s.options.Bound/2
		if !fresh {
			begun = time.Now()
		}
		next := begun.Add(s.options.Bound / 2)
		switch err := s.rotateSlowly(ctx, !fresh); {
		case err == nil:
		case ctx.Err() != nil:
			return
		default:
			if !errors.Is(err, errGiveWay) {
				s.options.Logger.Warn("older keys stay: a rotation has failed", "dir", s.options.Dir, "error", err)
			}
			next = time.Now().Add(s.options.Bound / 8) // whoever took over may have been cancelled
		}
		if !sleep(ctx, time.Until(next)) {
			return
		}
	}
}

// sleep tells false when the context has ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// rotateSlowly rotates, or only ends the older epochs, within a quarter of the
// bound.
func (s *Store) rotateSlowly(ctx context.Context, begin bool) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer s.endTurn()
	if !begin && len(s.ring.Epochs()) == 1 {
		return nil
	}
	over := s.spread(ctx, time.Now().Add(s.options.Bound/4))
	slowly := pace{records: stepRecords, wait: over.wait}
	if begin {
		return s.rotate(ctx, slowly)
	}
	return s.retire(ctx, s.ring.Current().ID, slowly)
}

// sized is a store below that can tell, without reading them, about how many bytes
// the records above a name take on its disk.
type sized interface {
	SizeAfter(ctx context.Context, after persistence.Name) (uint64, error)
}

// spread is a walk that is spread over a time. How many records there are is not
// counted, which would read all of them: what the walk has sealed so far, and the
// share of the disk that it has left behind it, tell how many are to come.
type spread struct {
	store *Store
	until time.Time
	whole uint64 // bytes of the store when the walk began; 0 if it cannot tell
	steps int
	done  int // records sealed anew
	left  int // about how many are to come
}

func (s *Store) spread(ctx context.Context, until time.Time) *spread {
	over := &spread{store: s, until: until, whole: s.sizeAfter(ctx, "")}
	over.left = int(over.whole / recordBytes) //nolint:gosec // fewer than there are bytes on a disk
	return over
}

// sizeAfter is what the store below says, 0 if it cannot.
func (s *Store) sizeAfter(ctx context.Context, after persistence.Name) uint64 {
	below, ok := s.inner.(sized)
	if !ok {
		return 0
	}
	size, err := below.SizeAfter(ctx, after)
	if err != nil {
		return 0 // the walk itself will meet what is wrong
	}
	return size
}

// wait is that of a pace.
func (o *spread) wait(ctx context.Context, work *step) error {
	pause := time.Duration(0)
	if sealed := len(work.names); sealed > 0 {
		o.steps++
		o.done += sealed
		o.left -= sealed
		if o.steps%surveySteps == 0 {
			if ahead := o.store.sizeAfter(ctx, work.after); ahead < o.whole {
				o.left = int(float64(o.done) * float64(ahead) / float64(o.whole-ahead))
			}
		}
		pause = min(longestPause, time.Until(o.until)/time.Duration(max(o.left, 0)/stepRecords+1))
	}
	return o.store.pause(ctx, pause)
}

// pause waits for a time, or ends the rotation when another one is asked for.
func (s *Store) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.giveWay:
		return errGiveWay
	case <-ctx.Done():
		return ctx.Err()
	}
}
