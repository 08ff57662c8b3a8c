package consttime

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rookery-im/rookery/internal/curve"
)

// How much is measured; "make timing" asks for more. Samples are those of both
// classes together.
var (
	fastFlag = flag.Int("samples", 20_000, "samples of operations that take nanoseconds or a few microseconds")
	slowFlag = flag.Int("slow", 500, "samples of multiplications on the curve")
	seedFlag = flag.Uint64("seed", 1, "seed of the inputs and of the order of the classes")
)

const (
	// runs is in how many runs a leak has to show.
	runs = 3
	// block is how many inputs are prepared, and then timed, at once. Between
	// blocks the garbage is collected; within one it never is.
	block = 1024
)

// operation is what is timed. It keeps its input in a place of its own, so
// that inputs of both classes are used at the same addresses.
type operation interface {
	// load takes over an input before the clock starts.
	load(input []byte)
	// call is timed. It leaves its result where right finds it.
	call()
	// right tells after the clock has stopped whether call did what it is
	// timed for.
	right() bool
}

// class makes the inputs of one kind.
type class struct {
	name string
	fill func(input []byte, random *rand.ChaCha8)
}

// comparison is one row of the table.
type comparison struct {
	name    string
	op      operation
	classes [2]class
	size    int // of an input, in bytes
	calls   int // in one sample, so that the clock can be read beside them
	samples int
	planted bool // the difference is wanted
}

// leaks measures until a run sees no difference, at most three times, and
// prints the row.
func (c comparison) leaks(t *testing.T) bool {
	t.Helper()
	var values []string
	leak, samples, shown := true, c.samples, ""
	for run := 0; leak && run < runs; run++ {
		samples = c.samples << run
		times := c.measure(t, samples, run)
		found := largest(times)
		values = append(values, fmt.Sprintf("%.1f", math.Abs(found.t())))
		shown = fmt.Sprintf("%+.2f", found.mean/float64(c.calls))
		if leak = found.seen(); !leak {
			shown = fmt.Sprintf("below %.2f", max(0.01, visible(times)/float64(c.calls)))
		}
	}
	verdict := "no difference seen"
	switch {
	case leak && c.planted:
		verdict = "found"
	case leak:
		verdict = "LEAK"
	}
	printRow(c.name, c.classes[0].name+" / "+c.classes[1].name, fmt.Sprint(samples), strings.Join(values, ", "), shown, verdict)
	return leak
}

// measure gives the times of both classes in nanoseconds.
func (c comparison) measure(t *testing.T, samples, run int) (times [2][]float64) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	random := rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%s, %s/%s, %d, %d", c.name, c.classes[0].name, c.classes[1].name, *seedFlag, run)))
	inputs := make([]byte, block*c.size)
	var order [block]byte
	clock := time.Now()
	var took [block]time.Duration
	// The first block is the warm-up and is not counted.
	for first, left := true, samples; left > 0; first = false {
		n := min(left, block)
		for i := range n {
			order[i] = byte(random.Uint64() & 1)
			c.classes[order[i]].fill(inputs[i*c.size:][:c.size], random)
		}
		runtime.GC()
		for i := range n {
			c.op.load(inputs[i*c.size:][:c.size])
			start := time.Since(clock) // asks the monotonic clock alone
			for range c.calls {
				c.op.call()
			}
			took[i] = time.Since(clock) - start
			if !c.op.right() {
				t.Fatalf("%s (%s): the call did something else", c.name, c.classes[order[i]].name)
			}
		}
		if first {
			continue
		}
		for i := range n {
			times[order[i]] = append(times[order[i]], float64(took[i].Nanoseconds()))
		}
		left -= n
	}
	return times
}

var printHead = sync.OnceFunc(func() {
	fmt.Printf("\nGo %s, %s/%s, curve: %s; seed %d\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, curve.Backend, *seedFlag)
	printCells("operation", "classes", "samples", "largest |t|", "difference, ns", "verdict")
	printCells("---", "---", "--:", "---", "--:", "---")
})

func printRow(cells ...any) {
	printHead()
	printCells(cells...)
}

func printCells(cells ...any) {
	fmt.Printf("| %-34s | %-46s | %8s | %-22s | %14s | %s |\n", cells...)
}

// mustNotLeak is what a comparison of the product's own code has to keep.
func mustNotLeak(t *testing.T, rows ...comparison) {
	t.Helper()
	for _, c := range rows {
		if c.leaks(t) {
			t.Errorf("%s: the time tells %s from %s (repeat: go test ./internal/consttime -count=1 -v -run '^%s$' -samples %d -slow %d -seed %d)",
				c.name, c.classes[0].name, c.classes[1].name, t.Name(), *fastFlag, *slowFlag, *seedFlag)
		}
	}
}
