package curve

import (
	"encoding/binary"

	"golang.org/x/crypto/sha3"
)

// SignatureSize is the length of a recoverable signature in bytes:
// r (32) || s (32) || v (1, either 0 or 1).
const SignatureSize = 65

// Signature is a recoverable ECDSA signature in canonical low-s form.
type Signature [SignatureSize]byte

// halfOrder is (n-1)/2 of secp256k1, big endian: the largest s of the
// canonical form.
var halfOrder = [4]uint64{0x7fffffffffffffff, 0xffffffffffffffff, 0x5d576e7357a4501d, 0xdfe92f46681b20a0}

// order is n of secp256k1, big endian.
var order = [4]uint64{0xffffffffffffffff, 0xfffffffffffffffe, 0xbaaedce6af48a03b, 0xbfd25e8cd0364141}

// Sign signs a 32-byte digest with the deterministic nonce of RFC 6979; the
// result is in low-s form.
func (k *PrivateKey) Sign(digest [32]byte) (Signature, error) { return sign(&k.Scalar, digest) }

// Recover gives the key that signed the digest. Only one encoding of a
// signature is accepted: r and s in 1..n-1, s in its lower half, v 0 or 1, so
// that a signature cannot be changed into another valid one (T31).
func Recover(digest [32]byte, sig Signature) (PublicKey, error) {
	if !sig.canonical() {
		return PublicKey{}, ErrSignature
	}
	return recoverKey(digest, sig)
}

func (sig *Signature) canonical() bool {
	r, s := words(sig[:32]), words(sig[32:64])
	return sig[64] <= 1 && r != [4]uint64{} && s != [4]uint64{} && less(r, order) && !less(halfOrder, s)
}

func words(b []byte) (w [4]uint64) {
	for i := range w {
		w[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return w
}

// less compares public values only, so it need not run in constant time.
func less(a, b [4]uint64) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

// Keccak256 is the original Keccak padding with 256 bits of output, as used by
// Ethereum and the deployed clients; it is not SHA3-256.
func Keccak256(parts ...[]byte) (digest [32]byte) {
	h := sha3.NewLegacyKeccak256()
	for _, p := range parts {
		_, _ = h.Write(p)
	}
	h.Sum(digest[:0])
	return digest
}
