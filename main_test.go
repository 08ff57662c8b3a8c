package rookery_test

import (
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or plays the part of another process: a test that
// needs one starts this very binary again with the part in the environment.
func TestMain(m *testing.M) {
	if play, ok := parts[os.Getenv(partVariable)]; ok {
		os.Exit(play())
	}
	goleak.VerifyTestMain(unhurried{m})
}

// unhurried are tests that leave what they have ended the time that a slow machine
// takes to end it.
type unhurried struct{ *testing.M }

// Run implements goleak.TestingM.
func (u unhurried) Run() int {
	status := u.M.Run()
	for deadline := time.Now().Add(patience); goleak.Find() != nil && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	return status
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
