package goheap

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"
)

// advised tells whether the kernel was asked for huge pages at an address.
func advised(t *testing.T, at uintptr) bool {
	t.Helper()
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = maps.Close() }()
	within := false
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		line := lines.Text()
		var from, to uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			within = from <= at && at < to
		}
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && within {
			return strings.Contains(flags+" ", " hg ")
		}
	}
	t.Fatalf("%#x is nowhere", at)
	return false
}

// What is allocated after it lies on huge pages, as long as the kernel lets itself be
// asked for them; and nothing of what was set for the collector is different.
func TestHeapGrowsOnHugePages(t *testing.T) {
	before := now()
	if err := UseHugePages(); err != nil {
		t.Fatal(err)
	}
	if got := now(); got != before {
		t.Errorf("%d %% garbage, %d before", got, before)
	}
	const free = 128 // MiB, at most, that lie between other things: those come first
	blocks := make([][]byte, 2*free)
	huge := 0
	for n := range blocks {
		blocks[n] = make([]byte, 1<<20)
		if advised(t, uintptr(unsafe.Pointer(&blocks[n][0]))) {
			huge++
		}
	}
	runtime.KeepAlive(blocks)
	if asked := hugePageSize() > 0 && memory()/heapShare > 2*free<<20; asked != (huge >= free) {
		t.Errorf("asked for huge pages: %v; %d of %d MiB are on some", asked, huge, len(blocks))
	}
}
