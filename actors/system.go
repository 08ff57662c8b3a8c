package actors

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Options configures a System. The zero value is usable.
type Options struct {
	// Logger gets what happens to actors, never what is in their messages.
	// Default: nothing is logged.
	Logger *slog.Logger

	// OnQuarantine is called for each quarantined message before its sender
	// is answered, on the goroutine of the actor: it must not block.
	OnQuarantine func(Quarantined)

	// OnCorrupt is called when an actor is stopped because of ErrCorruptState,
	// on the goroutine of its supervisor: it must not block.
	OnCorrupt func(actor string, cause error)

	// Backoff spaces failing starts.
	Backoff Backoff

	// SweepEvery is the interval at which each actor gets the tick; not all get it
	// at the same time. 0 means that whoever made the System calls Sweep.
	SweepEvery time.Duration

	// SpareTime does a small piece of work that can wait, and tells whether
	// there may be more. A worker that finds no actor with anything to do calls
	// it until it says no or there is an actor again; idle workers do not.
	// Several goroutines may call it at the same time. What is told to an actor
	// meanwhile may have to wait until it returns. It must not panic. nil: none.
	SpareTime func() bool
}

// System hosts actors. Its methods are safe for concurrent use.
type System struct {
	options    Options
	logger     *slog.Logger
	proto      *actor.ActorSystem
	spawner    *actor.RootContext // of actors without a parent
	supervisor *supervisor
	spawns     sync.Pool // of *spawning
	dispatcher *dispatcher
	refused    atomic.Uint64
	poisoned   atomic.Uint64
	live       live
	began      time.Time

	awake         atomic.Int64 // residents
	asked         atomic.Int64 // those of them that are to leave, see LeastRecentlyUsed
	wakes, sleeps atomic.Uint64

	placed atomic.Uint64 // how many places were given in slots
	slots  [sweepSlots]slot
	named  sync.Map // name -> *root: those that were started by Spawn

	mu     sync.Mutex
	closed bool // all slots are

	stopTicks chan struct{}
	ticking   sync.WaitGroup
}

// NewSystem returns a running System. It is ended by Shutdown.
func NewSystem(options Options) *System {
	options.Backoff = options.Backoff.withDefaults()
	s := &System{
		options:    options,
		logger:     options.Logger,
		dispatcher: newDispatcher(options.SpareTime),
		began:      time.Now(),
		stopTicks:  make(chan struct{}),
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	s.supervisor = &supervisor{system: s}
	s.proto = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
			return slog.New(slog.DiscardHandler)
		}),
		// A dead letter leaves a goroutine behind for this long, even with
		// nothing to log.
		actor.WithDeadLetterThrottleInterval(time.Millisecond),
	)
	s.spawner = s.proto.Root.Copy().WithGuardian(s.supervisor)
	supervised := actor.WithSupervisor(s.supervisor)
	s.spawns.New = func() any { return newSpawning(supervised) }
	s.proto.EventStream.Subscribe(s.deadLetter)
	if options.SweepEvery > 0 {
		s.ticking.Go(s.tick)
	}
	return s
}

// Spawn starts an actor without a parent. create is called for each of its
// incarnations, on its goroutine. Errors: ErrNameTaken while an actor of that
// name lives, ErrStopped after Shutdown.
func (s *System) Spawn(name string, create func() Actor) (Ref, error) {
	r := &root{name: name, system: s, create: create}
	if err := s.nextSlot().start(r); err != nil {
		return Ref{}, err
	}
	return Ref{r.mailbox}, nil
}

// Stop stops an actor that was started by Spawn, with all its children, after
// they have handled what is queued, and waits for it or for the end of ctx. It
// goes on stopping in the latter case. An actor that is gone is no error.
func (s *System) Stop(ctx context.Context, ref Ref) error {
	named, ok := s.named.Load(ref.String())
	if !ok {
		return nil
	}
	ref.mailbox.stop()
	return named.(*root).await(ctx)
}

// Shutdown stops the tick and all actors as Stop does, and refuses new ones.
// After an error, which is that of ctx, it may be called again to go on
// waiting.
func (s *System) Shutdown(ctx context.Context) error {
	var roots []*root
	for i := range s.slots {
		roots = append(roots, s.slots[i].close()...)
	}
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.stopTicks)
	}
	s.mu.Unlock()
	// Also if somebody does not stop: what is scheduled still runs.
	defer s.dispatcher.close()
	s.ticking.Wait()

	for _, r := range roots {
		r.mailbox.stop()
	}
	for _, r := range roots {
		if err := r.await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Sweep tells the tick to all actors, through their parents.
func (s *System) Sweep(now time.Time) {
	var tick any = Sweep{Now: now}
	for i := range s.slots {
		s.slots[i].sweep(tick)
	}
}

// Quarantined returns how many messages an actor has panicked on since the start.
func (s *System) Quarantined() uint64 { return s.poisoned.Load() }

// Live returns how many actors are in memory by the Go type of their Actor, such as
// "*deviceactor.Actor".
func (s *System) Live() map[string]int64 { return s.live.counts() }

// LiveOf is Live for the type of one Actor.
func (s *System) LiveOf(a Actor) int64 { return s.live.of(a) }

// Undelivered returns how many messages were refused or lost since the start
// because their actor was gone or a buffer was full.
func (s *System) Undelivered() uint64 { return s.refused.Load() }

func (s *System) tick() {
	ticker := time.NewTicker(max(s.options.SweepEvery/sweepSlots, 1))
	defer ticker.Stop()
	for turn := 1; ; turn++ {
		select {
		case now := <-ticker.C:
			s.slots[turn%sweepSlots].sweep(Sweep{Now: now})
		case <-s.stopTicks:
			return
		}
	}
}

// deadLetter answers a message whose actor had left the registry already.
func (s *System) deadLetter(event any) {
	letter, ok := event.(*actor.DeadLetterEvent)
	if !ok {
		return
	}
	switch letter.Message.(type) {
	case actor.SystemMessage, actor.MailboxMessage, Sweep:
		// protoactor's own traffic and ticks may come too late.
	default:
		s.undelivered(letter.Message, ErrStopped)
	}
}

// undelivered answers a message that no actor will handle.
func (s *System) undelivered(message any, cause error) {
	s.refused.Add(1)
	answered := refuse(message, cause)
	s.logger.Debug("message not delivered",
		"message_type", fmt.Sprintf("%T", message), "cause", cause, "answered", answered)
}
