package throughput

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// Sizes of the measurements; the defaults are those of docs/performance.md.
var (
	rounds   = flag.Int("rounds", 5, "turns of both sides of each comparison")
	pairs    = flag.Int("pairs", 1000, "pairs of identities that talk at the same time")
	perPair  = flag.Int("messages", 96, "messages of each pair in a turn")
	burst    = flag.Int("burst", 10_000, "messages of the pair that is alone, in a turn")
	sessions = flag.Int("sessions", 1024, "sessions that encrypt and commit")
	commits  = flag.Int("commits", 64, "commits of each session in a turn")
	profiled = flag.Bool("alone", false, "leave out what the engine is compared with (for a profile)")
)

// cores is what the targets are given for.
const cores = 2

// TestMain prints what was measured as one table.
func TestMain(m *testing.M) {
	flag.Parse()
	runtime.GOMAXPROCS(cores)
	status := m.Run()
	if len(table) > 0 {
		fmt.Printf("\n%s\n%s\n", head, strings.Join(table, "\n"))
	}
	os.Exit(status)
}
