package goheap

import (
	"runtime"
	"runtime/debug"
)

// mostHuge bounds how much of the heap is on huge pages, in bytes, as a heapShare-th of
// the memory that the process may have does.
const mostHuge = 2 << 30

// UseHugePages asks the kernel to back the heap with huge pages as it grows, up to 2 GiB
// and an eighth of the memory that the machine or the control group has; beyond, and where
// there are none, it is as it was. To be called once, by main, before much is allocated:
// what is in memory already stays on pages of the usual size.
//
// It allocates that much, advises the kernel of it, and lets it go untouched: Go fills
// the lowest addresses first.
func UseHugePages() error {
	size := hugePageSize()
	if size == 0 {
		return nil
	}
	bytes := min(mostHuge, memory()/heapShare) / size * size
	if bytes < 2*size {
		return nil
	}
	before := debug.SetGCPercent(-1)
	err := advise(make([]byte, bytes), size)
	debug.SetGCPercent(before)
	runtime.GC()
	return err
}
