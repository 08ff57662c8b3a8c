package measure

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
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
}

// Take does one turn of so many operations. Nothing else may run meanwhile that is
// not to be counted.
func Take(operations int, turn func() error) (Figures, error) {
	var before, after runtime.MemStats
	disk, err := written()
	if err != nil {
		return Figures{}, err
	}
	runtime.ReadMemStats(&before)
	used := processor()
	start := time.Now()
	if err := turn(); err != nil {
		return Figures{}, err
	}
	f := Figures{Operations: operations, Elapsed: time.Since(start)}
	usedNow := processor()
	runtime.ReadMemStats(&after)
	diskNow, err := written()
	f.Processor, f.Written = usedNow-used, diskNow-disk
	f.Allocations, f.Allocated = after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	return f, err
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

func written() (uint64, error) {
	content, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, nil // not on Linux, or not allowed to
	}
	for line := range bytes.Lines(content) {
		if number, ok := bytes.CutPrefix(line, []byte("write_bytes: ")); ok {
			n, err := strconv.ParseUint(string(bytes.TrimSpace(number)), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("bytes written to disk: %w", err)
			}
			return n, nil
		}
	}
	return 0, nil
}
