//go:build !race

package sealing_test

// oneIn says that of what is tried at every operation of the disk all is; see
// race_test.go.
const oneIn = 1
