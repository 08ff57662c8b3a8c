package actors

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSweepPassivatesIdleChildrenOnly(t *testing.T) {
	const idleAfter = time.Minute
	begin := time.Unix(1_700_000_000, 0)
	system := newTestSystem(t, Options{})
	ref := spawn(t, system, "parent", func() Actor {
		return parentProbe(ChildrenOptions{IdleAfter: idleAfter, Buffer: 1, New: func(string) Actor { return echoProbe() }})
	})
	steps := []struct {
		at   time.Duration
		use  []string // before the sweep
		want string   // living and not stopping after it
	}{
		{at: 0, use: []string{"busy", "idle"}, want: "[busy idle]"},
		{at: 10 * time.Second, want: "[busy idle]"},
		{at: 59 * time.Second, use: []string{"busy"}, want: "[busy idle]"},
		{at: 60 * time.Second, want: "[busy]"},
		{at: 61 * time.Second, use: []string{"idle"}, want: "[busy idle]"},
		{at: -time.Hour, want: "[busy idle]"}, // T08: a clock that goes back ends nothing early
		{at: 118 * time.Second, want: "[busy idle]"},
		{at: 119 * time.Second, want: "[idle]"},
		{at: time.Hour, want: "[]"},
	}
	for i, step := range steps {
		for _, child := range step.use {
			if _, err := Ask(t.Context(), ref, func(r Reply[int]) any { return route{child, ping{Reply: r}} }); err != nil {
				t.Fatal(err)
			}
		}
		system.Sweep(begin.Add(step.at))
		if got := livingBelow(t, ref); got != step.want {
			t.Errorf("step %d: living %s, want %s", i, got, step.want)
		}
	}
}

// A child is in use for as long as its family says so, and its time begins after that.
func TestSweepPassivatesNobodyInUse(t *testing.T) {
	const idleAfter = time.Minute
	begin := time.Unix(1_700_000_000, 0)
	system := newTestSystem(t, Options{})
	var inUse atomic.Bool
	ref := spawn(t, system, "parent", func() Actor {
		return parentProbe(ChildrenOptions{IdleAfter: idleAfter, InUse: inUse.Load, New: func(string) Actor { return echoProbe() }})
	})
	if _, err := Ask(t.Context(), ref, func(r Reply[int]) any { return route{"child", ping{Reply: r}} }); err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		at    time.Duration
		inUse bool
		want  string // living and not stopping after it
	}{
		{0, true, "[child]"},
		{time.Minute, true, "[child]"},
		{time.Hour, true, "[child]"},
		{time.Hour + 59*time.Second, false, "[child]"},
		{time.Hour + 60*time.Second, false, "[]"},
	} {
		inUse.Store(step.inUse)
		system.Sweep(begin.Add(step.at))
		if got := livingBelow(t, ref); got != step.want {
			t.Errorf("step %d: living %s, want %s", i, got, step.want)
		}
	}
}

func TestSweepReachesChildrenAndDoesNotPileUp(t *testing.T) {
	begin := time.Unix(1_700_000_000, 0)
	system := newTestSystem(t, Options{})
	var seen atomic.Int64
	hold, held := make(chan struct{}), make(chan struct{}, 1)
	ref := spawn(t, system, "parent", func() Actor {
		return parentProbe(ChildrenOptions{New: func(string) Actor {
			return &probe{receive: func(_ *Context, message any) error {
				switch m := message.(type) {
				case Sweep:
					if m.Now.Before(begin) {
						t.Errorf("swept at %v", m.Now)
					}
					seen.Add(1)
				case ping:
					if m.number < 0 {
						held <- struct{}{}
						<-hold
					}
					m.Send(m.number)
				}
				return nil
			}}
		}})
	})
	tell := func(number int) *answers {
		var a answers
		ref.Tell(route{"child", ping{Reply: a.reply(), number: number}})
		return &a
	}
	stalled := tell(-1)
	<-held
	for i := range 1000 {
		system.Sweep(begin.Add(time.Duration(i)))
		reach(t, ref)
	}
	close(hold)
	stalled.all(t)
	tell(1).all(t)
	if got := seen.Load(); got != 1 {
		t.Errorf("%d sweeps waited in a stalled mailbox, want 1", got)
	}
	system.Sweep(begin)
	reach(t, ref)
	tell(2).all(t)
	if got := seen.Load(); got != 2 {
		t.Errorf("%d sweeps seen, want 2", got)
	}
}

func TestTickSweepsAtItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system := NewSystem(Options{SweepEvery: time.Minute})
		begin := time.Now()
		var at []time.Duration
		spawn(t, system, "actor", func() Actor {
			return &probe{receive: func(_ *Context, message any) error {
				at = append(at, message.(Sweep).Now.Sub(begin))
				return nil
			}}
		})
		time.Sleep(3*time.Minute + time.Second)
		shutdownBubble(t, system)
		time.Sleep(time.Hour)
		if got, want := fmt.Sprint(at), "[1m0s 2m0s 3m0s]"; got != want {
			t.Errorf("swept at %s, want %s", got, want)
		}
	})
}

// unmoved is an Actor that does nothing with a Sweep.
type unmoved struct {
	start   func(*Context) error
	receive func(*Context, any) error
}

func (u *unmoved) Start(ctx *Context) error {
	if u.start == nil {
		return nil
	}
	return u.start(ctx)
}

func (u *unmoved) Receive(ctx *Context, message any) error { return u.receive(ctx, message) }

// A restless child gets each tick, also when only its start has made it restless; one
// that has nothing to do at the moment, or is a parent, a tick each quarter of IdleAfter;
// one that never does anything with a tick gets none.
func TestChildrenGetTheTicksTheyWant(t *testing.T) {
	const every, idleAfter, sweeps = 5 * time.Second, 100 * time.Second, 20
	begin := time.Unix(1_700_000_000, 0)
	system := newTestSystem(t, Options{})
	var counts struct{ never, parent, calm, eager, moody, failed atomic.Int64 }
	count := func(seen *atomic.Int64, then func(*Context, any) error) func(*Context, any) error {
		return func(ctx *Context, message any) error {
			if _, ok := message.(Sweep); ok {
				seen.Add(1)
			}
			return then(ctx, message)
		}
	}
	var broken atomic.Bool
	kinds := map[string]func() Actor{
		"never": func() Actor { return &unmoved{receive: count(&counts.never, echo)} },
		"parent": func() Actor {
			return &unmoved{receive: count(&counts.parent, echo), start: func(ctx *Context) error {
				NewChildren(ctx, ChildrenOptions{New: func(string) Actor { return echoProbe() }})
				return nil
			}}
		},
		"calm": func() Actor {
			return &probe{receive: count(&counts.calm, echo), restless: func() bool { return false }}
		},
		"eager": func() Actor { return &probe{receive: count(&counts.eager, echo)} },
		"moody": func() Actor {
			restless := false
			return &probe{restless: func() bool { return restless }, receive: count(&counts.moody, func(ctx *Context, message any) error {
				if m, ok := message.(ping); ok {
					restless = m.number == 1
				}
				return echo(ctx, message)
			})}
		},
		"failed": func() Actor { // panics once, and is restless from its next start on
			second := broken.Load()
			return &probe{restless: func() bool { return second }, receive: count(&counts.failed, func(ctx *Context, message any) error {
				if _, ok := message.(poison); ok {
					broken.Store(true)
				}
				return echo(ctx, message)
			})}
		},
	}
	ref := spawn(t, system, "parent", func() Actor {
		return parentProbe(ChildrenOptions{Buffer: 1, IdleAfter: idleAfter, New: func(name string) Actor { return kinds[name]() }})
	})
	tell := func(name string, number int) {
		t.Helper()
		if _, err := Ask(t.Context(), ref, func(r Reply[int]) any { return route{name, ping{Reply: r, number: number}} }); err != nil {
			t.Fatal(err)
		}
	}
	now := begin
	sweep := func() {
		now = now.Add(every)
		system.Sweep(now)
		reach(t, ref)
	}
	for name := range kinds {
		tell(name, 0)
	}
	_, err := Ask(t.Context(), ref, func(r Reply[int]) any { return route{"failed", poison{Reply: r}} })
	if err == nil {
		t.Fatal("poison did no harm")
	}
	// What a child wants is noted after it has answered: before its next answer.
	settle := func(name string, number int) {
		t.Helper()
		tell(name, number)
		tell(name, number)
	}
	settle("failed", 0)
	settle("moody", 1)
	await := func(seen *atomic.Int64, want int64) {
		t.Helper()
		for end := time.Now().Add(patience); seen.Load() < want && time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		}
		if got := seen.Load(); got != want {
			t.Errorf("%d ticks, want %d", got, want)
		}
	}
	for n := range sweeps {
		if n == 10 {
			settle("moody", 0)
		}
		sweep()
		// Each handles a tick before the next one, which it would have to share.
		await(&counts.eager, int64(n+1))
		await(&counts.moody, int64(min(n+1, 10)+max(0, n+1-10)/5))
		await(&counts.failed, int64(n+1))
		await(&counts.calm, int64(n/5))
		await(&counts.parent, int64(n/5))
	}
	await(&counts.never, 0)
}

// livingBelow lists the children of a parentProbe that live and are not stopping.
func livingBelow(t *testing.T, parent Ref) string {
	t.Helper()
	names, err := Ask(t.Context(), parent, func(r Reply[[]string]) any { return list{r} })
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(names)
}
