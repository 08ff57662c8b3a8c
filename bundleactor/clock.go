package bundleactor

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/rookery-im/rookery/x3dh"
)

// ErrClock: the clock is before 2018 or at the end of time, and nothing was
// ever signed that could tell better. Peers would believe no bundle made now.
var ErrClock = errors.New("bundleactor: the clock cannot be right")

const (
	earliest = x3dh.EarliestTimestamp
	// latest leaves a year of nanoseconds above it, more than there will ever
	// be signatures, so that one more is always possible.
	latest = math.MaxInt64 - believedAbsence
	// believedAhead is how far ahead of their clock peers accept a timestamp:
	// one day, by x3dh.CheckBundle and as deployed (ns).
	believedAhead = int64(24 * time.Hour)
	// believedAbsence is for how long an installation may have signed nothing
	// without its clock being doubted: one year (ns).
	believedAbsence = int64(365 * 24 * time.Hour)
	// probation is how long a doubted clock has to run on before it is
	// believed, and also the longest step that counts as running (ns).
	probation = int64(24 * time.Hour)
)

// clock gives the time at which a step happens, after everything that was
// signed before, and since when the clock is doubted (0: it is not).
//
// A clock that is more than a day behind our last timestamp, or more than a
// year ahead of it, has jumped, or has just come back from having jumped. Which
// of it cannot be told at once, and both errors cost: a timestamp below the
// last is ignored by everybody who has the last, one more than a day ahead is
// refused by everybody. So time stands still at first, one nanosecond per
// signature: that is right for a clock that went wrong, and when it is put
// right there was no harm. If however the clock then runs on for 24 hours it is
// believed, also backwards: what was signed more than a day in its future was
// refused by every peer whose clock agrees with it, so that none of them sees
// time go back.
func (s State) clock(now int64) (at, doubted int64, err error) {
	possible := now >= earliest && now <= latest
	if len(s.Bundle.PreKeys) == 0 {
		if !possible {
			return 0, 0, fmt.Errorf("%w: %d ns since 1970", ErrClock, now)
		}
		return now, 0, nil
	}
	last := s.Bundle.Timestamp
	if possible && now >= last-believedAhead && now-last <= believedAbsence {
		return max(now, last+1), 0, nil
	}
	doubted = s.Doubted
	if doubted == 0 || now < s.Signed || now-s.Signed > probation {
		doubted = now // it has jumped, maybe again
	}
	if possible && now-doubted >= probation {
		return now, 0, nil
	}
	return last + 1, doubted, nil
}

// after gives the time d later; the end of time if that is beyond it.
func after(t int64, d time.Duration) int64 {
	if d > 0 && t > math.MaxInt64-int64(d) {
		return math.MaxInt64
	}
	return t + int64(d)
}
