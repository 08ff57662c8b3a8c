package actors

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// fakeOwner stands in for protoactor's actor context.
type fakeOwner struct {
	actor.Context
	host    *host
	invoked []string
}

func (f *fakeOwner) Actor() actor.Actor { return f.host }

func (f *fakeOwner) InvokeUserMessage(message any) {
	f.invoked = append(f.invoked, fmt.Sprint(message))
}

func (f *fakeOwner) InvokeSystemMessage(message any) {
	f.invoked = append(f.invoked, fmt.Sprintf("%T", message))
	switch message.(type) {
	case *actor.Restart:
		f.host = &host{system: f.host.system, started: true}
	case *actor.Stop:
		f.host.stopped = true
	}
}

func (f *fakeOwner) EscalateFailure(any, any) { f.invoked = append(f.invoked, "escalate") }

// idleDispatcher never runs the mailbox: the test does.
type idleDispatcher struct{}

func (idleDispatcher) Schedule(func()) {}
func (idleDispatcher) Throughput() int { return 1 }

func newFakeMailbox(t *testing.T) (*guardedMailbox, *fakeOwner) {
	system := newTestSystem(t, Options{})
	owner := &fakeOwner{host: &host{system: system, started: true}}
	mailbox := newGuardedMailbox(system)
	mailbox.RegisterHandlers(owner, idleDispatcher{})
	mailbox.PostSystemMessage(&actor.Started{})
	return mailbox, owner
}

func TestFailedIncarnationGetsNoFurtherMessage(t *testing.T) {
	mailbox, owner := newFakeMailbox(t)
	mailbox.InvokeUserMessage("one")
	mailbox.EscalateFailure(failure{errors.New("commit failed")}, "one")
	mailbox.InvokeUserMessage("two")
	mailbox.InvokeUserMessage("three")
	mailbox.InvokeSystemMessage(&actor.Restart{})
	mailbox.InvokeSystemMessage(&actor.Restart{}) // nobody has failed since
	mailbox.InvokeUserMessage("four")
	want := "[one escalate *actor.Restart two three four]"
	if got := fmt.Sprint(owner.invoked); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPostponedMessagesAreRefusedWhenTheActorStops(t *testing.T) {
	mailbox, owner := newFakeMailbox(t)
	corrupt := fmt.Errorf("record 7: %w", ErrCorruptState)
	mailbox.EscalateFailure(failure{corrupt}, nil)
	var early, late answers
	mailbox.InvokeUserMessage(ping{Reply: early.reply()})
	mailbox.InvokeSystemMessage(&actor.Stop{})
	mailbox.InvokeSystemMessage(&actor.Restart{}) // overtaken by the stop
	mailbox.InvokeUserMessage(ping{Reply: late.reply()})
	for _, a := range []*answers{&early, &late} {
		if _, errs := a.all(t); len(errs) != 1 || !errors.Is(errs[0], ErrStopped) || !errors.Is(errs[0], ErrCorruptState) {
			t.Errorf("got %v, want ErrStopped because of ErrCorruptState", errs)
		}
	}
	if got, want := fmt.Sprint(owner.invoked), "[escalate *actor.Stop]"; got != want {
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
	stale := spawn(t, system, "session", echoProbe)
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
				ref := Ref{system: system, pid: system.proto.NewLocalPID("session")}
				if got, err := ask(t, ref, 1); err == nil && got != 1 || err != nil && !errors.Is(err, ErrStopped) {
					t.Errorf("got %d, %v", got, err)
				}
			}
		})
	}
	for range 3000 {
		if err := system.Stop(t.Context(), stale); err != nil {
			t.Fatal(err)
		}
		stale = spawn(t, system, "session", echoProbe)
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
