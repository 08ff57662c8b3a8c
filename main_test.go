package rookery_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or plays the part of another process: a test that
// needs one starts this very binary again with the part in the environment.
func TestMain(m *testing.M) {
	if play, ok := parts[os.Getenv(partVariable)]; ok {
		os.Exit(play())
	}
	goleak.VerifyTestMain(m)
}

const (
	partVariable      = "ROOKERY_TEST_PART"
	directoryVariable = "ROOKERY_TEST_DIRECTORY"
)

// parts of other processes, with their exit status.
var parts = map[string]func() int{
	"open": openAndLeave,
	"talk": talkUntilKilled,
}
