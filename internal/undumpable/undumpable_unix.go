//go:build unix && !linux

package undumpable

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Process sets the limit of core files to nothing, for good. It is in force from its
// return on, for all threads.
func Process() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("no limit for core files: %w", err)
	}
	return nil
}
