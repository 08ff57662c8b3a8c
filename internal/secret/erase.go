//go:build !goexperiment.runtimesecret || cgo || !linux || !(amd64 || arm64)

package secret

// Erases tells whether Do erases: in builds with GOEXPERIMENT=runtimesecret and without
// cgo (with it, Go 1.26 crashes where C is called in Do), on Linux,
// on amd64 and arm64.
const Erases = false

// Erasing tells whether Do is under way in this goroutine.
func Erasing() bool { return false }

// Do calls f, and erases nothing in this build.
func Do(f func()) { f() }
