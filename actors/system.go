package actors

import (
	"context"
	"errors"
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

	// SweepEvery is the interval of the tick. 0 means that whoever made the
	// System calls Sweep.
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
	supervisor *supervisor
	dispatcher *dispatcher
	refused    atomic.Uint64
	poisoned   atomic.Uint64
	live       live

	mu     sync.Mutex
	closed bool
	roots  map[string]*root

	stopTicks chan struct{}
	ticking   sync.WaitGroup
}

// root is an actor without a parent.
type root struct {
	ref     Ref
	stopped chan struct{}
}

// NewSystem returns a running System. It is ended by Shutdown.
func NewSystem(options Options) *System {
	options.Backoff = options.Backoff.withDefaults()
	s := &System{
		options:    options,
		logger:     options.Logger,
		dispatcher: newDispatcher(options.SpareTime),
		roots:      make(map[string]*root),
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return Ref{}, fmt.Errorf("actors: spawn %s: %w", name, ErrStopped)
	}
	if _, taken := s.roots[name]; taken {
		return Ref{}, fmt.Errorf("actors: spawn %s: %w", name, ErrNameTaken)
	}
	r := &root{stopped: make(chan struct{})}
	props := s.props(func(string) Actor { return create() }, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.roots, name)
		close(r.stopped)
	}).Configure(actor.WithGuardian(s.supervisor))
	pid, err := s.proto.Root.SpawnNamed(props, name)
	if err != nil {
		if errors.Is(err, actor.ErrNameExists) {
			err = ErrNameTaken
		}
		return Ref{}, fmt.Errorf("actors: spawn %s: %w", name, err)
	}
	r.ref = Ref{system: s, pid: pid}
	s.roots[name] = r
	return r.ref, nil
}

// Stop stops an actor that was started by Spawn, with all its children, after
// they have handled what is queued, and waits for it or for the end of ctx. It
// goes on stopping in the latter case. An actor that is gone is no error.
func (s *System) Stop(ctx context.Context, ref Ref) error {
	s.mu.Lock()
	r, ok := s.roots[ref.String()]
	s.mu.Unlock()
	if !ok {
		return nil
	}
	s.proto.Root.Stop(r.ref.pid)
	return r.await(ctx)
}

// Shutdown stops the tick and all actors as Stop does, and refuses new ones.
// After an error, which is that of ctx, it may be called again to go on
// waiting.
func (s *System) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.stopTicks)
	}
	roots := make([]*root, 0, len(s.roots))
	for _, r := range s.roots {
		roots = append(roots, r)
	}
	s.mu.Unlock()
	// Also if somebody does not stop: what is scheduled still runs.
	defer s.dispatcher.close()
	s.ticking.Wait()

	for _, r := range roots {
		s.proto.Root.Stop(r.ref.pid)
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
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.roots {
		r.ref.Tell(Sweep{Now: now})
	}
}

// Quarantined returns how many messages an actor has panicked on since the start.
func (s *System) Quarantined() uint64 { return s.poisoned.Load() }

// Live returns how many actors are in memory by the Go type of their Actor, such as
// "*deviceactor.Actor".
func (s *System) Live() map[string]int64 { return s.live.counts() }

// Undelivered returns how many messages were refused or lost since the start
// because their actor was gone or a buffer was full.
func (s *System) Undelivered() uint64 { return s.refused.Load() }

func (r *root) await(ctx context.Context) error {
	select {
	case <-r.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("actors: stop %s: %w", r.ref, ctx.Err())
	}
}

func (s *System) tick() {
	ticker := time.NewTicker(s.options.SweepEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			s.Sweep(now)
		case <-s.stopTicks:
			return
		}
	}
}

func (s *System) props(create func(name string) Actor, onStopped func()) *actor.Props {
	return actor.PropsFromProducer(
		func() actor.Actor {
			h := &host{system: s, create: create, onStopped: onStopped}
			h.ctx.host = h
			return h
		},
		actor.WithMailbox(func() actor.Mailbox {
			return newGuardedMailbox(s)
		}),
		actor.WithSupervisor(s.supervisor),
		actor.WithDispatcher(s.dispatcher),
	)
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
