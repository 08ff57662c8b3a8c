//go:build unix

package footprint

import (
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
