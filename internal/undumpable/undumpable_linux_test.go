package undumpable

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const partVariable = "UNDUMPABLE_TEST_PART"

func TestMain(m *testing.M) {
	if os.Getenv(partVariable) != "" {
		os.Exit(report())
	}
	os.Exit(m.Run())
}

// report says what holds for this process before and after.
func report() int {
	for _, when := range []string{"before", "after"} {
		limits, err1 := os.ReadFile("/proc/self/limits")
		dumpable, err2 := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		if err1 != nil || err2 != nil {
			fmt.Println(err1, err2)
			return 1
		}
		core := regexp.MustCompile(`Max core file size +(\S+) +(\S+)`).FindSubmatch(limits)
		fmt.Printf("%s: soft %s, hard %s, dumpable %d\n", when, core[1], core[2], dumpable)
		if when == "before" {
			if err := Process(); err != nil {
				fmt.Println(err)
				return 1
			}
		}
	}
	if _, err := os.ReadFile("/proc/self/status"); err != nil { // what measures the process goes on
		fmt.Println(err)
		return 1
	}
	return 0
}

// T49: after Process, the limits that the kernel shows allow no core file, and the
// process is not dumpable; before, it was.
func TestNoCoreFileIsAllowed(t *testing.T) {
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), partVariable+"=1")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if text := string(out); !strings.Contains(text, "after: soft 0, hard 0, dumpable 0") || !regexp.MustCompile(`before: .*dumpable 1`).MatchString(text) {
		t.Errorf("the process says: %s", text)
	}
}
