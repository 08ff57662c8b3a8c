package remnants

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery/internal/leakscan"
	"github.com/rookery-im/rookery/internal/secret"
)

// patience is how long a child may take.
const patience = 3 * time.Minute

// leavesCore tells whether a process that crashes leaves a core file in its directory.
func leavesCore() bool {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	text := strings.TrimSpace(string(pattern))
	return err == nil && text != "" && !strings.ContainsAny(text, "|/")
}

// memoryAfter runs a part in a child process and gives the directory it worked in and
// its memory when it was done.
func memoryAfter(t *testing.T, part string) (dir string, memory []byte) {
	t.Helper()
	dir = t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	child.Dir = dir
	child.Env = append(os.Environ(), partVariable+"="+part)
	var said bytes.Buffer
	child.Stderr = &said
	if leavesCore() {
		child.Env = append(child.Env, crashVariable+"=1")
		if err := child.Run(); err == nil {
			t.Fatal("the child did not crash")
		}
		if cores, _ := filepath.Glob(filepath.Join(dir, "*core*")); len(cores) == 1 {
			memory, err := os.ReadFile(cores[0])
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("a core file of %d MiB", len(memory)>>20)
			return dir, memory
		}
		if !strings.Contains(said.String(), "SIGABRT") {
			t.Fatalf("the child failed: %s", said.String())
		}
		t.Log("no core file came; the memory is read")
		return memoryOf(t, part)
	}
	return memoryOf(t, part)
}

// memoryOf reads the memory of a child that waits.
func memoryOf(t *testing.T, part string) (dir string, memory []byte) {
	t.Helper()
	dir = t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	child.Dir = dir
	child.Env = append(os.Environ(), partVariable+"="+part, crashVariable+"=")
	child.Stderr = os.Stderr
	stdin, err1 := child.StdinPipe()
	stdout, err2 := child.StdoutPipe()
	if err := errors.Join(err1, err2, child.Start()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = stdin.Close()
		_ = child.Wait()
	}()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != ready {
		t.Fatalf("the child said %q: %v", line, err)
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", child.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(fmt.Sprintf("/proc/%d/mem", child.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for line := range strings.Lines(string(maps)) {
		place, rest, _ := strings.Cut(line, " ")
		from, to, _ := strings.Cut(place, "-")
		begin, err1 := strconv.ParseInt(from, 16, 64)
		end, err2 := strconv.ParseInt(to, 16, 64)
		if err1 != nil || err2 != nil || !strings.HasPrefix(rest, "rw") {
			continue
		}
		part, err := io.ReadAll(io.NewSectionReader(file, begin, end-begin))
		if err != nil && len(part) == 0 {
			continue // a mapping of a device
		}
		memory = append(memory, part...)
	}
	t.Logf("%d MiB of memory", len(memory)>>20)
	return dir, memory
}

// left counts the keys of each sort that memory holds, and fails if it does not show
// keys that are in use: then the search would find nothing.
func left(t *testing.T, memory []byte, used, live map[leakscan.Secret]string) map[string]int {
	t.Helper()
	found := make(map[leakscan.Secret]bool)
	leakscan.NewNeedles(used).Find(memory, found)
	alive := make(map[leakscan.Secret]bool)
	leakscan.NewNeedles(live).Find(memory, alive)
	if len(alive) == 0 {
		t.Fatal("not even keys that are in use are found")
	}
	all, counts := make(map[string]int), make(map[string]int)
	for key, what := range used {
		all[what]++
		if found[key] {
			counts[what]++
		}
	}
	for _, what := range slices.Sorted(maps.Keys(all)) {
		if all[what] < 20 {
			t.Errorf("only %d of %s were used", all[what], what)
		}
		t.Logf("%s: %d of %d used ones are left (erasing: %v)", what, counts[what], all[what], secret.Erases)
	}
	t.Logf("%d of %d keys in use are found", len(alive), len(live))
	return counts
}

// noMessageKeys fails in a build that erases if one is left. In others only the search is
// tested.
func noMessageKeys(t *testing.T, counts map[string]int) {
	t.Helper()
	if secret.Erases && counts["message key"] > 0 {
		t.Errorf("%d used message keys are in the core", counts["message key"])
	}
}

// T49: the core file of a process in which two sides of a ratchet talked holds none of
// the message keys that they used, where the build erases. Where it does not, how many
// is measured.
func TestUsedMessageKeysAreNotInTheCoreOfARatchet(t *testing.T) {
	used, live, err := usedInConversation()
	if err != nil {
		t.Fatal(err)
	}
	_, memory := memoryAfter(t, "ratchet")
	noMessageKeys(t, left(t, memory, used, live))
}

// T49: nor does that of a process that hosted two identities. Used chain and root keys it
// may have in any build: how many is measured.
func TestUsedKeysInTheCoreOfAnEngine(t *testing.T) {
	dir, memory := memoryAfter(t, "engine")
	book := leakscan.NewBook()
	if err := readNoted(dir, book.Read); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range book.Wrong() {
		t.Error(wrong)
	}
	used, _ := book.Consumed()
	noMessageKeys(t, left(t, memory, used, book.Living()))
}
