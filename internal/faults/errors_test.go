package faults

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// fault is a way for the disk to fail at an operation.
type fault struct {
	name    string
	errno   syscall.Errno
	lasting bool // and at all later ones, until somebody does something about it
}

var faultsOfDisks = []fault{
	{"io-error", syscall.EIO, false},
	{"no-space", syscall.ENOSPC, true},
}

// T03, T04: every write operation of every scenario fails in turn, with an I/O
// error once, or for want of space until there is some. Every call returns,
// nothing is lost, and the engine goes on when the disk does; after a failure
// that the store cannot go on from, when it is opened again.
func TestErrorAtEveryWrite(t *testing.T) {
	// Much of it is waiting for what is tried again: all go on beside each other,
	// with so many engines at a time.
	slots := make(chan struct{}, 6*runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for _, s := range scenarios {
		for _, f := range faultsOfDisks {
			all.Go(func() {
				t.Run(s.name+"/"+f.name, func(t *testing.T) { errorAtEveryWrite(t, s, f, slots) })
			})
		}
	}
	all.Wait()
}

func errorAtEveryWrite(t *testing.T, s scenario, f fault, slots chan struct{}) {
	start := time.Now()
	key := filepath.Join(t.TempDir(), "key")
	b := func() base {
		slots <- struct{}{}
		defer func() { <-slots }()
		return prepare(t, s, key)
	}()
	tally := &tally{kinds: make(map[errorfs.OpKind]int), errors: make(map[string]int)}
	var next, failed atomic.Int64
	var end atomic.Bool
	var workers sync.WaitGroup
	try := func(index int) {
		reached, err := tryFault(s, f, b, key, index, tally)
		if !reached {
			end.Store(true)
		}
		if err != nil {
			failed.Add(1)
			t.Errorf("%s, %s at operation %d: %v\nrepeat: go test ./internal/faults -count=1 -run 'TestErrorAtEveryWrite/%s/%s$' -crash.seed %d -crash.index %d",
				s.name, f.name, index, err, s.name, f.name, *seedFlag, index)
		}
	}
	goesOn := func() bool {
		slots <- struct{}{}
		defer func() { <-slots }()
		if end.Load() || failed.Load() >= enough {
			return false
		}
		index := int(next.Add(1)) - 1
		for *indexFlag < 0 && !wanted(index, 0) {
			index = int(next.Add(1)) - 1
		}
		if *indexFlag >= 0 && index > *indexFlag {
			return false
		}
		if wanted(index, 0) {
			try(index)
		}
		return true
	}
	for range cap(slots) {
		workers.Go(func() {
			for goesOn() {
			}
		})
	}
	workers.Wait()
	t.Logf("%-14s %-8s %s in %v", s.name, f.name, tally, time.Since(start).Round(time.Millisecond))
	if *indexFlag < 0 && !end.Load() && failed.Load() == 0 {
		t.Error("no run passed untouched")
	}
}

// tally counts what the faults of one scenario have met and done.
type tally struct {
	mu     sync.Mutex
	kinds  map[errorfs.OpKind]int
	told   int // runs in which a call gave an error
	again  int // runs that needed the store to be opened again
	errors map[string]int
}

func (c *tally) note(first errorfs.Op, err error, again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kinds[first.Kind]++
	if err != nil {
		c.told++
		c.errors[err.Error()]++
	}
	if again {
		c.again++
	}
}

func (c *tally) String() string {
	total := 0
	var kinds []string
	for kind, n := range c.kinds {
		total += n
		kinds = append(kinds, fmt.Sprintf("%d %s", n, opNames[kind]))
	}
	slices.Sort(kinds)
	return fmt.Sprintf("%d points (%s), %d told, %d opened again", total, strings.Join(kinds, ", "), c.told, c.again)
}

// tryFault runs a scenario on a disk of which one operation fails. It tells
// whether there were that many operations.
func tryFault(s scenario, f fault, b base, key string, index int, t *tally) (reached bool, err error) {
	own := b.copy()
	brk := &breaker{errno: f.errno, index: index, lasting: f.lasting}
	run := fmt.Sprintf("%s %s at %d", s.name, f.name, index)
	w := newWorld(faulty(own, brk), key, b.past, seed{*seedFlag, run})
	w.struck = func() bool { fired, _ := brk.state(); return fired }
	w.relieve = func() {
		if w.struck() {
			brk.arm(false)
		}
	}
	told, again, err := w.endure(s, brk)
	fired, first := brk.state()
	if !fired {
		return false, err
	}
	t.note(first, told, again)
	if err != nil {
		return true, fmt.Errorf("%s of %s, told %s: %w", opNames[first.Kind], first.Path, text(told), err)
	}
	// What is on the disk must do, and half of the time also what a crash now
	// leaves of it.
	if index%2 == 1 {
		own = own.CrashClone(vfs.CrashCloneCfg{})
	}
	later := newWorld(own, key, w.ledger.read(), seed{*seedFlag, run + " later"})
	if err := later.finish(s); err != nil {
		return true, fmt.Errorf("%s of %s, told %s, opened again: %w", opNames[first.Kind], first.Path, text(told), err)
	}
	return true, nil
}

func text(err error) string {
	if err == nil {
		return "nothing"
	}
	return err.Error()
}

// endure plays a scenario on a failing disk: what fails is tried again once the
// disk works, for as long as the store does. It gives the first error that a call
// told, and whether the store had to be given up. err is what must not happen.
func (w *world) endure(s scenario, brk *breaker) (told error, again bool, err error) {
	w.keep.Store(s.keeps)
	if s.opening {
		brk.arm(true)
	}
	if told = w.open(); told != nil {
		brk.arm(false)
		return told, true, late(told)
	}
	brk.arm(true)
	for start := time.Now(); ; time.Sleep(probeEvery) {
		err := s.run(w)
		if err == nil {
			break
		}
		brk.arm(false)
		if told == nil {
			told = err
		}
		if err := late(err); err != nil {
			return told, again, err
		}
		if again = w.store.down(); again {
			break
		}
		if time.Since(start) > patience {
			return told, again, fmt.Errorf("it does not go on: %w", err)
		}
	}
	// Close may be what fails: of a scenario that opens and closes.
	if !s.opening {
		brk.arm(false)
	}
	closed := w.close()
	brk.arm(false)
	if told == nil {
		told = closed
	}
	return told, again, late(closed)
}

// late gives the errors that tell that something took too long.
func late(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
