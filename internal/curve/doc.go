// Package curve is the one place where secp256k1 is computed: key generation,
// the x coordinate of a Diffie-Hellman result, recoverable signatures and
// Keccak-256.
//
// It owns the choice of the implementation: with cgo the libsecp256k1 that
// go-ethereum carries, without cgo decred's pure Go code (Backend names the
// one in use). It does not know what a key is for; x3dh and ratchet do.
package curve
