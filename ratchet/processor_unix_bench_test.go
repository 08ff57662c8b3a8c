//go:build unix

package ratchet_test

import (
	"syscall"
	"testing"
	"time"
)

// processorTime is what all threads of the process have used so far, in user and
// system mode.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
