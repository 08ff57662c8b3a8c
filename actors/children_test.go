package actors

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// route tells a message to a child through its parent.
type route struct {
	child   string
	message any
}

// passivate has the parent passivate a child.
type passivate struct{ child string }

// list asks a parent for the children that live and are not stopping.
type list struct{ Reply[[]string] }

// parentProbe is a parent of children of one kind.
func parentProbe(options ChildrenOptions) Actor {
	var children *Children
	return &probe{
		start: func(ctx *Context) error {
			children = NewChildren(ctx, options)
			return nil
		},
		receive: func(_ *Context, message any) error {
			switch m := message.(type) {
			case route:
				children.Tell(m.child, m.message)
			case passivate:
				children.Passivate(m.child)
			case list:
				names := []string{}
				for c := range children.living.all {
					if !c.stopping {
						names = append(names, c.name)
					}
				}
				slices.Sort(names)
				m.Send(names)
			case ping:
				m.Send(children.Len())
			case poison:
				panic("poison")
			}
			return nil
		},
	}
}

func TestChildrenStartOnDemandUnderTheirName(t *testing.T) {
	system := newTestSystem(t, Options{})
	names := make(chan string, 4)
	ref := spawn(t, system, "parent", func() Actor {
		return parentProbe(ChildrenOptions{New: func(name string) Actor {
			return &probe{receive: func(ctx *Context, _ any) error {
				names <- name + " is " + ctx.Self().String()
				return nil
			}}
		}})
	})
	for _, child := range []string{"a", "b", "a"} {
		ref.Tell(route{child, struct{}{}})
		if got, want := <-names, child+" is parent/"+child; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got, err := ask(t, ref, 0); got != 2 || err != nil {
		t.Errorf("children: got %d, %v; want 2", got, err)
	}
}

func TestNamesOfTwoKindsOfChildrenMayNotMeet(t *testing.T) {
	system := newTestSystem(t, Options{})
	ref := spawn(t, system, "parent", func() Actor {
		var one, two *Children
		return &probe{
			start: func(ctx *Context) error {
				one = NewChildren(ctx, ChildrenOptions{New: func(string) Actor { return echoProbe() }})
				two = NewChildren(ctx, ChildrenOptions{New: func(string) Actor { return echoProbe() }})
				return nil
			},
			receive: func(_ *Context, message any) error {
				if message.(ping).number == 1 {
					one.Tell("same", message)
				} else {
					two.Tell("same", message)
				}
				return nil
			},
		}
	})
	mustAsk(t, ref, 1)
	if _, err := ask(t, ref, 2); !errors.Is(err, ErrNameTaken) {
		t.Errorf("got %v, want ErrNameTaken", err)
	}
	mustAsk(t, ref, 1)
}

func TestPassivationBufferIsBoundedAndReplayedInOrder(t *testing.T) {
	const buffer = 5
	system := newTestSystem(t, Options{})
	hold, held := make(chan struct{}), make(chan struct{}, 1)
	ref := spawn(t, system, "parent", func() Actor {
		return parentProbe(ChildrenOptions{Buffer: buffer, New: func(string) Actor {
			return &probe{receive: func(_ *Context, message any) error {
				if m := message.(ping); m.number < 0 {
					held <- struct{}{}
					<-hold
				}
				return echo(nil, message)
			}}
		}})
	})
	var results answers
	ref.Tell(route{"child", ping{Reply: results.reply(), number: -1}})
	<-held
	ref.Tell(route{"child", ping{Reply: results.reply(), number: 0}})
	ref.Tell(passivate{"child"})
	ref.Tell(passivate{"child"})
	var refused answers
	for n := range buffer + 3 {
		target := &results
		if n >= buffer {
			target = &refused
		}
		ref.Tell(route{"child", ping{Reply: target.reply(), number: n + 1}})
	}
	// The refusals come while the child is still held.
	_, errs := refused.all(t)
	for _, err := range errs {
		var overloaded *OverloadedError
		if !errors.As(err, &overloaded) || overloaded.Max != buffer {
			t.Errorf("got %v, want *OverloadedError of %d", err, buffer)
		}
	}
	if len(errs) != 3 {
		t.Errorf("%d refusals, want 3", len(errs))
	}
	close(hold)
	values, errs := results.all(t)
	if got, want := fmt.Sprint(values, errs), "[-1 0 1 2 3 4 5] []"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// T16: 1,000 passivations under traffic. Nothing is lost, nothing comes twice
// or out of order, and no two lives of one child overlap.
func TestPassivationUnderFireLosesNothing(t *testing.T) {
	const children, senders, window, cycles = 4, 4, 32, 1_000
	const probeOf = senders // the number by which the passivating goroutine asks
	seed := uint64(16)
	t.Logf("seed %d; repeat with: go test -race -count=1 -run TestPassivationUnderFireLosesNothing ./actors", seed)

	system := newTestSystem(t, Options{})
	var starts atomic.Int64
	var living [children]atomic.Int64
	next := [children][senders + 1]int{} // written by the living child only
	ref := spawn(t, system, "parent", func() Actor {
		return parentProbe(ChildrenOptions{Buffer: senders*window + 1, New: func(name string) Actor {
			id := int(name[0] - '0')
			return &probe{
				start: func(*Context) error {
					starts.Add(1)
					if n := living[id].Add(1); n != 1 {
						t.Errorf("child %d lives %d times", id, n)
					}
					return nil
				},
				closed: func() { living[id].Add(-1) },
				receive: func(_ *Context, message any) error {
					m := message.(ping)
					sender, n := m.number%(senders+1), m.number/(senders+1)
					if next[id][sender] != n {
						t.Errorf("child %d, sender %d: got message %d, want %d", id, sender, n, next[id][sender])
					}
					next[id][sender] = n + 1
					m.Send(m.number)
					return nil
				},
			}
		}})
	})

	var results answers
	var wg sync.WaitGroup
	var over atomic.Bool
	var told atomic.Int64
	for sender := range senders {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(sender)))
			underWay := make(chan struct{}, window)
			var sent [children]int
			for !over.Load() {
				underWay <- struct{}{}
				counted := results.reply()
				id := random.IntN(children)
				ref.Tell(route{fmt.Sprint(id), ping{number: sent[id]*(senders+1) + sender, Reply: ReplyFunc(func(n int, err error) {
					<-underWay
					counted.answer(outcome[int]{n, err})
				})}})
				sent[id]++
				told.Add(1)
			}
		})
	}
	for cycle := range cycles {
		child := fmt.Sprint(cycle % children)
		ref.Tell(passivate{child})
		_, err := Ask(t.Context(), ref, func(r Reply[int]) any {
			return route{child, ping{Reply: r, number: cycle/children*(senders+1) + probeOf}}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	over.Store(true)
	wg.Wait()
	values, errs := results.all(t)
	if len(errs) != 0 || len(values) != int(told.Load()) || system.Undelivered() != 0 {
		t.Errorf("%d of %d handled, %d undelivered, refused: %v", len(values), told.Load(), system.Undelivered(), errs)
	}
	// The first passivation of each child may find it not started yet.
	if got := starts.Load(); got < cycles {
		t.Errorf("%d starts, want %d at least", got, cycles)
	}
	t.Logf("%d starts, %d messages", starts.Load(), told.Load())
}

// forward asks a leaf to hand the ping back.
type forward struct {
	ping ping
	back Ref
}

// middleProbe passes its pings to leaves and answers them when they come back,
// a while after the leaf has done its part, as a commit would.
func middleProbe(buffer int) Actor {
	var children *Children
	var returned []ping
	underWay := 0
	type committed struct{}
	return &probe{
		start: func(ctx *Context) error {
			children = NewChildren(ctx, ChildrenOptions{Buffer: buffer, New: func(string) Actor {
				return &probe{receive: func(_ *Context, message any) error {
					if m, ok := message.(forward); ok {
						m.back.Tell(m)
					}
					return nil
				}}
			}})
			return nil
		},
		drained: func() bool { return underWay == 0 },
		receive: func(ctx *Context, message any) error {
			switch m := message.(type) {
			case ping:
				leaf := fmt.Sprint("leaf", m.number%3)
				children.Tell(leaf, forward{m, ctx.Self()})
				if m.number%10 == 0 {
					children.Passivate(leaf)
				}
			case forward:
				returned = append(returned, m.ping)
				if len(returned) == 1 {
					underWay++
					ctx.Self().Tell(committed{})
				}
			case committed:
				for _, p := range returned {
					p.Send(p.number)
				}
				returned = nil
				underWay--
			}
			return nil
		},
	}
}

// T16: a parent that stops takes along what it has passed to its children, what
// they answer while they stop, what is buffered for their next life, and its
// own work in flight.
func TestStoppingParentDrainsItsChildren(t *testing.T) {
	const messages = 100
	for round := range 100 {
		system := NewSystem(Options{})
		var results answers
		top := spawn(t, system, "top", func() Actor {
			return parentProbe(ChildrenOptions{Buffer: messages, New: func(string) Actor {
				return middleProbe(messages)
			}})
		})
		for n := range messages {
			top.Tell(route{"middle", ping{Reply: results.reply(), number: n}})
			if n == messages/2 {
				top.Tell(passivate{"middle"})
			}
		}
		shutdown(t, system)
		values, errs := results.all(t)
		if len(values) != messages || len(errs) != 0 {
			t.Fatalf("round %d: %d of %d answered, refused: %v", round, len(values), messages, errs)
		}
	}
}

// Rule 6: the panic of a parent costs one message, not what its children have
// queued or what is buffered for them.
func TestPanickingParentKeepsWhatItsChildrenHave(t *testing.T) {
	const messages = 100
	panicked := make(chan struct{})
	system := newTestSystem(t, Options{OnQuarantine: func(Quarantined) { close(panicked) }})
	ref := spawn(t, system, "parent", func() Actor {
		return parentProbe(ChildrenOptions{Buffer: messages, New: func(string) Actor {
			return &probe{receive: func(_ *Context, message any) error {
				<-panicked // so that all else is still queued when the parent fails
				return echo(nil, message)
			}}
		}})
	})
	var results, refused answers
	for n := range messages {
		switch n {
		case messages / 4:
			ref.Tell(passivate{"child"})
		case messages / 2:
			ref.Tell(poison{Reply: refused.reply()})
		}
		ref.Tell(route{"child", ping{Reply: results.reply(), number: n}})
	}
	values, errs := results.all(t)
	if len(values) != messages || len(errs) != 0 {
		t.Errorf("%d of %d handled, refused: %v", len(values), messages, errs)
	}
	for i, v := range values {
		if v != i {
			t.Fatalf("message %d was handled at place %d", v, i)
		}
	}
	if _, errs := refused.all(t); len(errs) != 1 || !errors.Is(errs[0], ErrQuarantined) {
		t.Errorf("the poison: got %v", errs)
	}
}

func TestTellAllReachesTheLivingAndStartsNobody(t *testing.T) {
	type broadcast struct{}
	system := newTestSystem(t, Options{})
	heard := make(chan string, 4)
	ref := spawn(t, system, "parent", func() Actor {
		var children *Children
		return &probe{
			start: func(ctx *Context) error {
				children = NewChildren(ctx, ChildrenOptions{New: func(name string) Actor {
					return &probe{receive: func(_ *Context, message any) error {
						if _, ok := message.(broadcast); ok {
							heard <- name
						}
						return nil
					}}
				}})
				return nil
			},
			receive: func(_ *Context, message any) error {
				switch m := message.(type) {
				case route:
					children.Tell(m.child, m.message)
				case broadcast:
					children.TellAll(m)
				}
				return nil
			},
		}
	})
	ref.Tell(broadcast{})
	ref.Tell(route{"a", struct{}{}})
	ref.Tell(route{"b", struct{}{}})
	ref.Tell(broadcast{})
	shutdown(t, system)
	close(heard)
	var names []string
	for name := range heard {
		names = append(names, name)
	}
	slices.Sort(names)
	if got := fmt.Sprint(names); got != "[a b]" {
		t.Errorf("heard by %s, want [a b]", got)
	}
}
