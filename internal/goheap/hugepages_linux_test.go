package goheap

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
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

// Who may not have that much address space goes on without: Go would end the process.
func TestHugePagesAreNotAskedForWithoutAddressSpace(t *testing.T) {
	if err := available(1 << 46); err == nil {
		t.Error("64 TiB are available")
	}
	if err := available(64 << 20); err != nil {
		t.Error(err)
	}
}

func TestMemoryLimitOfTheEnvironmentStays(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "100MiB")
	before := mapped()
	if err := UseHugePages(); err != nil {
		t.Fatal(err)
	}
	if more := mapped() - before; more > 64<<20 {
		t.Errorf("%d bytes more are mapped", more)
	}
}

// mapped is how much memory Go has from the kernel, touched or not, in bytes.
func mapped() int64 {
	total := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
	metrics.Read(total)
	return int64(total[0].Value.Uint64())
}
