package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Resident is an actor without a parent that comes and goes: it starts with the first
// message for it and leaves memory when it says so (Leave). What comes while it is on
// its way out goes to its next life, in order. There are many that sleep, so it is a
// part of what it belongs to: see System.Settle. Safe for concurrent use.
type Resident struct {
	system *System
	home   Home
	slot   *slot

	used  atomic.Int64 // ns since the system began
	asked atomic.Bool  // to leave, by somebody who wants room; see LeastRecentlyUsed

	mu      sync.Mutex
	life    *guardedMailbox // nil while it sleeps
	root    *root           // of that life
	leaving bool
	waiting []any // for its next life, while it leaves
	refusal error // why it will not start any more
}

// Home is what a Resident belongs to.
type Home interface {
	// ActorName is always the same, and unique among the actors without a parent.
	ActorName() string
	// NewActor makes an incarnation. It is called on its goroutine.
	NewActor() Actor
}

// Teller takes messages for an actor.
type Teller interface{ Tell(message any) }

// Residents are how many residents of a System are awake, how many of these were asked to
// leave (LeastRecentlyUsed), and how often since its start one woke and one went to sleep
// by itself.
type Residents struct {
	Awake, Asked  int
	Wakes, Sleeps uint64
}

// Settle makes a zero Resident one of the system's, which sleeps.
func (s *System) Settle(r *Resident, home Home) {
	r.system, r.home, r.slot = s, home, s.nextSlot()
}

// Tell puts message into the resident's mailbox, waking it if need be, and returns at
// once. A message that nobody will handle is answered by its Fail.
func (r *Resident) Tell(message any) {
	r.Touch()
	r.Wake(message)
}

// Wake is Tell for what does not count as use of the resident.
func (r *Resident) Wake(message any) {
	mustBeMessage(message)
	if err := r.post(message, true); err != nil {
		r.system.undelivered(message, err)
	}
}

// TellAwake gives message to the resident if it is awake and stays so, and does not
// count as use. The message must need no answer.
func (r *Resident) TellAwake(message any) { _ = r.post(message, false) }

// post never runs an actor's code, nor that of who waits for an answer.
func (r *Resident) post(message any, start bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.refusal != nil:
		return r.refusal
	case r.leaving && start:
		r.waiting = append(r.waiting, message)
		return nil
	case r.life == nil && start:
		if err := r.start(); err != nil {
			return err
		}
	case r.life == nil || r.leaving:
		return nil
	}
	r.life.PostUserMessage(message)
	return nil
}

// start begins a life. r.mu is held.
func (r *Resident) start() error {
	life := &root{name: r.home.ActorName(), system: r.system, resident: r}
	if err := r.slot.start(life); err != nil {
		return err
	}
	r.system.awake.Add(1)
	r.system.wakes.Add(1)
	r.life, r.root = life.mailbox, life
	return nil
}

// Touch counts as use of the resident, which is not woken by it.
func (r *Resident) Touch() { r.used.Store(int64(time.Since(r.system.began))) }

// Used tells one use from the next: it is when the last one was.
func (r *Resident) Used() time.Duration { return time.Duration(r.used.Load()) }

// Idle is how long the resident was not used: for longer than anything if it never was.
func (r *Resident) Idle() time.Duration {
	used := r.Used()
	if used == 0 {
		return math.MaxInt64
	}
	return time.Since(r.system.began) - used
}

// Awake tells whether the resident is in memory.
func (r *Resident) Awake() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.life != nil
}

// Leave has the resident leave memory, and tells whether it does: not if there is a
// message for it. It is for the resident itself, inside of its methods, when it has no
// children.
func (r *Resident) Leave() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.life == nil || r.leaving || r.life.UserMessageCount() > 0 {
		return false
	}
	r.leaving = true
	r.life.stop()
	return true
}

// Stay says that the resident does not leave although it was asked to, and may be asked
// again.
func (r *Resident) Stay() {
	if r.asked.CompareAndSwap(true, false) {
		r.system.asked.Add(-1)
	}
}

// ask notes that the resident is to leave. It is not asked twice, nor who is on its way
// out or away.
func (r *Resident) ask() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.life == nil || r.leaving || !r.asked.CompareAndSwap(false, true) {
		return false
	}
	r.system.asked.Add(1)
	return true
}

// End stops the resident for good as System.Stop does, and waits for it or for the end
// of ctx. What it is told from now on is refused with ErrStopped.
func (r *Resident) End(ctx context.Context) error {
	r.mu.Lock()
	if r.refusal == nil {
		r.refusal = ErrStopped
	}
	last := r.root
	r.mu.Unlock()
	if last == nil {
		return nil
	}
	last.mailbox.stop()
	return last.await(ctx)
}

// left hears that a life is over, and begins the next one if something waits for it.
func (r *Resident) left(cause error) {
	r.mu.Lock()
	if r.leaving { // counted before it is no longer awake, for who waits for that
		r.system.sleeps.Add(1)
	}
	r.system.awake.Add(-1)
	waiting := r.waiting
	r.life, r.root, r.leaving, r.waiting = nil, nil, false, nil
	r.Stay()
	if errors.Is(cause, ErrCorruptState) && r.refusal == nil {
		r.refusal = fmt.Errorf("%w: %w", ErrStopped, cause)
	}
	err := r.refusal
	if err == nil && len(waiting) > 0 {
		err = r.start()
	}
	if err == nil {
		for _, message := range waiting {
			r.life.PostUserMessage(message)
		}
		waiting = nil
	}
	r.mu.Unlock()
	for _, message := range waiting {
		r.system.undelivered(message, err)
	}
}

// Residents counts them.
func (s *System) Residents() Residents {
	return Residents{Awake: int(s.awake.Load()), Asked: int(s.asked.Load()), Wakes: s.wakes.Load(), Sleeps: s.sleeps.Load()}
}

// sampled is how many residents are compared to find those that were not used for the
// longest time.
const sampled = 1024

// LeastRecentlyUsed gives up to n residents that are awake, those first that were not
// used for the longest time. They count as asked to leave: each is given only once, until
// it has left or says that it stays.
//
// While at most 1,024 are awake the order is exact. Of more so many are drawn at random,
// and an eighth of these at most is given; whoever wants more calls again. So no call
// takes longer than to sort a thousand.
func (s *System) LeastRecentlyUsed(n int) []*Resident {
	most, awake := sampled, int(s.awake.Load())
	if awake > sampled {
		most = sampled / sweepSlots
	}
	all := make([]*Resident, 0, min(awake, sampled))
	for i := range s.slots {
		all = s.slots[i].sample(all, most)
	}
	if most < sampled {
		n = min(n, len(all)/8)
	}
	type candidate struct {
		resident *Resident
		used     int64
	}
	candidates := make([]candidate, 0, len(all))
	for _, r := range all {
		if !r.asked.Load() {
			candidates = append(candidates, candidate{r, r.used.Load()})
		}
	}
	slices.SortFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.used, b.used) })
	var oldest []*Resident
	for _, c := range candidates {
		if len(oldest) >= n {
			break
		}
		if c.resident.ask() {
			oldest = append(oldest, c.resident)
		}
	}
	return oldest
}
