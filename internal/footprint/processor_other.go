//go:build !unix

package footprint

import "time"

// Processor is not known here.
func Processor() (user, system time.Duration) { return 0, 0 }

// Written is not known here.
func Written() uint64 { return 0 }
