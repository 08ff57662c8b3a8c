// Package arenas bounds how much memory the C library keeps for threads that may want it.
//
// It owns one switch of the whole process, set before the process has a second thread: a
// command that wants it imports the package, the engine does not. The block cache of the
// store is allocated by C. glibc lets each thread allocate from an arena of its own, up to
// eight for each processor, and what is freed in one of them is no good for the others: of
// a cache that is full all the time as much again lies idle. A bound in the environment
// (MALLOC_ARENA_MAX) stays.
package arenas
