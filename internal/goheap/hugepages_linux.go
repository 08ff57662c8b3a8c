package goheap

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// transparent is where the kernel says what it does with huge pages.
const transparent = "/sys/kernel/mm/transparent_hugepage/"

// hugePageSize is how large they are, in bytes, a power of two; 0 if they are not to be
// asked for.
func hugePageSize() uint64 {
	policy, err := os.ReadFile(transparent + "enabled")
	if err != nil || !strings.Contains(string(policy), "[madvise]") {
		return 0 // there are none, nobody gets any, or everybody does
	}
	text, err := os.ReadFile(transparent + "hpage_pmd_size")
	if err != nil {
		return 0
	}
	if strconv.IntSize < 64 {
		return 0 // addresses are scarce
	}
	size, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || size&(size-1) != 0 {
		return 0
	}
	return size
}

// available tells whether the process may have so much address space.
func available(bytes uint64) error {
	probe, err := unix.Mmap(-1, 0, int(bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON) //nolint:gosec // at most mostHuge
	if err != nil {
		return fmt.Errorf("huge pages: %w", err)
	}
	return unix.Munmap(probe)
}

// advise asks for them for all whole ones in block, which is not touched.
func advise(block []byte, size uint64) error {
	before := -uint64(reflect.ValueOf(block).Pointer()) & (size - 1)
	if err := unix.Madvise(block[before:before+(uint64(len(block))-before)/size*size], unix.MADV_HUGEPAGE); err != nil {
		return fmt.Errorf("huge pages: %w", err)
	}
	return nil
}
