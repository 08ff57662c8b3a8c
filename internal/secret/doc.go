// Package secret holds the types that carry key material.
//
// It owns one promise: a secret does not leave the process by accident. Its
// types redact themselves in every fmt verb, in slog and in JSON, cannot be
// compared with ==, compare in constant time and can be wiped. It does not
// know what a key is for; the packages that use it give keys their meaning.
//
// Two things fmt does not let a type prevent: %p and %w with a Key that is
// neither a pointer nor an error (go vet refuses both), and printing a struct
// that holds a Key in an unexported field. Such a struct has to implement
// fmt.Formatter itself.
//
// Wiping is best effort: the Go runtime may have copied a value (a moved
// stack, a spilled register) where no code can reach it. SECURITY.md says so.
package secret
