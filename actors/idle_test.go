package actors

import (
	"context"
	"testing"
	"time"
)

// gatherer answers what it was told only when it is idle.
type gatherer struct {
	gathered int
	together chan int
}

func (g *gatherer) Start(*Context) error { return nil }

func (g *gatherer) Receive(_ *Context, message any) error {
	if wait, ok := message.(chan struct{}); ok {
		<-wait // so that the others are waiting behind it
	}
	g.gathered++
	return nil
}

func (g *gatherer) Idle() {
	if g.gathered > 0 {
		g.together <- g.gathered
	}
	g.gathered = 0
}

func TestIdleComesBehindAllThatWaits(t *testing.T) {
	system := NewSystem(Options{})
	t.Cleanup(func() {
		if err := system.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	together := make(chan int, 10)
	ref, err := system.Spawn("gatherer", func() Actor { return &gatherer{together: together} })
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{5, 1} {
		wait := make(chan struct{})
		ref.Tell(wait)
		for range want - 1 {
			ref.Tell("more")
		}
		close(wait)
		select {
		case got := <-together:
			if got != want {
				t.Errorf("idle after %d messages, want %d", got, want)
			}
		case <-time.After(patience):
			t.Fatal("never idle")
		}
	}
}
