//go:build !cgo

package curve

import (
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/rookery-im/rookery/internal/secret"
)

// Backend names the implementation in use.
const Backend = "pure Go (decred secp256k1)"

// compactMagic is what the compact form adds to the recovery id of a
// signature over a compressed key.
const compactMagic = 27 + 4

func decompress(p PublicKey) (out [UncompressedSize]byte, err error) {
	key, err := secp256k1.ParsePubKey(p[:])
	if err != nil {
		return out, ErrPublicKey
	}
	copy(out[:], key.SerializeUncompressed())
	return out, nil
}

func compress(uncompressed []byte) (p PublicKey, err error) {
	key, err := secp256k1.ParsePubKey(uncompressed)
	if err != nil {
		return p, ErrPublicKey
	}
	copy(p[:], key.SerializeCompressed())
	return p, nil
}

func basePoint(scalar *secret.Key) (p PublicKey, err error) {
	if !validScalar(scalar) {
		return p, ErrPrivateKey
	}
	key := secp256k1.PrivKeyFromBytes(scalar.Bytes())
	defer key.Zero()
	copy(p[:], key.PubKey().SerializeCompressed())
	return p, nil
}

func multiply(scalar *secret.Key, pub PublicKey) (shared secret.Key, err error) {
	if !validScalar(scalar) {
		return shared, ErrPrivateKey
	}
	point, err := secp256k1.ParsePubKey(pub[:])
	if err != nil {
		return shared, ErrPublicKey
	}
	key := secp256k1.PrivKeyFromBytes(scalar.Bytes())
	defer key.Zero()
	x := secp256k1.GenerateSharedSecret(key, point)
	copy(shared.Bytes(), x)
	clear(x)
	return shared, nil
}

func sign(scalar *secret.Key, digest [32]byte) (sig Signature, err error) {
	if !validScalar(scalar) {
		return sig, ErrPrivateKey
	}
	key := secp256k1.PrivKeyFromBytes(scalar.Bytes())
	defer key.Zero()
	compact := ecdsa.SignCompact(key, digest[:], true)
	copy(sig[:64], compact[1:])
	sig[64] = compact[0] - compactMagic
	return sig, nil
}

func recoverKey(digest [32]byte, sig Signature) (p PublicKey, err error) {
	var compact [SignatureSize]byte
	compact[0] = sig[64] + compactMagic
	copy(compact[1:], sig[:64])
	key, _, err := ecdsa.RecoverCompact(compact[:], digest[:])
	if err != nil {
		return p, ErrSignature
	}
	copy(p[:], key.SerializeCompressed())
	return p, nil
}
