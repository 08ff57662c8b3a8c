package actors

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// sweepSlots is the number of parts of an interval over which the tick is spread: not
// all actors have something to do at the same time.
const sweepSlots = 16

// root is an actor without a parent.
type root struct {
	ref      Ref
	mailbox  *guardedMailbox
	resident *Resident // nil: it does not come and go
	slot     *slot
	at       int // its place there
	stopped  chan struct{}
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

// start begins to run a root.
func (s *slot) start(system *System, name string, create func() Actor, resident *Resident) (*root, error) {
	r := &root{resident: resident, slot: s, stopped: make(chan struct{})}
	r.mailbox = newGuardedMailbox(system)
	props := system.props(
		func(string) Actor { return create() },
		func() actor.Mailbox { return r.mailbox },
		func(cause error) { system.gone(name, r, cause) },
	)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("actors: spawn %s: %w", name, ErrStopped)
	}
	if resident == nil {
		if _, taken := system.named.LoadOrStore(name, r); taken {
			return nil, fmt.Errorf("actors: spawn %s: %w", name, ErrNameTaken)
		}
	}
	pid, err := system.spawner.SpawnNamed(props, name)
	if err != nil {
		system.named.CompareAndDelete(name, r)
		if errors.Is(err, actor.ErrNameExists) {
			err = ErrNameTaken
		}
		return nil, fmt.Errorf("actors: spawn %s: %w", name, err)
	}
	r.ref = Ref{system: system, pid: pid}
	r.at = len(s.roots)
	s.roots = append(s.roots, r)
	return r, nil
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
	case <-r.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("actors: stop %s: %w", r.ref, ctx.Err())
	}
}
