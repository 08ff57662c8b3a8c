//go:build !unix

package ratchet_test

import (
	"testing"
	"time"
)

var began = time.Now()

// processorTime is the time that has passed, which is the same when nothing else
// runs.
func processorTime(*testing.B) time.Duration { return time.Since(began) }
