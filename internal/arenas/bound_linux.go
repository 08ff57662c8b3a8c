//go:build cgo

package arenas

/*
#include <malloc.h>
#include <stdlib.h>

static int bounded;

// The cache locks its shards: two arenas are enough. The limit is taken when the second
// thread allocates, which is before Go's main; other libraries than glibc have no arenas.
__attribute__((constructor)) static void bound(void) {
#ifdef __GLIBC__
	bounded = getenv("MALLOC_ARENA_MAX") != NULL || mallopt(M_ARENA_MAX, 2) == 1;
#else
	bounded = 1;
#endif
}

static int is_bounded(void) { return bounded; }
*/
import "C"

// bounded tells whether there is a bound, or nothing to bound.
func bounded() bool { return C.is_bounded() == 1 }
