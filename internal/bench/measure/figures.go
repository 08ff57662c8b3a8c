package measure

import (
	"runtime"
	"time"

	"github.com/rookery-im/rookery/internal/footprint"
)

// Figures are what one turn has taken.
type Figures struct {
	Operations int
	Elapsed    time.Duration
	Processor  time.Duration // of all threads of the process, in user and system mode
	// Allocations and Allocated (bytes) are those of the process.
	Allocations, Allocated uint64
	// Written is bytes that the process has caused to be written to disks, as Linux
	// counts them; 0 elsewhere.
	Written uint64
	// Batches are synced to a store, with so many commits and records in them; 0 where
	// there is no store.
	Batches, Commits, Records uint64
	// Wakes are identities that came into memory.
	Wakes uint64
}

// Take does one turn of so many operations. Nothing else may run meanwhile that is
// not to be counted.
func Take(operations int, turn func() error) (Figures, error) {
	var before, after runtime.MemStats
	disk := footprint.Written()
	runtime.ReadMemStats(&before)
	used := processor()
	start := time.Now()
	if err := turn(); err != nil {
		return Figures{}, err
	}
	f := Figures{Operations: operations, Elapsed: time.Since(start)}
	usedNow := processor()
	runtime.ReadMemStats(&after)
	f.Processor, f.Written = usedNow-used, footprint.Written()-disk
	f.Allocations, f.Allocated = after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	return f, nil
}

// each is nanoseconds for one operation.
func (f Figures) each(b Basis) float64 {
	if b == Clock {
		return float64(f.Elapsed) / float64(f.Operations)
	}
	return float64(f.Processor) / float64(f.Operations)
}

// processor is the time of all threads so far, or the time that has passed where the
// system does not tell: which is the same when nothing else runs.
func processor() time.Duration {
	if user, system := footprint.Processor(); user+system > 0 {
		return user + system
	}
	return time.Since(began)
}

var began = time.Now()
