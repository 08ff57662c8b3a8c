package faults

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// T02: a process is killed, and the machine stops before the next one has come
// far. What the first has not synced the second still reads, out of the cache of
// the operating system, and after the crash it is gone: nothing may be built on
// it.
func TestCrashAfterAKill(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	var kills, crashes atomic.Int64
	// A process that is filmed leaves the other cores idle.
	each(scenarios, func(s scenario) {
		if !s.opening {
			t.Run(s.name, func(t *testing.T) { crashAfterAKill(t, s, key, &kills, &crashes) })
		}
	})
	t.Logf("%d kills, %d crashes after them", kills.Load(), crashes.Load())
	if kills.Load() < 10 || crashes.Load() < kills.Load() {
		t.Error("too few")
	}
}

func crashAfterAKill(t *testing.T, s scenario, key string, kills, crashes *atomic.Int64) {
	start := prepare(t, s, key)
	var failed atomic.Int64
	for index := 1 + *offsetFlag%killEvery; ; index += killEvery * min(*everyFlag, 2) {
		points, reached := killAndFilm(t, s, start, key, index)
		if !reached {
			return
		}
		kills.Add(1)
		crashes.Add(int64(len(points)))
		each(points, func(p point) {
			if failed.Load() >= enough {
				return
			}
			w := newWorld(p.disk, key, p.past, seed{*seedFlag, p.String()})
			if err := w.finish(s); err != nil {
				failed.Add(1)
				t.Errorf("killed at operation %d, then %v: %v", index, p, err)
			}
		})
	}
}

// killEvery is how many operations lie between the kills of a scenario, times
// that of the operations that are tried.
const killEvery = 13

var errKilled = errors.New("the process is gone")

// killed is what a process that was killed can still write: nothing.
type killed struct {
	index int

	mu   sync.Mutex
	on   bool
	seen int
	dead bool
}

func (k *killed) MaybeError(op errorfs.Op) error {
	if !writes(op) {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.on {
		return nil
	}
	if k.seen++; k.seen > k.index {
		k.dead = true
		return errKilled
	}
	return nil
}

func (k *killed) begin() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.on = true
}

// spare lets the process live, unless it was killed before.
func (k *killed) spare() (alive bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.on = k.dead
	return !k.dead
}

func (k *killed) isDead() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dead
}

func (k *killed) String() string { return "killed" }

// killAndFilm kills a process in a scenario and takes the points of the first
// steps of the next one. It tells whether the scenario went that far.
func killAndFilm(t *testing.T, s scenario, b base, key string, index int) (points []point, reached bool) {
	t.Helper()
	disk := b.copy()
	k := &killed{index: index}
	first := newWorld(faulty(disk, k), key, b.past, seed{*seedFlag, fmt.Sprintf("%s killed at %d", s.name, index)})
	first.keep.Store(s.keeps)
	if err := first.open(); err != nil {
		t.Fatal(err)
	}
	k.begin()
	first.struck = k.isDead
	first.vain = func(past) bool { return k.isDead() } // nobody is there to wait
	err := s.run(first)
	if err != nil && !k.isDead() {
		t.Fatalf("%s, not killed at operation %d: %v", s.name, index, err)
	}
	// It may also be killed in what it writes after all has arrived.
	if err == nil && k.spare() {
		if err := first.close(); err != nil {
			t.Fatal(err)
		}
		return nil, false
	}
	past := first.ledger.read()
	_ = first.close() // it only frees memory: nothing of it reaches the disk
	next := newWorld(disk, key, past, seed{*seedFlag, fmt.Sprintf("%s after a kill at %d", s.name, index)})
	c := newCamera(s.name+" after a kill", disk, next.ledger, *seedFlag)
	// Of the cache nothing is left, or something.
	c.wanted = func(i, percent int) bool { return percent < 100 && wanted(index+i, percent) }
	next.disk = faulty(disk, c)
	c.roll(true)
	err = all(next.open, func() error { return next.send(alice1, bob.public, "after the kill") })
	c.roll(false)
	if err := errors.Join(err, next.close()); err != nil {
		t.Fatalf("%s, killed at operation %d: %v", s.name, index, err)
	}
	return c.points, true
}
