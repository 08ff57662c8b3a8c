package faults

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// T02: the machine stops before any write operation of any scenario, and none,
// half or all of what was not synced is there afterwards.
func TestCrashAtEveryWrite(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) { crashAtEveryWrite(t, s) })
	}
}

// leastOperations are those of the shortest scenario.
const leastOperations = 12

// enough is how many failures of a scenario are shown.
const enough = 3

func crashAtEveryWrite(t *testing.T, s scenario) {
	start := time.Now()
	key := filepath.Join(t.TempDir(), "key")
	base := prepare(t, s, key)
	points, operations := film(t, s, base, key)
	filmed := time.Since(start)
	var tried, failed atomic.Int64
	each(points, func(p point) {
		if failed.Load() >= enough {
			return
		}
		tried.Add(1)
		w := newWorld(p.disk, key, p.past, seed{*seedFlag, p.String()})
		if err := w.finish(s); err != nil {
			failed.Add(1)
			t.Errorf("%v: %v\nrepeat: go test ./internal/faults -count=1 -run 'TestCrashAtEveryWrite/%s$' -crash.seed %d -crash.index %d -crash.percent %d",
				p, err, s.name, *seedFlag, p.index, p.percent)
		}
	})
	t.Logf("%-14s %4d operations, %4d of %4d points tried, filmed in %v, tried in %v",
		s.name, operations, tried.Load(), 3*operations, filmed.Round(time.Millisecond), (time.Since(start) - filmed).Round(time.Millisecond))
	if operations < leastOperations {
		t.Errorf("only %d operations: nothing is filmed", operations)
	}
}

// String names a point.
func (p point) String() string {
	return fmt.Sprintf("%s, crash before operation %d (%s of %s) with %d %% of the unsynced",
		p.scenario, p.index, opNames[p.op.Kind], p.op.Path, p.percent)
}

// base is a disk on which a scenario begins.
type base struct {
	disk *vfs.MemFS
	past past
}

// copy is a disk of its own, like a disk after everything was synced.
func (b base) copy() *vfs.MemFS {
	return b.disk.CrashClone(vfs.CrashCloneCfg{})
}

// prepare does what comes before a scenario.
func prepare(t *testing.T, s scenario, key string) base {
	t.Helper()
	disk := vfs.NewCrashableMem()
	w := newWorld(disk, key, past{}, seed{*seedFlag, s.name + " before"})
	if s.before == nil {
		return base{disk: disk}
	}
	if err := all(w.open, func() error { return s.before(w) }, w.close); err != nil {
		t.Fatal(err)
	}
	return base{disk, w.ledger.read()}
}

// film runs a scenario before the camera.
func film(t *testing.T, s scenario, b base, key string) (points []point, operations int) {
	t.Helper()
	own := b.copy()
	w := newWorld(own, key, b.past, seed{*seedFlag, s.name})
	camera := newCamera(s.name, own, w.ledger, *seedFlag)
	camera.wanted = wanted
	w.disk = faulty(own, camera)
	if err := w.play(s, camera.roll); err != nil {
		t.Fatal(err)
	}
	seen := make([]string, 0, len(camera.kinds))
	for kind, n := range camera.kinds {
		seen = append(seen, fmt.Sprintf("%d %s", n, opNames[kind]))
	}
	slices.Sort(seen)
	t.Logf("%s: %s", s.name, strings.Join(seen, ", "))
	return camera.points, camera.index
}

// play does a scenario, with the window told when it begins and ends.
func (w *world) play(s scenario, window func(bool)) error {
	w.keep.Store(s.keeps)
	if s.opening {
		window(true)
		err := all(w.open, func() error { return s.run(w) })
		if w.engine != nil {
			err = errors.Join(err, w.close())
		}
		window(false)
		return err
	}
	if err := w.open(); err != nil {
		return err
	}
	window(true)
	err := s.run(w)
	window(false)
	return errors.Join(err, w.close())
}

// each runs fn for all on as many goroutines as there are cores.
func each[T any](list []T, fn func(T)) {
	var workers sync.WaitGroup
	next := make(chan T)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for one := range next {
				fn(one)
			}
		})
	}
	for _, one := range list {
		next <- one
	}
	close(next)
	workers.Wait()
}
