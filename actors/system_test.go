package actors

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestSpawnRefusesATakenName(t *testing.T) {
	system := newTestSystem(t, Options{})
	ref := spawn(t, system, "identity", echoProbe)
	if _, err := system.Spawn("identity", echoProbe); !errors.Is(err, ErrNameTaken) {
		t.Errorf("got %v, want ErrNameTaken", err)
	}
	if _, err := system.Spawn("deadletter", echoProbe); !errors.Is(err, ErrNameTaken) {
		t.Errorf("a name of the runtime: got %v, want ErrNameTaken", err)
	}
	for range 100 {
		if err := system.Stop(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		ref = spawn(t, system, "identity", echoProbe)
		mustAsk(t, ref, 1)
	}
	shutdown(t, system)
	if _, err := system.Spawn("identity", echoProbe); !errors.Is(err, ErrStopped) {
		t.Errorf("after shutdown: got %v, want ErrStopped", err)
	}
	if err := system.Stop(t.Context(), ref); err != nil {
		t.Errorf("stopping what is gone: %v", err)
	}
}

func TestTellRefusesNil(t *testing.T) {
	system := newTestSystem(t, Options{})
	ref := spawn(t, system, "echo", echoProbe)
	defer func() {
		if recover() == nil {
			t.Error("nil was taken")
		}
		mustAsk(t, ref, 1)
	}()
	ref.Tell(nil)
}

// T16: everything told before the shutdown is handled, and no goroutine stays.
func TestShutdownDrainsAndLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	const identities, messages = 50, 100
	system := NewSystem(Options{SweepEvery: time.Millisecond})
	var results answers
	var closed atomic.Int64
	for i := range identities {
		ref := spawn(t, system, fmt.Sprint("identity", i), func() Actor {
			return parentProbe(ChildrenOptions{Buffer: messages, IdleAfter: 5 * time.Millisecond, New: func(string) Actor {
				return &probe{receive: echo, closed: func() { closed.Add(1) }}
			}})
		})
		for n := range messages {
			ref.Tell(route{fmt.Sprint("contact", n%7), ping{Reply: results.reply(), number: n}})
		}
	}
	shutdown(t, system)
	shutdown(t, system) // again does nothing
	values, errs := results.all(t)
	if len(values) != identities*messages || len(errs) != 0 {
		t.Errorf("%d of %d handled, refused: %v", len(values), identities*messages, errs)
	}
	if closed.Load() < identities*7 {
		t.Errorf("%d children closed, want %d at least", closed.Load(), identities*7)
	}
	letGo(before)
	goleak.VerifyNone(t, before)
}

func TestShutdownWaitsForWorkInFlightOrItsContext(t *testing.T) {
	type committed struct{}
	system := NewSystem(Options{})
	var drained atomic.Bool
	ref := spawn(t, system, "session", func() Actor {
		return &probe{
			drained: drained.Load,
			receive: func(_ *Context, message any) error {
				if _, ok := message.(committed); ok {
					drained.Store(true)
					return nil
				}
				return echo(nil, message)
			},
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := system.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want the error of the context", err)
	}
	mustAsk(t, ref, 1) // until then it goes on
	ref.Tell(committed{})
	shutdown(t, system)
	if _, err := ask(t, ref, 2); !errors.Is(err, ErrStopped) {
		t.Errorf("after shutdown: got %v, want ErrStopped", err)
	}
}

func TestPanicWhileStoppingDoesNotKeepTheActor(t *testing.T) {
	tests := []struct {
		name  string
		actor *probe
	}{
		{"close", &probe{closed: func() { panic("close") }}},
		{"drained", &probe{drained: func() bool { panic("drained") }}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			system := newTestSystem(t, Options{})
			ref := spawn(t, system, "session", func() Actor { return test.actor })
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := system.Stop(ctx, ref); err != nil {
				t.Error(err)
			}
		})
	}
}
