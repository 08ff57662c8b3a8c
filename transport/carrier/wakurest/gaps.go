package wakurest

import (
	"sync"
	"time"
)

const (
	// slack is how much before the last read a gap begins: clocks of senders differ
	// by up to 20 s, and messages need their time.
	slack = 30 * time.Second
	// gapEvery is how often a gap is told of at most.
	gapEvery = time.Second
)

// gaps gathers what may have been missed until it can be told.
type gaps struct {
	mu    sync.Mutex
	since int64 // ns since the epoch, 0: nothing is missing
	last  time.Time
}

// note says that messages since then may be missing.
func (g *gaps) note(since time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at := max(since.Add(-slack).UnixNano(), 1); g.since == 0 || at < g.since {
		g.since = at
	}
}

// take gives what is to be told now.
func (g *gaps) take(now time.Time) (since int64, due bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.since == 0 || now.Sub(g.last) < gapEvery {
		return 0, false
	}
	since, g.since, g.last = g.since, 0, now
	return since, true
}
