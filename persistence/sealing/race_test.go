//go:build race

package sealing_test

// oneIn says that of what is tried at every operation of the disk one in so many
// is: the race detector makes each ten times as dear, and what it looks for is
// in all of them. Without it all are tried.
const oneIn = 3
