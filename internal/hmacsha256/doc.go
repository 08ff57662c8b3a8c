// Package hmacsha256 is HMAC-SHA256 (RFC 2104) and HKDF-SHA256 (RFC 5869)
// under keys of 32 bytes, for the symmetric step of the ratchet, and
// PBKDF2-HMAC-SHA256 (RFC 8018) for the keys of topics.
//
// It owns the keyed states that an HMAC begins with, so that a key that signs
// several times is hashed once, and the assembly that computes them
// (docs/adr/0020). It does not know what is authenticated or derived.
//
// There are two paths with the same results. On amd64 with the SHA extensions
// the compression function is called directly, two independent states at a
// time where the algorithms allow it. Everywhere else, and with the build tag
// purego, crypto/sha256 does the work.
//
// Nothing here allocates memory but NewLabel and, on the portable path, PBKDF2,
// and every function clears the buffers of its own that held keys; the standard
// library's PBKDF2 takes its password as a string, which nobody clears. A Key must
// not be used while another goroutine makes or wipes it; several may sign with
// it at once.
package hmacsha256
