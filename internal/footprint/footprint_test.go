package footprint

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func TestMemoryGrowsWithWhatIsTouched(t *testing.T) {
	before := Memory()
	if before <= 0 {
		t.Fatalf("%d bytes resident", before)
	}
	const size = 256 << 20
	held := make([]byte, size)
	for i := 0; i < len(held); i += 1024 {
		held[i] = 1
	}
	if grown := Memory() - before; grown < size/2 {
		t.Errorf("grew by %d bytes with %d touched", grown, len(held))
	}
}

func TestProcessorTimeRunsOn(t *testing.T) {
	total := func() time.Duration { user, system := Processor(); return user + system }
	before := total()
	for deadline := time.Now().Add(time.Minute); total() == before; {
		if time.Now().After(deadline) {
			t.Fatal("a minute of work took no processor time")
		}
	}
}

func TestDirectoryCountsFilesBelow(t *testing.T) {
	dir := t.TempDir()
	below := filepath.Join(dir, "below")
	if err := os.Mkdir(below, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, size := range map[string]int{filepath.Join(dir, "a"): 1000, filepath.Join(below, "b"): 24} {
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, link} {
		if got := Directory(path); got != 1024 {
			t.Errorf("%s: %d bytes, want 1024", path, got)
		}
	}
	if got := Directory(filepath.Join(dir, "missing")); got != 0 {
		t.Errorf("%d bytes of a directory that does not exist", got)
	}
}

func TestProcessorsAreNoMoreThanThereAre(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for given, want := range map[int]int{1: 1, runtime.NumCPU(): runtime.NumCPU(), runtime.NumCPU() + 1: runtime.NumCPU()} {
		runtime.GOMAXPROCS(given)
		if got := Processors(); got != want {
			t.Errorf("Go was given %d: %d processors, want %d", given, got, want)
		}
	}
}
