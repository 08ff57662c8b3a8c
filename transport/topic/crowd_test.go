package topic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rookery-im/rookery/internal/secret"
)

// Everything at once, and a cache that is too small: every caller has his own
// key or a stated reason, no name is derived twice at a time, and nothing is left
// behind. What is asked for comes of fixed seeds; the order is the scheduler's.
func TestACrowdOfCallers(t *testing.T) {
	const callers, calls, names, workers = 8, 300, 20, 3
	var atWork [names]atomic.Int32
	var working atomic.Int32
	shelf := newShelf()
	k := newKeys(shelf, Options{Cached: 4, Waiting: 6, Ahead: 3, Workers: workers}, func(n Name) (secret.Key, error) {
		var i int
		if _, err := fmt.Sscan(string(n.text), &i); err != nil {
			return secret.Key{}, err
		}
		if atWork[i].Add(1) > 1 {
			t.Errorf("%d is derived twice at a time", i)
		}
		if n := working.Add(1); n > workers+1 { // one of them ahead
			t.Errorf("%d derivations at a time", n)
		}
		defer working.Add(-1)
		defer atWork[i].Add(-1)
		return derived(n)
	})
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			source := rand.New(rand.NewPCG(uint64(c), 7))
			for range calls {
				name := chat(t, fmt.Sprint(source.IntN(names)))
				if source.IntN(4) == 0 {
					if err := k.Ahead(name); err != nil && !errors.Is(err, ErrBusy) {
						t.Errorf("caller %d, %s ahead: %v", c, name, err)
					}
					continue
				}
				ctx, cancel := context.WithCancel(t.Context())
				if source.IntN(4) == 0 {
					go cancel()
				}
				key, err := k.Get(ctx, name)
				cancel()
				want, _ := derived(name)
				if err == nil && !key.Equal(&want) {
					t.Errorf("caller %d: another key for %s", c, name)
				}
				if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, ErrBusy) {
					t.Errorf("caller %d, %s: %v", c, name, err)
				}
				if source.IntN(10) == 0 {
					shelf.mu.Lock()
					delete(shelf.keys, name.Digest())
					shelf.mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	k.Close()
	if len(k.searches) != 0 || k.wanted != 0 || k.workers != 0 || k.workingAhead || k.urgent.Len()+k.ahead.Len() != 0 {
		t.Errorf("left: %d searches, %d wanted, %d workers, ahead %v", len(k.searches), k.wanted, k.workers, k.workingAhead)
	}
}
