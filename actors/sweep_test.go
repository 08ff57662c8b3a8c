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
		names, err := Ask(t.Context(), ref, func(r Reply[[]string]) any { return list{r} })
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(names); got != step.want {
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
