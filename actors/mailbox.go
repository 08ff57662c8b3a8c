package actors

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// newMailbox makes protoactor's unbounded mailbox.
var newMailbox = actor.Unbounded()

// guardedMailbox stands between protoactor's mailbox and its actor, on both
// sides: senders post to it and the mailbox invokes it. It makes a stop drain
// what is queued, refuses what comes after, and keeps a stopped actor stopped.
//
// It lives as long as the actor, over all its incarnations. The fields below the
// senders' are touched by the goroutine that runs the mailbox only.
type guardedMailbox struct {
	actor.Mailbox
	system  *System
	invoker actor.MessageInvoker
	owner   actor.Context

	// The senders' fields.
	spawning sync.WaitGroup // until Started is queued
	sweeping atomic.Bool    // a Sweep is queued

	// heeded is the parent's field: which ticks the actor wants, as it was after its
	// last message.
	heeded atomic.Int32

	postponed     []any // arrived at an incarnation that has failed
	stopRequested bool
	reachedMark   bool                // all that was queued at the request has been handled
	finishing     bool                // protoactor has been told to stop
	held          []*actor.Terminated // of children, until the actor has drained
	stopped       bool
	cause         error // of the failure that the supervisor has yet to answer
	failedStarts  int   // consecutive
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

func newGuardedMailbox(system *System) *guardedMailbox {
	g := &guardedMailbox{Mailbox: newMailbox(), system: system}
	g.spawning.Add(1)
	return g
}

func (g *guardedMailbox) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	g.invoker = invoker
	g.owner = invoker.(actor.Context)
	g.Mailbox.RegisterHandlers(g, dispatcher)
}

// PostUserMessage drops a Sweep if one is waiting already, so that ticks do not
// pile up at an actor that is stalled or backing off. It holds back whoever
// still has the name of an earlier actor: protoactor registers a name some
// instructions before its mailbox can take a message.
func (g *guardedMailbox) PostUserMessage(message any) {
	if _, ok := message.(Sweep); ok && !g.sweeping.CompareAndSwap(false, true) {
		return
	}
	g.spawning.Wait()
	g.Mailbox.PostUserMessage(message)
}

// PostSystemMessage waits as PostUserMessage does, Started excepted, which is
// the first message and comes from the spawn itself.
func (g *guardedMailbox) PostSystemMessage(message any) {
	if _, first := message.(*actor.Started); first {
		g.Mailbox.PostSystemMessage(message)
		g.spawning.Done()
		return
	}
	g.spawning.Wait()
	g.Mailbox.PostSystemMessage(message)
}

func (g *guardedMailbox) InvokeUserMessage(message any) {
	// The mailbox can miss its own suspension for a moment, while another
	// system message is on its way in.
	if g.mustPostpone() {
		g.postponed = append(g.postponed, message)
		return
	}
	switch m := message.(type) {
	case drainMark:
		g.reachedMark = true
	case lateTerminated:
		g.host().terminated(m.notice.Who)
		g.held = append(g.held, m.notice)
	case Sweep:
		g.sweeping.Store(false)
		if !g.stopped {
			g.invoker.InvokeUserMessage(message)
		}
	default:
		if g.stopped {
			g.system.undelivered(message, g.refusal())
			return
		}
		g.invoker.InvokeUserMessage(message)
	}
	if g.UserMessageCount() <= 0 {
		g.host().idle()
	}
	g.noteHeed()
	g.stopWhenDrained()
}

func (g *guardedMailbox) InvokeSystemMessage(message any) {
	switch m := message.(type) {
	case *actor.Stop:
		g.requestStop()
		g.replay()
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
	g.replay()
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

// replay handles what was postponed, before anything newer.
func (g *guardedMailbox) replay() {
	for len(g.postponed) > 0 && !g.mustPostpone() {
		next := g.postponed[0]
		g.postponed = g.postponed[1:]
		g.InvokeUserMessage(next)
	}
}

// mustPostpone reports whether the present incarnation has failed and another
// one is to come.
func (g *guardedMailbox) mustPostpone() bool { return g.host().failed && !g.finishing }

// EscalateFailure passes the cause to the supervisor, without the message.
func (g *guardedMailbox) EscalateFailure(reason, _ any) {
	if failure, ok := reason.(failure); ok {
		g.cause = failure.cause
	} else {
		g.cause = errors.New(describePanic(reason))
	}
	g.host().failed, g.host().cause = true, g.cause
	var start *StartError
	if errors.As(g.cause, &start) {
		g.failedStarts++
		start.Attempt = g.failedStarts
	}
	if g.stopRequested && g.hopeless() {
		g.PostSystemMessage(&actor.Stop{})
		return
	}
	g.invoker.EscalateFailure(g.cause, nil)
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

func (g *guardedMailbox) invoke(message any) {
	g.invoker.InvokeSystemMessage(message)
	host := g.host()
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

func (g *guardedMailbox) host() *host { return g.owner.Actor().(*host) }
