package bundleactor

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"

	"github.com/rookery-im/rookery/persistence"
)

// spread is the part of Schedule.Publish over which the publications of many
// installations are spread: 12 minutes of 6 hours.
const spread = 30

// AnnounceDue tells whether the bundle should be published for everybody at the
// time now, by a process that runs since started (ns): when no network has ever taken
// it, when its prekeys or siblings changed, and when Schedule.Publish has passed.
//
// Only the first publication of an installation made since the start comes at
// once; everything else waits a while that depends on the owner, so that a
// thousand installations that are due at the start, or that were made together,
// do not all publish at the same time. A time in the future is that of a clock
// that has gone back; nobody waits for it to come again.
func (s State) AnnounceDue(schedule Schedule, owner persistence.OwnerID, started, now int64) bool {
	if len(s.Bundle.PreKeys) == 0 {
		return false
	}
	now = max(now, 1)
	started = min(max(started, 1), now)
	place := jitter(schedule, owner)
	switch {
	case s.Announced == 0 && s.Changed >= started:
		return true
	case now-started < place:
		return false
	case s.Announced > now || s.Changed > now:
		return true
	case s.Changed != 0:
		return now-s.Changed >= place
	}
	return schedule.Publish > 0 && now-s.Announced >= int64(schedule.Publish)+place
}

// A publication that no network has taken is tried again after a while, the double each
// time.
const (
	retryLeast = 10 * time.Second
	retryMost  = 15 * time.Minute
)

// Retry is how long to wait after so many publications in a row that no network has
// taken: 5 to 15 seconds after the first, 5 to 15 minutes after many. It depends on the
// owner, so that a thousand installations that fail together, or were made while there
// was no network, do not come back together.
func Retry(owner persistence.OwnerID, failures int) time.Duration {
	most := retryMost * 2 / 3
	wait := most
	if n := max(failures, 1) - 1; n < 8 {
		wait = min(most, retryLeast<<n)
	}
	h := sha256.Sum256(binary.BigEndian.AppendUint64(owner[:len(owner):len(owner)], uint64(max(failures, 0))))
	share := float64(binary.BigEndian.Uint32(h[:])) / math.MaxUint32
	return time.Duration(float64(wait) * (0.5 + share))
}

// jitter is the owner's place in the spread (ns). Owner ids are hashes.
func jitter(schedule Schedule, owner persistence.OwnerID) int64 {
	window := int64(schedule.Publish) / spread
	if window <= 0 {
		return 0
	}
	return (int64(binary.BigEndian.Uint32(owner[:]))<<31 | int64(binary.BigEndian.Uint32(owner[4:])>>1)) % window
}
