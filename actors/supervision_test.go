package actors

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// T11: 50 poison messages among 10,000 good ones. All good ones are handled,
// each poison is answered and recorded, and the actor lives.
func TestPoisonMessagesCostOnlyThemselves(t *testing.T) {
	const good, poisons = 10_000, 50
	var quarantined, incarnations, closed atomic.Int64
	system := newTestSystem(t, Options{OnQuarantine: func(Quarantined) { quarantined.Add(1) }})
	ref := spawn(t, system, "session", func() Actor {
		incarnations.Add(1)
		return &probe{receive: echo, closed: func() { closed.Add(1) }}
	})
	var results answers
	for i := range good {
		ref.Tell(ping{Reply: results.reply(), number: i})
		if i%(good/poisons) == 7 {
			ref.Tell(poison{Reply: results.reply()})
		}
	}
	values, errs := results.all(t)
	if len(values) != good {
		t.Errorf("%d good messages handled, want %d", len(values), good)
	}
	for i, v := range values {
		if v != i {
			t.Fatalf("message %d was handled at place %d", v, i)
		}
	}
	for _, err := range errs {
		if !errors.Is(err, ErrQuarantined) {
			t.Errorf("got %v, want ErrQuarantined", err)
		}
	}
	mustAsk(t, ref, 1)
	if len(errs) != poisons || quarantined.Load() != poisons || incarnations.Load() != poisons+1 || closed.Load() != poisons {
		t.Errorf("refused %d, recorded %d, incarnations %d, closed %d", len(errs), quarantined.Load(), incarnations.Load(), closed.Load())
	}
}

func TestReceiveErrorRestartsFromTheStore(t *testing.T) {
	system := newTestSystem(t, Options{})
	broken := errors.New("commit failed")
	var stored atomic.Int64
	ref := spawn(t, system, "session", func() Actor {
		inMemory := 0
		return &probe{
			start: func(*Context) error {
				inMemory = int(stored.Load())
				return nil
			},
			receive: func(_ *Context, message any) error {
				inMemory++
				m := message.(ping)
				if m.number < 0 {
					return broken
				}
				stored.Store(int64(inMemory))
				m.Send(inMemory)
				return nil
			},
		}
	})
	for i, want := range []int{1, 2, -1, 3} {
		got, err := ask(t, ref, want)
		switch {
		case want < 0:
			if !errors.Is(err, broken) {
				t.Errorf("message %d: got %v, want the actor's error", i, err)
			}
		case err != nil || got != want:
			t.Errorf("message %d: got %d, %v; want %d", i, got, err, want)
		}
	}
}

func TestBackoffDelayDoublesUpToItsCap(t *testing.T) {
	tests := []struct {
		attempt  int
		low, top time.Duration
	}{
		{1, 50 * time.Millisecond, 100 * time.Millisecond},
		{2, 100 * time.Millisecond, 200 * time.Millisecond},
		{5, 800 * time.Millisecond, 1600 * time.Millisecond},
		{10, 15 * time.Second, 30 * time.Second},
		{10_000, 15 * time.Second, 30 * time.Second},
	}
	for _, test := range tests {
		for _, random := range []float64{0, 0.25, 0.5, 1} {
			b := Backoff{Random: func() float64 { return random }}.withDefaults()
			want := test.low + time.Duration(random*float64(test.top-test.low))
			if got := b.delay(test.attempt); got != want {
				t.Errorf("attempt %d, random %v: got %v, want %v", test.attempt, random, got, want)
			}
		}
	}
}

func TestFailingStartBacksOffAndKeepsTheQueue(t *testing.T) {
	for _, failing := range []struct {
		name string
		fail func() error
	}{
		{"error", func() error { return errors.New("store is closed") }},
		{"panic", func() error { panic("store is closed") }},
	} {
		t.Run(failing.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				system := NewSystem(Options{Backoff: Backoff{
					First: time.Second, Max: 4 * time.Second, Random: func() float64 { return 0 },
				}})
				defer shutdownBubble(t, system)
				begin := time.Now()
				var starts []time.Duration
				ref := spawn(t, system, "session", func() Actor {
					return &probe{
						start: func(*Context) error {
							starts = append(starts, time.Since(begin))
							if len(starts) <= 5 {
								return failing.fail()
							}
							return nil
						},
						receive: echo,
					}
				})
				mustAsk(t, ref, 1)
				want := "[0s 500ms 1.5s 3.5s 5.5s 7.5s]"
				if got := fmt.Sprint(starts); got != want {
					t.Errorf("starts at %s, want %s", got, want)
				}
				// A success forgets the failures before it.
				begin, starts = time.Now(), starts[:4]
				if _, err := Ask(t.Context(), ref, func(r Reply[int]) any { return poison{Reply: r} }); !errors.Is(err, ErrQuarantined) {
					t.Errorf("got %v", err)
				}
				mustAsk(t, ref, 2)
				if got, want := fmt.Sprint(starts[4:]), "[0s 500ms]"; got != want {
					t.Errorf("starts after a success at %s, want %s", got, want)
				}
			})
		})
	}
}

func TestStopOvertakesBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system := NewSystem(Options{Backoff: Backoff{First: time.Hour, Max: time.Hour}})
		defer shutdownBubble(t, system)
		var starts, closed atomic.Int64
		ref := spawn(t, system, "session", func() Actor {
			return &probe{
				start:  func(*Context) error { starts.Add(1); return errors.New("no store") },
				closed: func() { closed.Add(1) },
			}
		})
		var results answers
		ref.Tell(ping{Reply: results.reply()})
		synctest.Wait()
		if err := system.Stop(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if _, errs := results.all(t); len(errs) != 1 || !errors.Is(errs[0], ErrStopped) {
			t.Errorf("queued message: got %v, want ErrStopped", errs)
		}
		// The restart that was scheduled must not hit the next actor of the name.
		next := spawn(t, system, "session", func() Actor {
			return &probe{start: func(*Context) error { starts.Add(100); return nil }, receive: echo}
		})
		time.Sleep(2 * time.Hour)
		mustAsk(t, next, 1)
		if starts.Load() != 101 || closed.Load() != 1 {
			t.Errorf("starts %d, closed %d", starts.Load(), closed.Load())
		}
	})
}

func TestCorruptStateStopsWithoutALoop(t *testing.T) {
	for _, where := range []string{"start", "receive"} {
		t.Run(where, func(t *testing.T) {
			var starts atomic.Int64
			reports := make(chan error, 4)
			system := newTestSystem(t, Options{OnCorrupt: func(_ string, cause error) { reports <- cause }})
			ref := spawn(t, system, "parent", func() Actor {
				var children *Children
				return &probe{
					start: func(ctx *Context) error {
						children = NewChildren(ctx, ChildrenOptions{New: func(string) Actor {
							corrupt := fmt.Errorf("record 7: %w", ErrCorruptState)
							return &probe{
								start: func(*Context) error {
									starts.Add(1)
									if where == "start" {
										return corrupt
									}
									return nil
								},
								receive: func(*Context, any) error { return corrupt },
							}
						}})
						return nil
					},
					receive: func(_ *Context, message any) error {
						children.Tell("child", message)
						return nil
					},
				}
			})
			_, err := ask(t, ref, 1)
			if !errors.Is(err, ErrCorruptState) && !errors.Is(err, ErrStopped) {
				t.Errorf("got %v", err)
			}
			select {
			case cause := <-reports:
				if !errors.Is(cause, ErrCorruptState) {
					t.Errorf("reported %v", cause)
				}
			case <-time.After(patience):
				t.Fatal("no report")
			}
			if got := starts.Load(); got != 1 {
				t.Errorf("started %d times for one message", got)
			}
		})
	}
}

// The pinned protoactor revives an actor whose Restart arrives after its Stop.
// Two owners of one session would be the end of rule 5.
func TestStoppedActorIsNotRevivedByARestartUnderWay(t *testing.T) {
	system := newTestSystem(t, Options{})
	for i := range 500 {
		var living atomic.Int64
		create := func() Actor {
			return &probe{
				start:   func(*Context) error { living.Add(1); return nil },
				receive: echo,
				closed:  func() { living.Add(-1) },
			}
		}
		ref := spawn(t, system, "session", create)
		var results answers
		for n := range 6 {
			ref.Tell(poison{Reply: results.reply()})
			ref.Tell(ping{Reply: results.reply(), number: n})
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := system.Stop(ctx, ref)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		values, errs := results.all(t)
		if len(values) != 6 || living.Load() != 0 {
			t.Fatalf("round %d: %d of 6 messages before the stop handled, %d incarnations live, refused: %v", i, len(values), living.Load(), errs)
		}
	}
}
