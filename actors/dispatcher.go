package actors

import (
	"runtime"
	"sync"
)

// throughput is how many messages an actor handles before it lets others run.
const throughput = 300

// maxIdleWorkers bounds the goroutines that wait for a mailbox to run.
const maxIdleWorkers = 512

// dispatcher runs mailboxes on goroutines that it uses again: a new one would
// have to grow its stack first, which costs more than most messages do. It
// starts as many as there are mailboxes to run, since an actor may be held up
// while it starts or by the application. Safe for concurrent use.
type dispatcher struct {
	mu     sync.Mutex
	idle   []chan func()
	closed bool
}

// Throughput implements protoactor's dispatcher interface.
func (d *dispatcher) Throughput() int { return throughput }

// Schedule implements protoactor's dispatcher interface.
func (d *dispatcher) Schedule(run func()) {
	d.mu.Lock()
	if last := len(d.idle) - 1; last >= 0 {
		worker := d.idle[last] // the one whose stack is warmest
		d.idle = d.idle[:last]
		d.mu.Unlock()
		worker <- run
		return
	}
	d.mu.Unlock()
	go d.work(run)
}

func (d *dispatcher) work(run func()) {
	// What takes a quarter of a stack keeps the collector from cutting it down
	// while the goroutine is idle: it stays at four times this.
	var quarter [4 << 10]byte
	defer runtime.KeepAlive(&quarter)
	next := make(chan func(), 1)
	for {
		run()
		d.mu.Lock()
		if d.closed || len(d.idle) == maxIdleWorkers {
			d.mu.Unlock()
			return
		}
		d.idle = append(d.idle, next)
		d.mu.Unlock()
		var more bool
		if run, more = <-next; !more {
			return
		}
	}
}

// close ends the goroutines that are idle, and the others once they are. What
// is scheduled later still runs.
func (d *dispatcher) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for _, worker := range d.idle {
		close(worker)
	}
	d.idle = nil
}
