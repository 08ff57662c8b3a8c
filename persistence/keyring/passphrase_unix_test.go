//go:build unix

package keyring

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/rookery-im/rookery/persistence/cell/celltest"
)

// processorTime is what this process has used.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// T46: who mistypes a passphrase hears of it within a second. It is the processor's
// time that is held, since others may be at work here.
func TestAnAttemptTakesLessThanASecond(t *testing.T) {
	disk := celltest.NewDisk()
	mustCreate(t, Passphrase("right"), onDisk(disk, 1))
	quickest := time.Hour
	for range 3 {
		start := processorTime(t)
		if _, err := Open(ringName, Passphrase("wrong"), onDisk(disk, 2)); !errors.Is(err, ErrWrongKey) {
			t.Fatal(err)
		}
		quickest = min(quickest, processorTime(t)-start)
	}
	t.Logf("%v an attempt", quickest)
	if quickest > time.Second {
		t.Errorf("an attempt takes %v", quickest)
	}
}
