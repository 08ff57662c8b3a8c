package actors

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
)

// resuming is a probe that goes on after a panic.
type resuming struct{ *probe }

func (resuming) Resumes() bool { return true }

// T11: a panic costs its message and nothing that the actor has in memory.
func TestResumerKeepsItsStateOverPanics(t *testing.T) {
	var quarantined, incarnations atomic.Int64
	system := newTestSystem(t, Options{OnQuarantine: func(Quarantined) { quarantined.Add(1) }})
	ref := spawn(t, system, "identity", func() Actor {
		incarnations.Add(1)
		sum := 0
		return resuming{&probe{receive: func(_ *Context, message any) error {
			m, good := message.(ping)
			if !good {
				panic("bug")
			}
			sum += m.number
			m.Send(sum)
			return nil
		}}}
	})
	var refused answers
	for n := range 10 {
		if got, err := ask(t, ref, 1); err != nil || got != n+1 {
			t.Errorf("after %d panics the sum is %d, %v", 2*n, got, err)
		}
		ref.Tell(poison{Reply: refused.reply()})
		ref.Tell(unforgiving{})
	}
	reach(t, ref)
	_, errs := refused.all(t)
	for _, err := range errs {
		if !errors.Is(err, ErrQuarantined) {
			t.Errorf("got %v, want ErrQuarantined", err)
		}
	}
	if len(errs) != 10 || quarantined.Load() != 20 || incarnations.Load() != 1 {
		t.Errorf("%d refused, %d quarantined, %d incarnations", len(errs), quarantined.Load(), incarnations.Load())
	}
}

// unforgiving is a message whose sender panics at the answer, too.
type unforgiving struct{}

func (unforgiving) Fail(error) { panic("no answer wanted") }

// A child that waits for its parent before it may stop gets an answer, whatever happens
// to the parent meanwhile: so both end.
func TestChildThatWaitsForItsParentStopsAfterTheParentHasFailed(t *testing.T) {
	for name, failed := range map[string]struct {
		fail func() error
		want error // what the child is told
	}{
		"panic":   {func() error { panic("bug") }, nil},
		"corrupt": {func() error { return fmt.Errorf("%w: read", ErrCorruptState) }, ErrStopped},
	} {
		t.Run(name, func(t *testing.T) {
			down := make(chan struct{})
			system := newTestSystem(t, Options{
				OnQuarantine: func(Quarantined) { close(down) },
				OnCorrupt:    func(string, error) { close(down) },
			})
			told := make(chan error, 1)
			type answer struct{ err error }
			child := func(parent Ref) Actor {
				waits := false
				var self Ref
				return &probe{
					start: func(ctx *Context) error {
						self = ctx.Self()
						return nil
					},
					receive: func(_ *Context, message any) error {
						if a, ok := message.(answer); ok {
							waits = false
							told <- a.err
							return nil
						}
						<-down
						waits = true
						parent.Tell(ping{Reply: ReplyFunc(func(_ int, err error) { self.Tell(answer{err}) })})
						return nil
					},
					drained: func() bool { return !waits },
				}
			}
			ref := spawn(t, system, "parent", func() Actor {
				var children *Children
				return resuming{&probe{
					start: func(ctx *Context) error {
						self := ctx.Self()
						children = NewChildren(ctx, ChildrenOptions{New: func(string) Actor { return child(self) }})
						return nil
					},
					receive: func(_ *Context, message any) error {
						switch m := message.(type) {
						case route:
							children.Tell(m.child, m.message)
						case ping:
							m.Send(m.number)
						case struct{}:
							return failed.fail()
						}
						return nil
					},
				}}
			})
			ref.Tell(route{"child", "ask"})
			ref.Tell(struct{}{})
			await(t, down, "the failure")
			shutdown(t, system)
			select {
			case err := <-told:
				if !errors.Is(err, failed.want) {
					t.Errorf("the child was told %v, want %v", err, failed.want)
				}
			default:
				t.Error("the child was told nothing")
			}
		})
	}
}
