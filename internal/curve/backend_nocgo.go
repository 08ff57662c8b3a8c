//go:build !cgo || windows || gofuzz

package curve

import (
	"gitlab.com/yawning/secp256k1-voi"
	"gitlab.com/yawning/secp256k1-voi/secec"

	"github.com/rookery-im/rookery/internal/secret"
)

// Backend names the implementation in use.
const Backend = "pure Go (secp256k1-voi)"

func decompress(p PublicKey) (Point, error) { return parse(p[:]) }

func parse(encoded []byte) (out Point, err error) {
	point, err := secp256k1.NewPointFromBytes(encoded)
	if err != nil || point.IsIdentity() == 1 {
		return out, ErrPublicKey
	}
	return coordinates(point), nil
}

func coordinates(point *secp256k1.Point) (out Point) {
	copy(out.xy[:], point.UncompressedBytes()[1:])
	return out
}

// canonicalScalar checks in constant time that 0 < k < n.
func canonicalScalar(k *secret.Key) (*secp256k1.Scalar, error) {
	s, err := secp256k1.NewScalarFromCanonicalBytes((*[secp256k1.ScalarSize]byte)(k.Bytes()))
	if err != nil || s.IsZero() == 1 {
		return nil, ErrPrivateKey
	}
	return s, nil
}

func basePoint(scalar *secret.Key) (p PublicKey, err error) {
	s, err := canonicalScalar(scalar)
	if err != nil {
		return p, err
	}
	defer s.Zero()
	copy(p[:], secp256k1.NewIdentityPoint().ScalarBaseMult(s).CompressedBytes())
	return p, nil
}

func multiply(scalar *secret.Key, point *Point) (shared secret.Key, err error) {
	s, err := canonicalScalar(scalar)
	if err != nil {
		return shared, err
	}
	defer s.Zero()
	p, err := secp256k1.NewPointFromCoords((*[secp256k1.CoordSize]byte)(point.xy[:32]), (*[secp256k1.CoordSize]byte)(point.xy[32:]))
	if err != nil {
		return shared, ErrPublicKey
	}
	defer p.Identity()
	x, err := p.ScalarMult(s, p).XBytes()
	if err != nil {
		return shared, ErrPublicKey
	}
	copy(shared.Bytes(), x)
	clear(x)
	return shared, nil
}

func sign(scalar *secret.Key, digest [32]byte) (sig Signature, err error) {
	s, err := canonicalScalar(scalar)
	if err != nil {
		return sig, err
	}
	defer s.Zero()
	key, err := secec.NewPrivateKeyFromScalar(s)
	if err != nil {
		return sig, ErrPrivateKey
	}
	r, rest, id, err := key.SignRaw(secec.RFC6979SHA256(), digest[:])
	if err != nil {
		return sig, ErrPrivateKey
	}
	copy(sig[:], secec.BuildCompactRecoverableSignature(r, rest, id))
	return sig, nil
}

func recoverKey(digest [32]byte, sig Signature) (p PublicKey, err error) {
	r, s, id, err := secec.ParseCompactRecoverableSignature(sig[:])
	if err != nil {
		return p, ErrSignature
	}
	key, err := secec.RecoverPublicKey(digest[:], r, s, id)
	if err != nil {
		return p, ErrSignature
	}
	copy(p[:], key.CompressedBytes())
	return p, nil
}
