package rookery

import (
	"sync"
	"time"

	"github.com/rookery-im/rookery/actors"
)

// errands are the identities that the sweeper wakes until its next tick, one after the
// other: an identity with ten contacts that are read is in nobody's way; ten such
// identities at a time are. They outlast a sweeper that panics. All but close belongs
// to the sweeper.
type errands struct {
	left  []errand
	apart time.Duration // of one and the next
	due   time.Time     // of the first that is left

	mu     sync.Mutex
	timer  *time.Timer // of the next one; nil: there was none yet
	closed bool
}

// errand is an identity with what it is woken for.
type errand struct {
	identity *Identity
	message  any
}

// nextErrand tells the sweeper to go on.
type nextErrand struct{}

// add spreads these and what is left from before over the time until the next tick.
func (r *errands) add(more []errand) {
	r.left = append(r.left, more...)
	r.apart = sweepEvery / time.Duration(len(r.left)+1)
	r.due = time.Now()
}

// goOn runs those that are due, and sees to it that the sweeper goes on with the next.
func (r *errands) goOn(self actors.Ref) {
	now := time.Now()
	for len(r.left) > 0 && !now.Before(r.due) {
		next := r.left[0]
		r.left[0] = errand{}
		r.left = r.left[1:]
		r.due = r.due.Add(r.apart)
		if !next.identity.deleted.Load() {
			next.identity.actor.Wake(next.message) // dropped if the engine is closing
		}
	}
	if len(r.left) == 0 {
		r.left = nil
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if r.timer != nil {
		r.timer.Stop()
	}
	r.timer = time.AfterFunc(r.due.Sub(now), func() { self.Tell(nextErrand{}) })
}

// close lets nobody be told any more. For any goroutine.
func (r *errands) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
	}
}
