// Package goheap has Go's heap use the memory that there is: garbage is collected less
// often where memory allows it, and the kernel is asked for huge pages.
//
// It owns two settings of the whole process, the percentage of debug.SetGCPercent and
// the kernel's advice for the pages of the heap: a command that wants them calls
// CollectSeldom and UseHugePages, the engine does not. It knows nothing of identities.
// While the collector looks through the heap it takes most of a machine with
// few processors, and messages wait for some milliseconds; how often it comes depends on
// how much garbage may gather meanwhile. By default that is as much as what is in use.
package goheap
