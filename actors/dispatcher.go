package actors

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// minIdleWorkers is how many goroutines at least may wait for a mailbox to
	// run; the others end.
	minIdleWorkers = 16
	// heldAfter is how long one run of a mailbox keeps a worker from others
	// before another worker takes its place, at most twice this.
	heldAfter = time.Millisecond
	// heldLonger is after what time the same happens while goroutines wait for
	// each processor: then the worker probably does, too, and with another one
	// both would wait longer.
	heldLonger = 20 * time.Millisecond
	// maxRelieved bounds the workers that are started at one time.
	maxRelieved = 256
	// maxWarm bounds how often in a row what was scheduled last runs next.
	maxWarm = 16
)

// dispatcher runs mailboxes on few goroutines, one after the other: waking one
// up for each costs more than most messages do, and a new one has to grow its
// stack besides. An actor may be held up while it starts, or by the application;
// then others take the place of its worker, so that all of them run in the end.
// Safe for concurrent use.
type dispatcher struct {
	most    int         // workers that run and are not held up
	spare   func() bool // see Options.SpareTime; may be nil
	crowded func() bool // whether goroutines wait for each processor

	mu       sync.Mutex
	last     runnable       // was scheduled last: what it needs is still in the caches
	warm     int            // how often in a row that was preferred
	waiting  ring[runnable] // before it
	idle     []*worker
	running  []*worker
	held     int // of those running: see worker
	watching bool
	closed   bool
}

// runnable is a mailbox that has something to do, or spare time. It is queued as it is, so
// that to schedule it allocates nothing.
type runnable interface{ run() }

// runFunc is a function as a runnable.
type runFunc func()

func (f runFunc) run() { f() }

// worker is a goroutine of the dispatcher; its fields belong to the dispatcher's
// lock, but for done, which is its own.
type worker struct {
	next  chan runnable
	runs  uint64    // that it has begun
	seen  uint64    // the same, when it was looked at last
	since time.Time // when it was first seen at that run
	held  bool      // for so long that another one has its place; until the run ends
	at    int       // its place among those that are running

	spare runnable // one run of the dispatcher's; nil without
	done  bool     // the run before was that one, and nothing is left for it to do
}

func newDispatcher(spare func() bool) *dispatcher {
	return &dispatcher{most: 2 * runtime.GOMAXPROCS(0), spare: spare, crowded: crowded()}
}

// crowded makes a function that tells whether goroutines of the process wait for
// each of its processors. It is for one goroutine at a time.
func crowded() func() bool {
	waiting := []metrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}}
	return func() bool {
		metrics.Read(waiting)
		return waiting[0].Value.Uint64() >= uint64(runtime.GOMAXPROCS(0)) //nolint:gosec // not negative
	}
}

// schedule has a mailbox run soon. Whoever calls it sees to it that no other run of the
// same one is under way or to come.
func (d *dispatcher) schedule(r runnable) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.running) < d.most+d.held {
		d.start(r)
		return
	}
	if d.last != nil {
		d.waiting.push(d.last)
	}
	d.last = r
	if !d.watching {
		d.watching = true
		time.AfterFunc(heldAfter, d.watch)
	}
}

// start runs a mailbox on a worker of its own. d.mu is held.
func (d *dispatcher) start(r runnable) {
	var w *worker
	if last := len(d.idle) - 1; last >= 0 {
		w, d.idle = d.idle[last], d.idle[:last] // the one whose stack is warmest
		w.next <- r
	} else {
		w = d.newWorker()
		go d.work(w, r)
	}
	w.runs++
	w.at = len(d.running)
	d.running = append(d.running, w)
}

func (d *dispatcher) newWorker() *worker {
	w := &worker{next: make(chan runnable, 1)}
	if d.spare != nil {
		w.spare = runFunc(func() { w.done = !d.spare() })
	}
	return w
}

// take gives what is to run next, nil for nothing. d.mu is held.
func (d *dispatcher) take() runnable {
	if d.last != nil && (d.warm < maxWarm || d.waiting.n == 0) {
		next := d.last
		d.last = nil
		d.warm++
		return next
	}
	d.warm = 0
	return d.waiting.pop()
}

func (d *dispatcher) work(w *worker, next runnable) {
	// What takes a quarter of a stack keeps the collector from cutting it down
	// while the goroutine is idle: it stays at four times this.
	var quarter [16 << 10]byte
	defer runtime.KeepAlive(&quarter)
	returned := true
	defer func() {
		if !returned { // the application has ended the goroutine from inside
			d.mu.Lock()
			defer d.mu.Unlock()
			d.leave(w)
		}
	}()
	for next != nil {
		returned = false
		next.run()
		returned = true
		if next = d.after(w); next == nil {
			next = <-w.next // nil when there is no more
		}
	}
}

// after gives what a worker runs next; nil: what comes on its channel.
func (d *dispatcher) after(w *worker) runnable {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w.held {
		w.held = false
		d.held--
	}
	done := w.done
	w.done = false
	if len(d.running) <= d.most+d.held {
		next := d.take()
		if next == nil && !done && !d.closed {
			next = w.spare // a run like any other: it may be held up too
		}
		if next != nil {
			w.runs++
			return next
		}
	}
	d.leave(w)
	if d.closed || len(d.idle) >= max(minIdleWorkers, d.most) {
		close(w.next)
	} else {
		d.idle = append(d.idle, w)
	}
	return nil
}

// leave takes a worker from those that are running. d.mu is held.
func (d *dispatcher) leave(w *worker) {
	if w.held {
		w.held = false
		d.held--
	}
	end := len(d.running) - 1
	d.running[w.at] = d.running[end]
	d.running[w.at].at = w.at
	d.running[end] = nil
	d.running = d.running[:end]
}

// watch looks, as long as mailboxes wait, for workers that are still at the run
// that they were at before, and starts others in their place.
func (d *dispatcher) watch() {
	after := heldAfter
	if d.crowded() {
		after = heldLonger
	}
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.running {
		if w.seen != w.runs {
			w.seen, w.since = w.runs, now
			continue
		}
		if !w.held && now.Sub(w.since) >= after {
			w.held = true
			d.held++
		}
	}
	relief := d.most + d.held - len(d.running)
	if d.held == len(d.running) {
		relief = min(max(relief, d.held), maxRelieved) // all of them: so will be the next
	}
	for ; relief > 0; relief-- {
		next := d.take()
		if next == nil {
			break
		}
		d.start(next)
	}
	if d.last == nil && d.waiting.n == 0 {
		d.watching = false
		return
	}
	time.AfterFunc(heldAfter, d.watch)
}

// close ends the goroutines that are idle, and the others once they are. What
// is scheduled later still runs.
func (d *dispatcher) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for _, w := range d.idle {
		close(w.next)
	}
	d.idle = nil
}
