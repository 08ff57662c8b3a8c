package goheap

import (
	"os"
	"runtime"
	"runtime/debug"
)

const (
	// mostHuge bounds how much of the heap is on huge pages, in bytes, as a heapShare-th
	// of the memory that the process may have does.
	mostHuge = 2 << 30
	// largestHugePage is from where on one is too large for a heap that may be small.
	largestHugePage = 4 << 20
	// usedBefore is more than was allocated before main began, in bytes.
	usedBefore = 16 << 20
)

// UseHugePages asks the kernel to back the heap with huge pages as it grows, up to 2 GiB
// and an eighth of the memory that the machine or the control group has; beyond, and where
// there are none, it is as it was. To be called once, by main, before much is allocated
// and before CollectSeldom: what is in memory already stays on pages of the usual size.
// With a GOMEMLIMIT in the environment nothing is done.
//
// It allocates that much, advises the kernel of it, and lets it go untouched: Go fills
// the lowest addresses first. That Go clears each piece once more when it is used first
// is the price.
func UseHugePages() error {
	size := hugePageSize()
	if size == 0 || size > largestHugePage || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	bytes := min(mostHuge, memory()/heapShare) / size * size
	if bytes < 2*size {
		return nil
	}
	if err := available(bytes); err != nil { // Go would end the process
		return err
	}
	before := debug.SetGCPercent(-1)
	// Go would clear the whole block if its first page had been in use before.
	filler := make([]byte, usedBefore)
	err := advise(make([]byte, bytes), size)
	runtime.KeepAlive(filler)
	debug.SetGCPercent(before)
	runtime.GC()
	return err
}
