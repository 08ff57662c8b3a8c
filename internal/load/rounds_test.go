package load

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

// Whoever comes first, rounds begin in their order, each once, and nobody goes on before
// his has begun.
func TestRoundsBeginInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const last, each = 9, 4
		var (
			r     rounds
			mu    sync.Mutex
			begun int
			group sync.WaitGroup
		)
		for round := last; round >= 0; round-- {
			for range each {
				group.Go(func() {
					err := r.await(round, func() error {
						mu.Lock()
						defer mu.Unlock()
						if begun != round {
							t.Errorf("round %d began after %d others", round, begun)
						}
						begun++
						return nil
					})
					mu.Lock()
					defer mu.Unlock()
					if err != nil || begun <= round {
						t.Errorf("in round %d: %d have begun, %v", round, begun, err)
					}
				})
			}
			synctest.Wait()
		}
		group.Wait()
		if begun != last+1 {
			t.Errorf("%d rounds began", begun)
		}
	})
}

func TestRoundThatCannotBeginIsTheLast(t *testing.T) {
	broken := errors.New("broken")
	var r rounds
	if err := r.await(0, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		tries := 0
		if err := r.await(1, func() error { tries++; return broken }); !errors.Is(err, broken) || tries > 1 {
			t.Errorf("%v after %d tries", err, tries)
		}
	}
	if err := r.await(1, func() error { t.Error("it began again"); return nil }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if err := r.await(0, nil); err != nil {
		t.Errorf("the round that has begun: %v", err)
	}
}
