package load

import (
	"sync"
	"sync/atomic"
)

// crew does things at the same time, a bounded number of them.
type crew struct {
	most  int
	work  chan func()
	ended chan struct{}
	count *atomic.Int64 // of goroutines, of all crews that share it

	mu      sync.Mutex
	members int
	all     sync.WaitGroup
}

func newCrew(most int, count *atomic.Int64) *crew {
	return &crew{most: most, count: count, work: make(chan func()), ended: make(chan struct{})}
}

// do has something done, and waits as long as everybody has something to do. After
// end nothing is done any more.
func (c *crew) do(f func()) {
	select {
	case c.work <- f:
		return
	default:
	}
	if c.joined(f) {
		return
	}
	select {
	case c.work <- f:
	case <-c.ended:
	}
}

// joined has something done by a new member, if there is room for one.
func (c *crew) joined(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.ended:
		return true
	default:
	}
	if c.members == c.most {
		return false
	}
	c.members++
	c.count.Add(1)
	c.all.Go(func() {
		defer c.count.Add(-1)
		for {
			f()
			select {
			case f = <-c.work:
			case <-c.ended:
				return
			}
		}
	})
	return true
}

// end waits until what was begun is done.
func (c *crew) end() {
	c.mu.Lock()
	close(c.ended)
	c.mu.Unlock()
	c.all.Wait()
}
