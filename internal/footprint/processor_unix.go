//go:build unix

package footprint

import (
	"runtime"
	"syscall"
	"time"
)

// Processor is the time that all threads of this process have run, in user and
// system mode.
func Processor() (user, system time.Duration) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0, 0
	}
	return time.Duration(used.Utime.Nano()), time.Duration(used.Stime.Nano())
}

// Written is bytes that this process has caused to be written to disks, as Linux counts
// them; 0 elsewhere. The same stands in /proc/self/io, which only root may read of a
// process that leaves no core file.
func Written() uint64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil || runtime.GOOS != "linux" {
		return 0
	}
	const block = 512
	return uint64(max(used.Oublock, 0)) * block
}
