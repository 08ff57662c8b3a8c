// Package remnants measures what is left of used keys in the memory of a process.
//
// It owns a child process that lets two sides talk, with the bare ratchet or with
// engines on a store, uses keys up and crashes, and the search of its core file (or,
// where there is none to be had, of its memory) for those keys. All of it is in the
// tests; "make remnants" runs them in a build that erases (GOEXPERIMENT=runtimesecret)
// and in one that does not.
//
// It does not know how the keys are wiped.
package remnants
