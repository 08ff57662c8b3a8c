package courier

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(patient{m}) }

// patient gives what a test has ended the time to be gone that a busy machine needs
// for it: goleak by itself looks for less than half a second.
type patient struct{ *testing.M }

func (m patient) Run() int {
	code := m.M.Run()
	for end := time.Now().Add(time.Minute); code == 0 && goleak.Find() != nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return code
}
