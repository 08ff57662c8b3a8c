package actors

import (
	"fmt"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// ChildrenOptions says how the children of one kind come and go.
type ChildrenOptions struct {
	// New makes an incarnation of the child of that name. It is called on the
	// child's goroutine.
	New func(name string) Actor

	// Buffer is how many messages wait for one child while it stops. More are
	// refused with *OverloadedError.
	Buffer int

	// IdleAfter is how long a child may go without a message before a Sweep
	// passivates it; up to one interval is added of the sweeps that the parent gets.
	// 0 means never. A child that is not Restless at the moment gets a Sweep each
	// quarter of it.
	IdleAfter time.Duration

	// InUse tells that the children are in use at the moment also without messages: no
	// Sweep passivates one then. nil: only messages count.
	InUse func() bool
}

// Children is the parent's side of passivation: it owns which names have a
// living actor. Messages for a child go through it, so that one that is
// stopping can be followed by its next life without losing a message or its
// place.
//
// It belongs to the actor that made it, inside whose methods it may be used.
// When that actor stops or restarts, the children handle what is queued and
// buffered for them, then stop.
type Children struct {
	host    *host
	options ChildrenOptions
	living  offspring
	closing bool
	next    *Children // of the same actor
}

// child is one that lives. Times are since the system began.
type child struct {
	name     string
	mailbox  *guardedMailbox
	used     bool // since the last sweep
	stopping bool
	swept    bool          // told is set
	since    time.Duration // the first sweep after its last message
	told     time.Duration // the last sweep that was passed on, or the first of its life
	buffer   []any
}

// NewChildren returns the children of one kind of the actor that is called with
// ctx, usually in its Start. Names are unique among all children of an actor.
func NewChildren(ctx *Context, options ChildrenOptions) *Children {
	family := &Children{host: ctx.host, options: options}
	last := &ctx.host.family
	for *last != nil {
		last = &(*last).next
	}
	*last = family
	return family
}

// Tell gives message to the child of that name, starting it if need be, or
// keeps it while the child is stopping. A message that cannot be given or kept
// is answered by its Fail.
func (f *Children) Tell(name string, message any) {
	mustBeMessage(message)
	if c := f.living.find(name); c != nil {
		f.give(c, message)
		return
	}
	f.begin(name, message)
}

// TellNamed is Tell for whoever has the name as bytes; they are not kept.
func (f *Children) TellNamed(name []byte, message any) {
	mustBeMessage(message)
	if c := f.living.findBytes(name); c != nil {
		f.give(c, message)
		return
	}
	f.begin(string(name), message)
}

func (f *Children) give(c *child, message any) {
	if !c.stopping {
		c.used = true
		c.mailbox.PostUserMessage(message)
		return
	}
	if len(c.buffer) >= f.options.Buffer {
		f.host.system().undelivered(message, &OverloadedError{Limit: "passivation buffer", Max: f.options.Buffer})
		return
	}
	c.buffer = append(c.buffer, message)
}

// TellAll gives message to every child that lives and is not stopping; nobody
// is started for it. It must need no answer.
func (f *Children) TellAll(message any) {
	mustBeMessage(message)
	for c := range f.living.all {
		if !c.stopping {
			c.mailbox.PostUserMessage(message)
		}
	}
}

// Passivate stops the child of that name once it has handled what it has. It
// does nothing if there is none or it is stopping already.
func (f *Children) Passivate(name string) {
	if c := f.living.find(name); c != nil {
		f.stop(c)
	}
}

// PassivateAll is Passivate for all of them.
func (f *Children) PassivateAll() {
	for c := range f.living.all {
		f.stop(c)
	}
}

// Len returns how many children live, those that are stopping included.
func (f *Children) Len() int { return f.living.len() }

// begin starts the child and gives it its first messages.
func (f *Children) begin(name string, messages ...any) {
	mailbox, err := f.host.system().spawn(f.host.mailbox.owner, name, f)
	if err != nil {
		err = fmt.Errorf("actors: child %s of %s: %w", name, f.host.name(), err)
		for _, message := range messages {
			f.host.system().undelivered(message, err)
		}
		return
	}
	name, _ = nameBelow(f.host.name(), mailbox.name()) // the same, of which one is kept
	c := &child{name: name, mailbox: mailbox, used: true}
	f.living.add(c)
	for _, message := range messages {
		mailbox.PostUserMessage(message)
	}
	if f.closing {
		// The parent waits for its last child before it stops itself.
		f.stop(c)
	}
}

// incarnate implements origin. It runs on the child's goroutine.
func (f *Children) incarnate(name string) Actor {
	name, _ = nameBelow(f.host.name(), name)
	return f.options.New(name)
}

// over implements origin. The parent hears of it as a Terminated.
func (*Children) over(error) {}

func (f *Children) stop(c *child) {
	if !c.stopping {
		c.stopping = true
		c.mailbox.stop()
	}
}

// close stops all children, now and from now on. protoactor would do it too,
// but behind the back of the buffers.
func (f *Children) close() {
	f.closing = true
	for c := range f.living.all {
		f.stop(c)
	}
}

// terminated hears that a child has stopped, perhaps not one of these. What was
// buffered for it goes to its next life, in order.
func (f *Children) terminated(who *actor.PID) {
	c := f.find(who)
	if c == nil {
		return
	}
	f.living.remove(c)
	if len(c.buffer) > 0 {
		f.begin(c.name, c.buffer...)
	}
}

// find gives the child that lives, nil if it is none of these.
func (f *Children) find(who *actor.PID) *child {
	name, ours := nameBelow(f.host.name(), who.Id)
	if !ours {
		return nil
	}
	return f.living.find(name)
}

// nameBelow is a child's own name, without that of its parent before it.
func nameBelow(parent, child string) (name string, ours bool) {
	name, ours = strings.CutPrefix(child, parent)
	if !ours || name == "" || name[0] != '/' {
		return "", false
	}
	return name[1:], true
}

// sweep passivates the children that were idle for long enough and passes the tick to
// those others that want it. Time is only taken from sweeps: a child counts as used
// until the first sweep after its last message.
func (f *Children) sweep(at time.Time, tick any) {
	now := at.Sub(f.host.system().began)
	for c := range f.living.all {
		if c.stopping {
			continue
		}
		switch {
		case c.used, f.options.InUse != nil && f.options.InUse():
			c.used, c.since = false, now
		case f.options.IdleAfter > 0 && now-c.since >= f.options.IdleAfter:
			f.stop(c)
			continue
		}
		if f.wants(c, now) {
			c.told, c.swept = now, true
			c.mailbox.PostUserMessage(tick)
		}
	}
}

// wants tells whether a child is to have this tick.
func (f *Children) wants(c *child, now time.Duration) bool {
	switch heed(c.mailbox.heeded.Load()) {
	case heedsAll:
		return true
	case heedsSome:
		if !c.swept {
			c.told, c.swept = now, true
			return false // it has just started
		}
		return (now - c.told).Abs() >= f.options.IdleAfter/4
	default:
		return false
	}
}
