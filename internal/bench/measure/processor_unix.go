//go:build unix

package measure

import (
	"fmt"
	"syscall"
	"time"
)

// processorTime is what all threads of the process have used so far, in user and
// system mode.
func processorTime() (time.Duration, error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), nil
}
