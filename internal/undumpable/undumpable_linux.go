package undumpable

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Process sets both switches for this process, for good: the limit cannot be raised
// again but by root. It is in force from its return on, for all threads.
func Process() error {
	var failed error
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		failed = fmt.Errorf("no limit for core files: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		failed = errors.Join(failed, fmt.Errorf("memory can be read by others: %w", err))
	}
	return failed
}
