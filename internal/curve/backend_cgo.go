//go:build cgo

package curve

import (
	"math/big"

	"github.com/ethereum/go-ethereum/crypto/secp256k1"

	"github.com/rookery-im/rookery/internal/secret"
)

// Backend names the implementation in use.
const Backend = "libsecp256k1 (cgo, go-ethereum)"

func decompress(p PublicKey) (out [UncompressedSize]byte, err error) {
	x, y := secp256k1.DecompressPubkey(p[:])
	if x == nil {
		return out, ErrPublicKey
	}
	out[0] = 4
	x.FillBytes(out[1:33])
	y.FillBytes(out[33:])
	return out, nil
}

// parity is the first byte of the compressed form.
func parity(y *big.Int) byte {
	if y.Bit(0) == 1 {
		return 3
	}
	return 2
}

func compress(uncompressed []byte) (p PublicKey, err error) {
	c := secp256k1.S256()
	x := new(big.Int).SetBytes(uncompressed[1:33])
	y := new(big.Int).SetBytes(uncompressed[33:])
	// A coordinate that is not reduced would be a second encoding of a point.
	if x.Cmp(c.P) >= 0 || y.Cmp(c.P) >= 0 || !c.IsOnCurve(x, y) {
		return p, ErrPublicKey
	}
	p[0] = parity(y)
	x.FillBytes(p[1:])
	return p, nil
}

func basePoint(scalar *secret.Key) (p PublicKey, err error) {
	if !validScalar(scalar) {
		return p, ErrPrivateKey
	}
	x, y := secp256k1.S256().ScalarBaseMult(scalar.Bytes())
	if x == nil {
		return p, ErrPrivateKey
	}
	p[0] = parity(y)
	x.FillBytes(p[1:])
	return p, nil
}

func multiply(scalar *secret.Key, pub PublicKey) (shared secret.Key, err error) {
	if !validScalar(scalar) {
		return shared, ErrPrivateKey
	}
	px, py := secp256k1.DecompressPubkey(pub[:])
	if px == nil {
		return shared, ErrPublicKey
	}
	x, _ := secp256k1.S256().ScalarMult(px, py, scalar.Bytes())
	if x == nil {
		return shared, ErrPublicKey
	}
	x.FillBytes(shared.Bytes())
	return shared, nil
}

func sign(scalar *secret.Key, digest [32]byte) (sig Signature, err error) {
	raw, err := secp256k1.Sign(digest[:], scalar.Bytes())
	if err != nil {
		return sig, ErrPrivateKey
	}
	copy(sig[:], raw)
	return sig, nil
}

func recoverKey(digest [32]byte, sig Signature) (p PublicKey, err error) {
	raw, err := secp256k1.RecoverPubkey(digest[:], sig[:])
	if err != nil {
		return p, ErrSignature
	}
	p[0] = 2 + raw[64]&1
	copy(p[1:], raw[1:33])
	return p, nil
}
