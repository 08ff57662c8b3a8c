package webhook

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

// Schedule says when an attempt is made again.
type Schedule struct {
	// First is the wait behind the first attempt; each further one is twice as long, up
	// to Longest.
	First, Longest time.Duration
}

// Wait is how long to wait behind an attempt that has failed, of which there were
// attempts with this one: half of the time for sure, the rest by chance, so that many
// who have failed together do not come back together, and never less than the endpoint
// has asked for.
func (s Schedule) Wait(attempts int, o Outcome) time.Duration {
	wait := s.Longest
	if shift := attempts - 1; shift < 32 && s.First < s.Longest>>shift {
		wait = s.First << shift
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	half := wait / 2
	chance := time.Duration(binary.BigEndian.Uint64(b[:]) % uint64(wait-half+1)) //nolint:gosec // at most half of the wait
	return max(half+chance, o.RetryAfter)
}
