// Package curve is the one place where secp256k1 is computed: key generation,
// the x coordinate of a Diffie-Hellman result, recoverable signatures and
// Keccak-256.
//
// It owns the choice of the implementation: with cgo the libsecp256k1 that
// go-ethereum carries, without cgo the pure Go code of secp256k1-voi (Backend
// names the one in use). Both run in constant time where a secret is involved
// (docs/adr/0021). It does not know what a key is for; x3dh and ratchet do.
package curve
