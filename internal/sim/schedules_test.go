package sim

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
)

var (
	seeds = flag.Int("seeds", defaultSeeds, "how many random schedules to run")
	first = flag.Uint64("first", 1, "the seed of the first of them")
	seed  = flag.Uint64("seed", 0, "run only the random schedule of this seed")
)

// run is one schedule from its beginning to its verdict.
func run(seed uint64, keep bool) *world {
	w := newWorld(seed)
	w.trace.keep = keep
	w.populate()
	w.chaos()
	if w.judge.verdict == nil {
		w.calm()
	}
	w.report.Schedules = 1
	return w
}

func (w *world) traceHash() string { return fmt.Sprintf("%x", w.trace.hash.Sum(nil)[:8]) }

// TestRandomSchedules proves that the rules hold in any order of events: what is
// sent arrives once and unaltered or is lost for a reason that is known, no
// message key is used twice, and two exchanges after the faults have ended all
// agree (T08, T25, T26, T41, T42).
//
// Spec: 5.initialization.2 5.paired-group.1 5.paired-group.4 draft.dropped.1 draft.out-of-order.1 draft.multi-device.1 5.integrity.1 5.authenticity.1
func TestRandomSchedules(t *testing.T) {
	if *seed != 0 {
		w := run(*seed, true)
		t.Logf("seed %d, trace %s\n%s\n%v", *seed, w.traceHash(), strings.Join(w.trace.lines, "\n"), &w.report)
		if w.judge.verdict != nil {
			t.Error(w.judge.verdict)
		}
		return
	}
	total := newReport()
	var mu sync.Mutex
	var workers sync.WaitGroup
	next := make(chan uint64)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for s := range next {
				w := run(s, false)
				mu.Lock()
				total.add(w.report)
				mu.Unlock()
				if w.judge.verdict != nil {
					t.Errorf("seed %d: %v\nrepeat: go test ./internal/sim -run TestRandomSchedules -seed %d -v", s, w.judge.verdict, s)
				}
			}
		})
	}
	for s := range *seeds {
		next <- uint64(s) + *first
	}
	close(next)
	workers.Wait()
	t.Log(&total)
	if m := median(total.Sizes); m < 4 && *seeds >= 100 { // a few say nothing
		t.Errorf("median of %d installations, want 4", m)
	}
}
