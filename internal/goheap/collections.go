package goheap

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	// least and most garbage that may gather, in per cent of what is in use.
	least, most = 100, 400
	// mostHeap bounds the heap with its garbage while there is more of it than least, in
	// bytes, and a heapShare-th of the memory that the process may have.
	mostHeap  = 5 << 28
	heapShare = 8
)

// CollectSeldom sets from now on, after each collection, how much garbage gathers until
// the next one: four times of what is in use, with that up to 1.25 GiB and no more than
// an eighth of the memory that the machine or the control group has, and never less than
// Go's default.
// What the environment says (GOGC, GOMEMLIMIT) stays. To be called once, by main.
func CollectSeldom() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	c := &collector{heap: min(mostHeap, memory()/heapShare), percent: least}
	c.adapt()
	c.follow()
}

// collector belongs to the cleanup of one collection, and then of the next.
type collector struct {
	heap    uint64 // in use and garbage, in bytes
	percent int

	mu   sync.Mutex
	over bool // a test has ended
}

// cycle is garbage at once: that it is collected tells that a collection is over.
type cycle struct{ _ [64]byte }

func (c *collector) follow() {
	runtime.AddCleanup(new(cycle), func(c *collector) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.over {
			c.adapt()
			c.follow()
		}
	}, c)
}

func (c *collector) adapt() {
	now := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(now)
	live := now[0].Value.Uint64()
	percent := percentage(live, live+now[1].Value.Uint64()+now[2].Value.Uint64(), c.heap)
	if far(percent, c.percent) {
		c.percent = percent
		debug.SetGCPercent(percent)
	}
}

// percentage is how much garbage may gather beside what is in use: that share of all
// that the collector looks through, which is live and stacks and globals.
func percentage(live, scanned, heap uint64) int {
	if live >= heap {
		return least
	}
	return int(min(max((heap-live)*100/max(scanned, 1), least), most))
}

// far tells whether two percentages differ by more than a tenth.
func far(a, b int) bool { return 10*max(a, b) > 11*min(a, b) }
