//go:build !unix

package measure

import "time"

var began = time.Now()

// processorTime is the time that has passed, which is the same when nothing else
// runs.
func processorTime() (time.Duration, error) { return time.Since(began), nil }
