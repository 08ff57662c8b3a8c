package actors

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
)

// sweepSlots is the number of parts of an interval over which the tick is spread: not
// all actors have something to do at the same time.
const sweepSlots = 16

// root is an actor without a parent.
type root struct {
	name     string
	system   *System
	create   func() Actor // nil for a resident
	mailbox  *guardedMailbox
	resident *Resident // nil: it does not come and go
	slot     *slot

	// Under the slot's lock:
	at      int           // its place there
	ended   bool          // it has stopped, and who cares knows
	waiters chan struct{} // closed then; nil: nobody waits
}

// slot holds the actors without a parent that are swept at the same time. Who comes or
// goes takes the lock of one slot, and none that is shared by all.
type slot struct {
	mu     sync.Mutex
	closed bool
	roots  []*root // in no order
	_      [24]byte
}

// nextSlot is where the next actor without a parent belongs.
func (s *System) nextSlot() *slot { return &s.slots[(s.placed.Add(1)-1)%sweepSlots] }

// start begins to run a root that knows what it is to be.
func (s *slot) start(r *root) error {
	r.slot = s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("actors: spawn %s: %w", r.name, ErrStopped)
	}
	if r.resident == nil {
		if _, taken := r.system.named.LoadOrStore(r.name, r); taken {
			return fmt.Errorf("actors: spawn %s: %w", r.name, ErrNameTaken)
		}
	}
	mailbox, err := r.system.spawn(r.system.spawner, r.name, r)
	if err != nil {
		r.system.named.CompareAndDelete(r.name, r)
		return fmt.Errorf("actors: spawn %s: %w", r.name, err)
	}
	r.mailbox, r.at = mailbox, len(s.roots)
	s.roots = append(s.roots, r)
	return nil
}

// incarnate implements origin.
func (r *root) incarnate(string) Actor {
	if r.resident != nil {
		return r.resident.home.NewActor()
	}
	return r.create()
}

// over implements origin.
func (r *root) over(cause error) {
	r.slot.remove(r)
	if r.resident != nil {
		r.resident.left(cause)
	} else {
		r.system.named.CompareAndDelete(r.name, r)
	}
	r.slot.mu.Lock()
	defer r.slot.mu.Unlock()
	if r.ended = true; r.waiters != nil {
		close(r.waiters)
	}
}

// stopped is closed when the root has stopped.
func (r *root) stopped() <-chan struct{} {
	r.slot.mu.Lock()
	defer r.slot.mu.Unlock()
	if r.waiters == nil {
		r.waiters = make(chan struct{})
		if r.ended {
			close(r.waiters)
		}
	}
	return r.waiters
}

// remove takes out a root that has stopped.
func (s *slot) remove(r *root) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.roots) - 1
	s.swap(r.at, last)
	s.roots[last] = nil
	s.roots = s.roots[:last]
}

func (s *slot) swap(i, j int) {
	s.roots[i], s.roots[j] = s.roots[j], s.roots[i]
	s.roots[i].at, s.roots[j].at = i, j
}

// sample appends residents of up to so many roots that are chosen at random.
func (s *slot) sample(to []*Resident, most int) []*Resident {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range min(most, len(s.roots)) {
		if most < len(s.roots) {
			s.swap(i, i+rand.IntN(len(s.roots)-i)) //nolint:gosec // nobody gains by guessing it
		}
		if r := s.roots[i].resident; r != nil {
			to = append(to, r)
		}
	}
	return to
}

// sweep tells the tick to the actors of the slot.
func (s *slot) sweep(tick any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.roots {
		r.mailbox.PostUserMessage(tick)
	}
}

// close refuses new ones, and gives those that there are.
func (s *slot) close() []*root {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return append([]*root(nil), s.roots...)
}

func (r *root) await(ctx context.Context) error {
	select {
	case <-r.stopped():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("actors: stop %s: %w", r.name, ctx.Err())
	}
}
