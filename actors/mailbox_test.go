package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// fakeOwner stands in for protoactor's actor context: of an actor that fails at an error
// and has a new incarnation at each Restart.
type fakeOwner struct {
	actor.Context
	mailbox   *guardedMailbox
	host      *host
	onMessage func(message any) // nil: nothing happens
	quiet     bool              // neither is anything noted
	invoked   []string
}

func (f *fakeOwner) note(format string, message any) {
	if f.quiet {
		return
	}
	f.invoked = append(f.invoked, fmt.Sprintf(format, message))
	if f.onMessage != nil {
		f.onMessage(message)
	}
}

func (f *fakeOwner) Actor() actor.Actor { return f.host }

func (f *fakeOwner) Self() *actor.PID { return actor.NewPID("here", "fake") }

// incarnate makes an incarnation that has started.
func (f *fakeOwner) incarnate() {
	h := &host{mailbox: f.mailbox, started: true}
	h.ctx.host = h
	h.actor = &probe{receive: func(_ *Context, message any) error {
		f.note("%v", message)
		cause, _ := message.(error)
		return cause
	}}
	f.host = h
}

// InvokeUserMessage is what no message takes the way through.
func (f *fakeOwner) InvokeUserMessage(message any) { f.note("protoactor: %v", message) }

func (f *fakeOwner) InvokeSystemMessage(message any) {
	f.note("%T", message)
	switch message.(type) {
	case *actor.Restart:
		f.incarnate()
		f.mailbox.PostSystemMessage(&actor.ResumeMailbox{})
	case *actor.Stop:
		f.host.stopped = true
	}
}

func (f *fakeOwner) EscalateFailure(any, any) {
	f.invoked = append(f.invoked, "escalate")
	f.mailbox.PostSystemMessage(&actor.SuspendMailbox{})
}

// newFakeMailbox is run by the test, with runScheduled.
func newFakeMailbox() (*guardedMailbox, *fakeOwner) {
	system := &System{dispatcher: &dispatcher{watching: true}, logger: slog.New(slog.DiscardHandler)}
	mailbox := newGuardedMailbox(system, nil)
	owner := &fakeOwner{mailbox: mailbox}
	owner.incarnate()
	mailbox.RegisterHandlers(owner, nil)
	mailbox.PostSystemMessage(&actor.Started{})
	mailbox.Start()
	runScheduled(mailbox)
	return mailbox, owner
}

// runScheduled runs a mailbox if it is scheduled, and gives how often it is.
func runScheduled(mailbox *guardedMailbox) (times int) {
	d := mailbox.system.dispatcher
	for next := d.take(); next != nil; next = d.take() {
		times++
		next.run()
	}
	return times
}

func TestFailedIncarnationGetsNoFurtherMessage(t *testing.T) {
	mailbox, owner := newFakeMailbox()
	mailbox.PostUserMessage("one")
	mailbox.PostUserMessage(errors.New("commit failed"))
	mailbox.PostUserMessage("two")
	runScheduled(mailbox)
	mailbox.PostUserMessage("three")
	mailbox.PostSystemMessage(&actor.Watch{})
	runScheduled(mailbox)
	if got, want := mailbox.UserMessageCount(), 2; got != want {
		t.Errorf("%d wait for the next incarnation, want %d", got, want)
	}
	mailbox.PostSystemMessage(&actor.Restart{})
	mailbox.PostSystemMessage(&actor.Restart{}) // nobody has failed since
	mailbox.PostUserMessage("four")
	runScheduled(mailbox)
	want := "[*actor.Started one commit failed escalate *actor.Watch *actor.Restart two three four]"
	if got := fmt.Sprint(owner.invoked); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWaitingMessagesAreRefusedWhenAFailedActorStops(t *testing.T) {
	mailbox, owner := newFakeMailbox()
	mailbox.PostUserMessage(fmt.Errorf("record 7: %w", ErrCorruptState))
	var early, late answers
	mailbox.PostUserMessage(ping{Reply: early.reply()})
	runScheduled(mailbox)
	mailbox.PostSystemMessage(&actor.Stop{})
	mailbox.PostSystemMessage(&actor.Restart{}) // overtaken by the stop
	runScheduled(mailbox)
	mailbox.PostUserMessage(ping{Reply: late.reply()})
	runScheduled(mailbox)
	for _, a := range []*answers{&early, &late} {
		if _, errs := a.all(t); len(errs) != 1 || !errors.Is(errs[0], ErrStopped) || !errors.Is(errs[0], ErrCorruptState) {
			t.Errorf("got %v, want ErrStopped because of ErrCorruptState", errs)
		}
	}
	if got, want := fmt.Sprint(owner.invoked[2:]), "[escalate *actor.Stop]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestStartFailingWhileDrainingEndsTheStop(t *testing.T) {
	system := newTestSystem(t, Options{Backoff: Backoff{First: time.Hour, Max: time.Hour}})
	hold, held := make(chan struct{}), make(chan struct{})
	starts := 0
	ref := spawn(t, system, "session", func() Actor {
		return &probe{
			start: func(*Context) error {
				if starts++; starts > 1 {
					return errors.New("store is closed")
				}
				return nil
			},
			receive: func(ctx *Context, message any) error {
				if m, ok := message.(ping); ok && m.number == 1 {
					close(held)
					<-hold
				}
				return echo(ctx, message)
			},
		}
	})
	var results answers
	ref.Tell(ping{Reply: results.reply(), number: 1})
	<-held
	ref.Tell(poison{Reply: results.reply()})
	ref.Tell(ping{Reply: results.reply(), number: 2})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if err := system.Stop(ctx, ref); err != nil {
			t.Error(err)
		}
	}()
	close(hold)
	await(t, stopped, "the stop")
	values, errs := results.all(t)
	if fmt.Sprint(values) != "[1]" || len(errs) != 2 || !errors.Is(errs[0], ErrQuarantined) || !errors.Is(errs[1], ErrStopped) {
		t.Errorf("got %v, %v", values, errs)
	}
}

// Whoever holds the name of an actor that was stopped may tell to it at the
// very moment it is spawned again.
func TestTellingANameWhileItIsSpawnedAgain(t *testing.T) {
	system := newTestSystem(t, Options{})
	first := spawn(t, system, "session", echoProbe)
	last := first
	over := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if got, err := ask(t, first, 1); err == nil && got != 1 || err != nil && !errors.Is(err, ErrStopped) {
					t.Errorf("got %d, %v", got, err)
				}
			}
		})
	}
	for range 3000 {
		if err := system.Stop(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		last = spawn(t, system, "session", echoProbe)
	}
	close(over)
	wg.Wait()
}

// A parent that fails while it waits for its last child has no next
// incarnation: what still comes is refused, and it stops.
func TestFailureWhileStoppingRefusesTheRest(t *testing.T) {
	system := newTestSystem(t, Options{})
	release, draining := make(chan struct{}), make(chan struct{})
	drain := sync.OnceFunc(func() { close(draining) })
	var results answers
	starts := 0
	ref := spawn(t, system, "parent", func() Actor {
		var children *Children
		return &probe{
			start: func(ctx *Context) error {
				starts++
				children = NewChildren(ctx, ChildrenOptions{New: func(string) Actor {
					return &probe{receive: func(_ *Context, message any) error {
						m := message.(forward)
						<-release
						m.back.Tell(poison{Reply: results.reply()})
						m.back.Tell(m.ping)
						return nil
					}}
				}})
				return nil
			},
			drained: func() bool { drain(); return true }, // the last thing asked before it stops
			receive: func(ctx *Context, message any) error {
				if m, ok := message.(route); ok {
					children.Tell(m.child, m.message)
					return nil
				}
				return echo(ctx, message)
			},
		}
	})
	ref.Tell(route{"child", forward{ping{Reply: results.reply()}, ref}})
	stopping, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := system.Stop(stopping, ref); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("stopped without its child: %v", err)
	}
	await(t, draining, "the stop")
	close(release)
	shutdown(t, system)
	values, errs := results.all(t)
	if len(values) != 0 || len(errs) != 2 || !errors.Is(errs[0], ErrQuarantined) || !errors.Is(errs[1], ErrStopped) || starts != 1 {
		t.Errorf("got %v, %v; starts %d", values, errs, starts)
	}
}
