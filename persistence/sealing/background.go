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
	// surveyPause is between two looks at stepWidth records that are counted.
	surveyPause = 2 * time.Millisecond
)

// startRotating starts what ends epochs in the background.
func (s *Store) startRotating() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.rotateForEver(ctx)
	}()
	s.stop = func() {
		cancel()
		<-ended
	}
}

// rotateForEver first ends the epochs that earlier runs have left, since a
// process that does not run ends none, and from then on one each half of the
// bound.
func (s *Store) rotateForEver(ctx context.Context) {
	for begun := time.Now(); ; {
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
		select {
		case <-time.After(time.Until(next)):
		case <-ctx.Done():
			return
		}
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
	deadline := time.Now().Add(s.options.Bound / 4)
	left, err := s.count(ctx)
	if err != nil {
		return err
	}
	wait := func(ctx context.Context, done int) error {
		left -= done
		pause := time.Duration(0)
		if done > 0 {
			pause = min(longestPause, time.Until(deadline)/time.Duration(max(left, 0)/stepRecords+1))
		}
		return s.pause(ctx, pause)
	}
	slowly := pace{stepRecords, wait}
	if begin {
		return s.rotate(ctx, slowly)
	}
	return s.retire(ctx, s.ring.Current().ID, slowly)
}

// count counts the records, unhurriedly.
func (s *Store) count(ctx context.Context) (total int, err error) {
	for after, seen := persistence.Name(""), stepWidth; seen == stepWidth; {
		seen = 0
		err := s.inner.ScanAfter(ctx, after, stepWidth, func(name persistence.Name, _ []byte) error {
			seen++
			after = name
			return nil
		})
		if err == nil {
			err = s.pause(ctx, surveyPause)
		}
		if err != nil {
			return 0, err
		}
		total += seen
	}
	return total, nil
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
