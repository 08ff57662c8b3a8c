package actors

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// throughput is how many messages an actor handles before it lets others run.
const throughput = 300

// guardedMailbox is an actor's mailbox. It makes a stop drain what is queued, refuses
// what comes after, and keeps a stopped actor stopped.
//
// It is one object with its queue in it, since there are many of them and each message
// finds most of them out of the processor's caches: see docs/adr/0034. What every message
// needs comes first.
//
// It lives as long as the actor, over all its incarnations. The fields below the
// senders' are touched by the goroutine that runs the mailbox only.
type guardedMailbox struct {
	queue  queue
	now    *host // the present incarnation; nil: ask the owner
	owner  owner
	system *System
	origin origin

	// sweeping is the senders' field: a Sweep is queued.
	sweeping atomic.Bool

	// heeded is the parent's field: which ticks the actor wants, as it was after its
	// last message.
	heeded atomic.Int32

	failedStarts  int32 // consecutive
	stopRequested bool
	reachedMark   bool // all that was queued at the request has been handled
	finishing     bool // protoactor has been told to stop
	stopped       bool
	cause         error               // of the failure that the supervisor has yet to answer
	held          []*actor.Terminated // of children, until the actor has drained
}

// owner is protoactor's side of an actor.
type owner interface {
	actor.Context
	actor.MessageInvoker
}

// origin is who has started an actor.
type origin interface {
	// incarnate makes an Actor for the actor of that name, on its goroutine.
	incarnate(name string) Actor
	// over hears on its goroutine that the actor has stopped.
	over(cause error)
}

// heed is which ticks a child wants from its parent.
type heed int32

const (
	heedsNone heed = iota
	heedsSome
	heedsAll
)

// drainMark is queued behind what an actor has to handle before it stops.
type drainMark struct{}

// lateTerminated is queued behind what a child told its parent before it
// stopped: a Terminated would overtake that, and the last one ends the parent.
type lateTerminated struct {
	notice *actor.Terminated
}

// newGuardedMailbox makes that of an actor that is about to be spawned. protoactor tells
// its name some instructions before the mailbox knows its actor: until Started comes
// nobody runs it.
func newGuardedMailbox(system *System, of origin) *guardedMailbox {
	return &guardedMailbox{system: system, origin: of, queue: queue{claimed: true}}
}

// name is the actor's, those of its parents before it.
func (g *guardedMailbox) name() string { return g.owner.Self().Id }

// RegisterHandlers implements protoactor's mailbox interface. The dispatcher is not
// asked: that of the System runs all mailboxes.
func (g *guardedMailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	g.owner = invoker.(owner)
}

// Start implements protoactor's mailbox interface.
func (*guardedMailbox) Start() {}

// UserMessageCount is how many messages wait, without the one that is being handled.
func (g *guardedMailbox) UserMessageCount() int { return g.queue.len() }

// PostUserMessage drops a Sweep if one is waiting already, so that ticks do not
// pile up at an actor that is stalled or backing off.
func (g *guardedMailbox) PostUserMessage(message any) {
	if _, ok := message.(Sweep); ok && !g.sweeping.CompareAndSwap(false, true) {
		return
	}
	if g.queue.post(message) {
		g.system.dispatcher.schedule(g)
	}
}

// tell posts a message unless the actor has stopped.
func (g *guardedMailbox) tell(message any) bool {
	schedule, over := g.queue.tell(message)
	if schedule {
		g.system.dispatcher.schedule(g)
	}
	return !over
}

// stop has the actor stop when it has handled what is queued. One that has stopped stays
// so.
func (g *guardedMailbox) stop() { g.PostSystemMessage(&actor.Stop{}) }

// PostSystemMessage implements protoactor's mailbox interface. Started is posted once,
// by the spawn.
func (g *guardedMailbox) PostSystemMessage(message any) {
	if _, first := message.(*actor.Started); first {
		g.queue.start(message)
	} else if !g.queue.postSystem(message) {
		return
	}
	g.system.dispatcher.schedule(g)
}

// run handles what waits, on a worker of the dispatcher.
func (g *guardedMailbox) run() {
	for !g.handled() {
	}
}

// handled tells that nothing is left for this run, false that one message has panicked.
func (g *guardedMailbox) handled() (all bool) {
	defer func() {
		if reason := recover(); reason != nil {
			g.escalate(reason)
		}
	}()
	for n := 1; ; n++ {
		message, from := g.queue.take()
		switch from {
		case fromNone:
			return true
		case fromSystem:
			g.handleSystem(message)
		default:
			g.handle(message)
		}
		if n%throughput == 0 {
			runtime.Gosched()
		}
	}
}

func (g *guardedMailbox) handle(message any) {
	switch m := message.(type) {
	case drainMark:
		g.reachedMark = true
	case lateTerminated:
		g.host().terminated(m.notice.Who)
		g.held = append(g.held, m.notice)
	case Sweep:
		g.sweeping.Store(false)
		if !g.stopped {
			g.host().sweep(m, message)
		}
	default:
		if g.stopped {
			g.system.undelivered(message, g.refusal())
			return
		}
		g.host().deliver(message)
	}
	if g.UserMessageCount() == 0 {
		g.host().idle()
	}
	g.noteHeed()
	g.stopWhenDrained()
}

func (g *guardedMailbox) handleSystem(message any) {
	switch m := message.(type) {
	case *actor.Stop:
		g.requestStop()
		return
	case *actor.Terminated:
		if g.finishing && !g.host().failed {
			g.PostUserMessage(lateTerminated{m})
			return
		}
	case *actor.Restart:
		// Late, from a backoff that a stop has overtaken, or meant for an
		// earlier actor of this name.
		if g.cause == nil || g.finishing {
			return
		}
		g.cause = nil
	}
	g.invoke(message)
	g.noteHeed()
	g.stopWhenDrained()
}

// noteHeed tells the parent which ticks the actor wants from now on.
func (g *guardedMailbox) noteHeed() {
	if g.stopRequested {
		return // nobody asks
	}
	if h := int32(g.host().heeds()); h != g.heeded.Load() {
		g.heeded.Store(h)
	}
}

// escalate passes the cause to the supervisor, without the message. Before it returns
// the mailbox has what suspends it.
func (g *guardedMailbox) escalate(reason any) {
	if failure, ok := reason.(failure); ok {
		g.cause = failure.cause
	} else {
		g.cause = errors.New(describePanic(reason))
	}
	g.host().failed, g.host().cause = true, g.cause
	var start *StartError
	if errors.As(g.cause, &start) {
		g.failedStarts++
		start.Attempt = int(g.failedStarts)
	}
	if g.stopRequested && g.hopeless() {
		g.stop()
		return
	}
	g.owner.EscalateFailure(g.cause, nil)
}

// requestStop lets the actor handle what is queued before it stops, unless it
// is in no state to do so. After a failure in a message it is: the supervisor's
// restart is under way.
func (g *guardedMailbox) requestStop() {
	switch {
	case g.finishing:
	case g.hopeless():
		g.finish()
	case !g.stopRequested:
		g.stopRequested = true
		g.PostUserMessage(drainMark{})
	}
}

// hopeless reports whether the present failure leaves nobody to handle the
// queue: the start failed, or the state is corrupt.
func (g *guardedMailbox) hopeless() bool {
	var start *StartError
	return errors.As(g.cause, &start) || errors.Is(g.cause, ErrCorruptState)
}

func (g *guardedMailbox) stopWhenDrained() {
	host := g.host()
	switch {
	case g.finishing:
		for len(g.held) > 0 && host.drained() {
			notice := g.held[0]
			g.held = g.held[1:]
			// A child of that name may live again, for what was buffered.
			if !host.lives(notice.Who) {
				g.invoke(notice)
			}
		}
	case g.reachedMark && !host.failed && host.drained():
		g.finish()
	}
}

func (g *guardedMailbox) finish() {
	g.finishing = true
	if g.host().failed {
		// It is suspended, and its children, for which it waits, may wait for it:
		// what they ask is refused.
		g.PostSystemMessage(&actor.ResumeMailbox{})
	}
	g.invoke(&actor.Stop{})
}

// invoke hands protoactor a message of its own, which may end the incarnation and begin
// another one.
func (g *guardedMailbox) invoke(message any) {
	g.now = nil
	g.owner.InvokeSystemMessage(message)
	host := g.host()
	if host.mailbox == nil {
		host.start(g)
	}
	if host.started {
		g.failedStarts = 0
	}
	if host.stopped && !g.stopped {
		g.stopped = true
		// Nobody will resume the mailbox of an actor that stopped while
		// suspended, and what is queued in it has to be refused.
		g.PostSystemMessage(&actor.ResumeMailbox{})
	}
}

func (g *guardedMailbox) refusal() error {
	if g.cause != nil {
		return fmt.Errorf("%w: %w", ErrStopped, g.cause)
	}
	return ErrStopped
}

// host is the present incarnation. The user's messages go to it past protoactor's
// context, which has nothing to add: see docs/adr/0034.
func (g *guardedMailbox) host() *host {
	if g.now == nil {
		g.now = g.owner.Actor().(*host)
	}
	return g.now
}
