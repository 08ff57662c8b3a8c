package actors

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Whoever blocks in an actor keeps no other actor from running, however many do.
func TestHeldWorkersKeepNobodyFromRunning(t *testing.T) {
	d := newDispatcher()
	t.Cleanup(d.close)
	const held = 500
	release, all := make(chan struct{}), make(chan struct{}, held)
	for range held {
		d.Schedule(func() {
			all <- struct{}{}
			<-release
		})
	}
	for n := range held {
		select {
		case <-all:
		case <-time.After(10 * time.Second):
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
		case <-time.After(10 * time.Second):
			t.Fatal("nothing else runs while they are held")
		}
	}
	if took := time.Since(begun); took > hops*heldAfter/2 {
		t.Errorf("%d runs took %v, one after the other", hops, took)
	}
	close(release)
}

// A run that ends its goroutine, as a handler may, takes no place for good.
func TestRunThatEndsItsGoroutineTakesNoPlace(t *testing.T) {
	d := newDispatcher()
	t.Cleanup(d.close)
	for range 10 * d.most {
		d.Schedule(runtime.Goexit)
	}
	ran := make(chan struct{})
	d.Schedule(func() { close(ran) })
	<-ran
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
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
	d := &dispatcher{most: 1}
	t.Cleanup(d.close)
	const n = 1000
	var stop atomic.Bool
	var others atomic.Int32
	var turns int // of one goroutine at a time
	var again func()
	again = func() {
		turns++
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
	waiting := func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.running) > 0 || d.last != nil || d.waiting.len() > 0
	}
	for deadline := time.Now().Add(20 * time.Second); waiting(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			stop.Store(true)
			t.Fatal("what was scheduled once never ran")
		}
	}
	<-done
	if most := (maxWarm + 1) * (n + 1); turns > 10*most {
		t.Errorf("%d turns for one, before %d others had theirs; want %d or so", turns, n, most)
	}
}

// Every run is made once, from wherever it was scheduled, also after the end.
func TestEverythingScheduledRunsOnce(t *testing.T) {
	d := newDispatcher()
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
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
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

func TestRunQueueIsFirstInFirstOut(t *testing.T) {
	var q runQueue
	var got []int
	next := 0
	push := func() {
		n := next
		next++
		q.push(func() { got = append(got, n) })
	}
	for round := range 300 { // grows while it is in the middle of its ring
		push()
		push()
		if round%3 != 0 {
			q.pop()()
		}
	}
	for run := q.pop(); run != nil; run = q.pop() {
		run()
	}
	if len(got) != next || q.len() != 0 {
		t.Fatalf("%d of %d came out, %d are left", len(got), next, q.len())
	}
	for i, n := range got {
		if n != i {
			t.Fatalf("%d came out as number %d", n, i)
		}
	}
}
