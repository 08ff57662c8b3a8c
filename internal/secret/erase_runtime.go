//go:build goexperiment.runtimesecret && !cgo && linux && (amd64 || arm64)

package secret

import "runtime/secret"

// Erases tells whether Do erases.
const Erases = true

// Erasing tells whether Do is under way in this goroutine.
func Erasing() bool { return secret.Enabled() }

// Do calls f and erases the registers and the stack that f has used; what f has
// allocated is erased when nothing refers to it any more and it is collected.
func Do(f func()) { secret.Do(f) }
