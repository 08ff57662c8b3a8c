//go:build !race

package sessionactor

// All is tried; see race_test.go.
const (
	oneIn       = 1
	interleaved = 3
)
