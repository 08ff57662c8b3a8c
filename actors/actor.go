package actors

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Actor is one incarnation of an actor: a value that is made anew at each
// start. Its methods are called by one goroutine at a time.
type Actor interface {
	// Start loads what the actor needs before its first message. An error
	// means another incarnation later, after a backoff; one that wraps
	// ErrCorruptState means none.
	Start(ctx *Context) error

	// Receive handles one message. It must not block or wait.
	//
	// An error means that the state in memory is not to be trusted any more
	// (a commit failed): the message is answered with it, this incarnation
	// ends and a new one starts, or none if it wraps ErrCorruptState. A
	// message that is merely refused is answered by its Fail, and Receive
	// returns nil. Types that an actor does not know it ignores, Sweep among
	// them.
	Receive(ctx *Context, message any) error
}

// Drainer is an Actor with work in flight outside of its mailbox, such as a
// commit whose continuation will come back as a message. It is not stopped
// before Drained reports true, asked after each message. Messages go on
// arriving until then, those of its own children also after.
type Drainer interface {
	Drained() bool
}

// Idler is an Actor that gathers what its messages call for, to do it together.
// Idle is called after a message that no other one waits behind; while many
// come, that may take long.
type Idler interface {
	Idle()
}

// Closer is an Actor that lets go of something, such as key material, when its
// incarnation ends. Close is called once, whether it stops or restarts.
type Closer interface {
	Close()
}

// Resumer is an Actor that a panic in Receive does not end: the panic costs its message,
// as always, and the same incarnation takes the next one. It must hold nothing that a
// message could leave half changed. A parent whose children wait for its answers is one
// as long as it has children: a restart waits until they have stopped, and what they ask
// would wait for the restart.
type Resumer interface {
	// Resumes is asked after the panic.
	Resumes() bool
}

// Parent is an Actor that wants to know when the last of its children has left memory
// and nothing waits for one of them. It may hear so again and again. An actor that
// stops or restarts does not hear it.
type Parent interface {
	Childless(ctx *Context)
}

// Restless is an Actor that does something with a Sweep. As a child it gets every one
// as long as Restless is true, which is asked after its start and after each message,
// and else one now and then (ChildrenOptions.IdleAfter). It must be cheap.
type Restless interface {
	Restless() bool
}

// Sweep is the tick. Actors without a parent receive it at each interval, and then those
// of their children that do something with it: see Restless. A child that has children
// gets it now and then for their sake, all others never. At most one waits in a mailbox.
type Sweep struct {
	Now time.Time
}

// Context is what an actor knows about its own place. It is valid only during
// the call it is passed to.
type Context struct{ host *host }

// Self returns the actor's own Ref.
func (c *Context) Self() Ref { return Ref{c.host.mailbox} }

// host carries one incarnation: it turns what its mailbox delivers into calls of
// the Actor and their failures into causes for the supervisor. One goroutine at
// a time, the mailbox's, touches it.
type host struct {
	mailbox *guardedMailbox // nil until the mailbox starts the incarnation
	ctx     Context
	actor   Actor
	family  *Children // the first one

	started  bool  // Start has succeeded
	failed   bool  // this incarnation must not be called any more
	cause    error // since then
	stopping bool
	stopped  bool
	closed   bool

	counted *atomic.Int64 // those of its type that live; nil: it is none of them
}

// failure is what a host panics with, the one way protoactor has to hand a
// cause to the supervisor.
type failure struct {
	cause error
}

// Receive implements protoactor's actor interface: it hears of the actor's life but for
// its beginnings. These, and what is told to the actor, come from its mailbox at once.
func (h *host) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Restarting:
		h.uncount()
		h.closeFamilies()
		h.close()
	case *actor.Stopping:
		h.stopping = true
		h.closeFamilies()
	case *actor.Stopped:
		h.stopped = true
		h.uncount()
		h.close()
		h.mailbox.queue.end()
		h.mailbox.origin.over(h.cause)
	case *actor.Terminated:
		h.terminated(m.Who)
	}
}

// start begins the incarnation. It panics with a failure if that cannot be.
func (h *host) start(mailbox *guardedMailbox) {
	h.mailbox, h.ctx.host = mailbox, h
	err := h.incarnate()
	if err == nil {
		h.started = true
		return
	}
	if !errors.Is(err, ErrCorruptState) {
		err = &StartError{Actor: h.name(), Err: err}
	}
	h.failed, h.cause = true, err
	panic(failure{err})
}

// incarnate makes the Actor and starts it; a panic of either is an error.
func (h *host) incarnate() (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = errors.New(describePanic(value))
			h.system().logger.Error("actor panicked while starting",
				"actor", h.name(), "cause", err, "stack", callers())
		}
	}()
	h.actor = h.mailbox.origin.incarnate(h.name())
	h.counted = h.system().live.add(h.actor)
	return h.actor.Start(&h.ctx)
}

// heeds is which ticks the incarnation wants.
func (h *host) heeds() heed {
	restless, ok := h.actor.(Restless)
	switch {
	case h.failed || !h.started || !ok && h.family == nil:
		return heedsNone
	case ok && restless.Restless():
		return heedsAll
	default:
		return heedsSome
	}
}

// uncount takes the incarnation from those that live.
func (h *host) uncount() {
	if h.counted != nil {
		h.counted.Add(-1)
		h.counted = nil
	}
}

// sweep is deliver of a tick, which the children hear of first. message is the same.
func (h *host) sweep(tick Sweep, message any) {
	for family := h.family; family != nil; family = family.next {
		family.sweep(tick.Now, message)
	}
	h.deliver(message)
}

func (h *host) deliver(message any) {
	if h.failed {
		h.system().undelivered(message, fmt.Errorf("%w: %w", ErrStopped, h.cause))
		return
	}
	resumes, cause := h.receive(message)
	switch {
	case cause == nil:
		return
	case resumes:
		h.refuse(message, cause)
		return
	}
	h.failed, h.cause = true, cause
	refuse(message, cause)
	if h.stopping {
		// No new incarnation will follow; the rest is refused above.
		h.system().logger.Error("actor failed while stopping", "actor", h.name(), "cause", cause)
		return
	}
	panic(failure{cause})
}

// receive gives the cause of a failure, and whether the incarnation goes on all the same.
func (h *host) receive(message any) (resumes bool, cause error) {
	defer func() {
		if value := recover(); value != nil {
			resumer, ok := h.actor.(Resumer)
			resumes, cause = ok && resumer.Resumes(), h.system().quarantine(h.name(), message, value)
		}
	}()
	if err := h.actor.Receive(&h.ctx, message); err != nil {
		return false, fmt.Errorf("actors: %s: %w", h.name(), err)
	}
	return false, nil
}

// refuse answers a message on behalf of an actor that goes on, whatever the one who has
// asked makes of the answer.
func (h *host) refuse(message any, cause error) {
	defer func() {
		if value := recover(); value != nil {
			h.system().logger.Error("panic at an answer", "actor", h.name(), "cause", describePanic(value), "stack", callers())
		}
	}()
	refuse(message, cause)
}

// idle lets an Idler do what it has gathered.
func (h *host) idle() {
	idler, ok := h.actor.(Idler)
	if !ok || h.failed || h.stopped {
		return
	}
	defer h.guard("idle")
	idler.Idle()
}

func (h *host) terminated(who *actor.PID) {
	for family := h.family; family != nil; family = family.next {
		family.terminated(who)
	}
	h.childless()
}

// childless tells a Parent that it has no children any more.
func (h *host) childless() {
	parent, ok := h.actor.(Parent)
	if !ok || h.failed || h.stopping || h.stopped {
		return
	}
	for family := h.family; family != nil; family = family.next {
		if family.Len() > 0 {
			return
		}
	}
	defer h.guard("childless")
	parent.Childless(&h.ctx)
}

// guard makes a panic of the actor, outside of any message, the end of this
// incarnation. It is deferred.
func (h *host) guard(when string) {
	value := recover()
	if value == nil {
		return
	}
	cause := errors.New(describePanic(value))
	h.system().logger.Error("actor panicked while "+when, "actor", h.name(), "cause", cause, "stack", callers())
	h.failed, h.cause = true, cause
	if !h.stopping {
		panic(failure{cause})
	}
}

func (h *host) lives(who *actor.PID) bool {
	for family := h.family; family != nil; family = family.next {
		if family.find(who) != nil {
			return true
		}
	}
	return false
}

func (h *host) closeFamilies() {
	for family := h.family; family != nil; family = family.next {
		family.close()
	}
}

// close is the end of the incarnation; a panic here would leave the actor
// half stopped, so it is only logged.
func (h *host) close() {
	closer, ok := h.actor.(Closer)
	if !ok || h.closed {
		return
	}
	h.closed = true
	defer func() {
		if value := recover(); value != nil {
			h.system().logger.Error("actor panicked while closing",
				"actor", h.name(), "cause", describePanic(value), "stack", callers())
		}
	}()
	closer.Close()
}

// drained counts a panic as yes: an actor that cannot tell must still stop.
func (h *host) drained() (yes bool) {
	drainer, ok := h.actor.(Drainer)
	if !ok || h.failed {
		return true
	}
	defer func() {
		if value := recover(); value != nil {
			yes = true
			h.system().logger.Error("actor panicked while draining",
				"actor", h.name(), "cause", describePanic(value), "stack", callers())
		}
	}()
	return drainer.Drained()
}

func (h *host) name() string { return h.mailbox.name() }

func (h *host) system() *System { return h.mailbox.system }
