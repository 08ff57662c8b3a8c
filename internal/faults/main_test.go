package faults

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Which points are tried. "make crash" tries all of them.
var (
	everyFlag   = flag.Int("crash.every", defaultEvery, "try every so many-th operation")
	offsetFlag  = flag.Int("crash.offset", 0, "begin with this one of them")
	indexFlag   = flag.Int("crash.index", -1, "try this operation alone")
	percentFlag = flag.Int("crash.percent", -1, "with this percentage of the unsynced data alone")
	seedFlag    = flag.Uint64("crash.seed", 1, "seed of keys and of what a crash leaves")
)

func TestMain(m *testing.M) {
	flag.Parse()
	status := m.Run()
	if status == 0 {
		status = leaks()
	}
	os.Exit(status)
}

// leaks is the status when a goroutine outlives all tests. What was told to end has
// the time for it that a busy machine needs.
func leaks() int {
	for end := time.Now().Add(patience); ; {
		err := goleak.Find()
		if err == nil {
			return 0
		}
		if time.Now().After(end) {
			fmt.Fprintf(os.Stderr, "goleak: %v\n", err)
			return 1
		}
	}
}

// wanted tells whether a point is to be tried. The percentages take turns in
// where they begin, so that neighbours are tried with different ones.
func wanted(index, percent int) bool {
	if *percentFlag >= 0 && percent != *percentFlag {
		return false
	}
	if *indexFlag >= 0 {
		return index == *indexFlag
	}
	return (index+percent/50+*offsetFlag)%*everyFlag == 0
}
