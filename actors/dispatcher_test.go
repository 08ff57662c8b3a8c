package actors

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Schedule runs a function as if it were a mailbox.
func (d *dispatcher) Schedule(run func()) { d.schedule(runFunc(run)) }

// Whoever blocks in an actor keeps no other actor from running, however many do, and
// whether or not anybody waits for a processor. The time is that of the bubble: it
// passes only while everybody waits for a look.
func TestHeldWorkersKeepNobodyFromRunning(t *testing.T) {
	for name, after := range map[string]time.Duration{"processors are free": heldAfter, "processors are wanted": heldLonger} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDispatcher(nil)
				d.crowded = func() bool { return after > heldAfter }
				defer d.close()
				const held = 500
				release, all := make(chan struct{}), make(chan struct{}, held)
				defer close(release)
				for range held {
					d.Schedule(func() {
						all <- struct{}{}
						<-release
					})
				}
				for n := range held {
					select {
					case <-all:
					case <-time.After(time.Minute):
						t.Fatalf("%d of %d run", n, held)
					}
				}
				// Of what comes now nothing has to wait to be looked at.
				const hops = 2000
				begun := time.Now()
				for range hops {
					ran := make(chan struct{})
					d.Schedule(func() { close(ran) })
					select {
					case <-ran:
					case <-time.After(time.Minute):
						t.Fatal("nothing else runs while they are held")
					}
				}
				if took := time.Since(begun); took > 10*after {
					t.Errorf("%d runs took %v: they waited for a look", hops, took)
				}
			})
		})
	}
}

// While goroutines wait for a processor, a worker that is still at its run probably
// waits for one too: others in its place would only make all of them wait longer.
func TestWorkersThatWaitForAProcessorGetNoOthersBesideThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(nil)
		d.crowded = func() bool { return true }
		defer d.close()
		running := func() int {
			d.mu.Lock()
			defer d.mu.Unlock()
			return len(d.running)
		}
		const jobs = 100
		var done atomic.Int32
		for range d.most + jobs {
			d.Schedule(func() {
				time.Sleep(heldLonger - 2*heldAfter)
				done.Add(1)
			})
		}
		for done.Load() < int32(d.most)+jobs {
			time.Sleep(heldAfter / 2)
			if n := running(); n > d.most {
				t.Fatalf("%d workers, want %d", n, d.most)
			}
		}
		synctest.Wait()
		// One that is really held gets its successor, only later.
		release := make(chan struct{})
		for range d.most {
			d.Schedule(func() { <-release })
		}
		begun, ran := time.Now(), make(chan struct{})
		d.Schedule(func() { close(ran) })
		<-ran
		if took := time.Since(begun); took < heldLonger || took > 2*heldLonger {
			t.Errorf("what was behind held workers waited %v", took)
		}
		close(release)
	})
}

// A run that ends its goroutine, as a handler may, takes no place for good.
func TestRunThatEndsItsGoroutineTakesNoPlace(t *testing.T) {
	d := newDispatcher(nil)
	t.Cleanup(d.close)
	for range 10 * d.most {
		d.Schedule(runtime.Goexit)
	}
	ran := make(chan struct{})
	d.Schedule(func() { close(ran) })
	<-ran
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		d.mu.Lock()
		running, held := len(d.running), d.held
		d.mu.Unlock()
		if running == 0 && held == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d still run, %d are held", running, held)
		}
	}
}

// What was scheduled last runs first, but who schedules himself for ever keeps the
// rest waiting only for a while.
func TestNobodyStarvesBehindWhatWasScheduledLast(t *testing.T) {
	// Nobody watches, so that there is one worker: with another one, whoever schedules
	// himself has turns for as long as the machine keeps the last of the rest from ending.
	d := &dispatcher{most: 1, watching: true}
	t.Cleanup(d.close)
	const n = 1000
	var stop atomic.Bool
	var others atomic.Int32
	var turns atomic.Int64
	var again func()
	again = func() {
		turns.Add(1)
		if others.Load() < n && !stop.Load() {
			d.Schedule(again)
		}
	}
	d.Schedule(again)
	done := make(chan struct{})
	for range n {
		d.Schedule(func() {
			if others.Add(1) == n {
				close(done)
			}
		})
	}
	alone := turns.Load() // before the last of them waited
	waiting := func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.running) > 0 || d.last != nil || d.waiting.n > 0
	}
	for deadline := time.Now().Add(patience); waiting(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			stop.Store(true)
			t.Fatal("what was scheduled once never ran")
		}
	}
	<-done
	if most := int64(maxWarm+1) * (n + 1); turns.Load()-alone > most {
		t.Errorf("%d turns for one, before %d others had theirs; want %d at most", turns.Load()-alone, n, most)
	}
}

// Every run is made once, from wherever it was scheduled, also after the end.
func TestEverythingScheduledRunsOnce(t *testing.T) {
	d := newDispatcher(nil)
	const outer, inner = 100, 100
	var ran [outer * inner]atomic.Int32
	var all sync.WaitGroup
	all.Add(outer * inner)
	for i := range outer {
		go d.Schedule(func() {
			for k := range inner {
				d.Schedule(func() {
					if k%10 == 0 {
						time.Sleep(2 * heldAfter)
					}
					ran[i*inner+k].Add(1)
					all.Done()
				})
			}
		})
	}
	all.Wait()
	for i := range ran {
		if n := ran[i].Load(); n != 1 {
			t.Fatalf("run %d was made %d times", i, n)
		}
	}
	d.close()
	last := make(chan struct{})
	d.Schedule(func() { close(last) })
	<-last
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		d.mu.Lock()
		left := len(d.running) + len(d.idle)
		d.mu.Unlock()
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d workers stay after the end", left)
		}
	}
}

// idleAgain waits until no worker of a dispatcher runs.
func idleAgain(t *testing.T, d *dispatcher) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		d.mu.Lock()
		running, held := len(d.running), d.held
		d.mu.Unlock()
		if running == 0 {
			if held != 0 {
				t.Fatalf("none runs, and %d are held", held)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d still run, %d are held", running, held)
		}
	}
}

// Spare time is asked for what there is to do until there is nothing, and then
// not before something has run.
func TestSpareTimeEndsWhenNothingIsLeftToDo(t *testing.T) {
	var left, calls atomic.Int32
	d := newDispatcher(func() bool { calls.Add(1); return left.Add(-1) >= 0 })
	t.Cleanup(d.close)
	time.Sleep(10 * time.Millisecond)
	if n := calls.Load(); n != 0 {
		t.Fatalf("asked %d times before anything ran", n)
	}
	for _, todo := range []int32{0, 1, 5, 0} {
		left.Store(todo)
		calls.Store(0)
		d.Schedule(func() {})
		idleAgain(t, d)
		time.Sleep(5 * time.Millisecond)
		if n := calls.Load(); n != todo+1 {
			t.Errorf("with %d things to do it was asked %d times", todo, n)
		}
	}
	d.close()
	calls.Store(0)
	ran := make(chan struct{})
	d.Schedule(func() { close(ran) })
	<-ran
	idleAgain(t, d)
	if n := calls.Load(); n != 0 {
		t.Errorf("asked %d times after the end", n)
	}
}

// What is scheduled while all workers use spare time runs before they go on
// with that.
func TestScheduledRunsComeBeforeMoreSpareTime(t *testing.T) {
	const n = 100
	var order []string // of one goroutine at a time
	d := &dispatcher{most: 1}
	begun, scheduled := make(chan struct{}), make(chan struct{})
	d.spare = func() bool {
		if len(order) == 0 {
			close(begun)
			<-scheduled
		}
		order = append(order, "spare")
		return len(order) < 2*n
	}
	t.Cleanup(d.close)
	d.watching = true // so that nobody watches: no worker comes in its place
	d.Schedule(func() {})
	<-begun
	for range n {
		d.Schedule(func() { order = append(order, "run") })
	}
	close(scheduled)
	idleAgain(t, d)
	for i, what := range order[:n+1] {
		if (what == "run") != (i > 0) {
			t.Fatalf("%s was number %d of %d", what, i, len(order))
		}
	}
	if len(order) != 2*n {
		t.Errorf("%d runs, want %d", len(order), 2*n)
	}
}

// Who is held up in spare time holds up nobody else, and counts again when he
// comes back.
func TestHeldSpareTimeKeepsNobodyFromRunning(t *testing.T) {
	release := make(chan struct{})
	d := newDispatcher(func() bool { <-release; return false })
	d.crowded = func() bool { return false } // whatever else this machine does
	t.Cleanup(d.close)
	for range 200 {
		ran := make(chan struct{})
		d.Schedule(func() { close(ran) })
		select {
		case <-ran:
		case <-time.After(patience):
			t.Fatal("nothing runs while spare time is held up")
		}
	}
	close(release)
	idleAgain(t, d)
}

// Spare time that ends its goroutine takes no place for good.
func TestSpareTimeThatEndsItsGoroutineTakesNoPlace(t *testing.T) {
	d := newDispatcher(func() bool { runtime.Goexit(); return true })
	t.Cleanup(d.close)
	for range 10 * d.most {
		ran := make(chan struct{})
		d.Schedule(func() { close(ran) })
		<-ran
	}
	idleAgain(t, d)
}
