package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// itself is the command as a process of its own.
func itself(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), mainVariable+"=1")
	return c
}

// init has the command as a process of its own say whether its memory can be dumped, when
// it gets a signal: who is root can see that of no other process.
func init() {
	if os.Getenv(mainVariable) == "" {
		return
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for range asked {
			dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
			_, _ = fmt.Fprintf(os.Stderr, "dumpable %d, %v\n", dumpable, err)
		}
	}()
}

// T49: the daemon leaves no core file, as the kernel shows the limits of a running one,
// and is not dumpable, which where it is started with such limits already is what it has
// done itself.
func TestDaemonLeavesNoCoreFile(t *testing.T) {
	p := newPerson(t)
	daemon := itself(t, p.args("serve", "--transport=memory", "--listen=127.0.0.1:0")...)
	log, err := daemon.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	serving := false
	for !serving && lines.Scan() {
		serving = strings.Contains(lines.Text(), "msg=serving")
	}
	if !serving {
		t.Fatal("it does not serve")
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", daemon.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
		t.Errorf("its limits are:\n%s", limits)
	}
	if err := daemon.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	dumpable := ""
	for dumpable == "" && lines.Scan() {
		if strings.HasPrefix(lines.Text(), "dumpable ") {
			dumpable = lines.Text()
		}
	}
	if dumpable != "dumpable 0, <nil>" {
		t.Errorf("it says %q", dumpable)
	}
	if err := daemon.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // until it closes
	}
	if err := daemon.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}
