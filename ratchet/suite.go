package ratchet

import (
	"fmt"
	"io"

	"github.com/cloudflare/circl/dh/x25519"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
)

// Suite names the curve that the ratchet keys live on. Everything else of the
// ratchet is the same in both suites.
type Suite uint8

const (
	// Secp256k1 is what every deployed client speaks, and the default.
	Secp256k1 Suite = 1
	// Curve25519 is what 5/SECURE-TRANSPORT says. Only installations that
	// both announce it use it.
	Curve25519 Suite = 2
)

// x25519Size is the length of a Curve25519 public key in bytes.
const x25519Size = 32

// bobPairInfo is the HKDF label under which the responder's first Curve25519
// ratchet pair is derived from SK, since a bundle carries no such key.
const bobPairInfo = "rookery/5-st/curve25519-ratchet1"

// String names the suite.
func (s Suite) String() string {
	switch s {
	case Secp256k1:
		return "secp256k1"
	case Curve25519:
		return "curve25519"
	}
	return fmt.Sprintf("suite %d", uint8(s))
}

// PublicKey is a ratchet public key as it stands in the header: 33 bytes in
// Secp256k1, 32 bytes in Curve25519. The zero value is no key. Comparable.
type PublicKey struct {
	n uint8
	b [curve.PublicKeySize]byte
}

// NewPublicKey takes the bytes of a header's ratchet key; only their number is
// checked (ErrHeader). Whether they are a point shows when they are used.
func NewPublicKey(b []byte) (PublicKey, error) {
	var p PublicKey
	if len(b) != x25519Size && len(b) != curve.PublicKeySize {
		return p, fmt.Errorf("%w: ratchet key of %d bytes", ErrHeader, len(b))
	}
	copy(p.b[:], b)
	p.n = uint8(len(b)) //nolint:gosec // 32 or 33
	return p, nil
}

// Bytes gives the encoded key; the slice is a copy.
func (p PublicKey) Bytes() []byte { return p.b[:p.n] }

// Append appends the key to b.
func (p *PublicKey) Append(b []byte) []byte { return append(b, p.b[:p.n]...) }

// IsZero tells whether there is no key.
func (p PublicKey) IsZero() bool { return p.n == 0 }

// KeyPair is a ratchet key pair. The private half redacts itself.
type KeyPair struct {
	Private secret.Key
	Public  PublicKey
}

// Wipe overwrites the private half.
func (k *KeyPair) Wipe() { k.Private.Wipe() }

// GenerateKeyPair draws a ratchet key pair from rand (32 bytes).
func (s Suite) GenerateKeyPair(rand io.Reader) (KeyPair, error) {
	switch s {
	case Secp256k1:
		k, err := curve.GenerateKey(rand)
		if err != nil {
			return KeyPair{}, err
		}
		defer k.Wipe()
		return KeyPair{Private: k.Scalar, Public: secpPublic(k.Pub)}, nil
	case Curve25519:
		k, err := secret.ReadKey(rand)
		if err != nil {
			return KeyPair{}, err
		}
		return x25519Pair(k), nil
	}
	return KeyPair{}, ErrSuite
}

// Secp256k1KeyPair makes a ratchet pair of a signed prekey: it is the
// responder's first one.
func Secp256k1KeyPair(k curve.PrivateKey) KeyPair {
	return KeyPair{Private: k.Scalar, Public: secpPublic(k.Pub)}
}

// Secp256k1PublicKey is the public counterpart of Secp256k1KeyPair.
func Secp256k1PublicKey(p curve.PublicKey) PublicKey { return secpPublic(p) }

// FirstCurve25519KeyPair derives the responder's first Curve25519 ratchet pair
// from SK. Both sides can compute it, so that the first flight is protected by
// SK alone; the first answer repairs that (docs/adr/0005).
func FirstCurve25519KeyPair(sk *secret.Key) KeyPair {
	var out, salt [keySize]byte
	ikm := sk.Array()
	expand(out[:], &ikm, &salt, bobPairLabel)
	k := secret.KeyOf(out)
	clear(out[:])
	clear(ikm[:])
	return x25519Pair(k)
}

// dh gives the Diffie-Hellman result. A point that is not on the curve, or one
// of low order, is refused. point is set to remote taken apart, unless it is that
// already.
func (s Suite) dh(pair *KeyPair, remote PublicKey, point *curve.Point) (secret.Key, error) {
	switch s {
	case Secp256k1:
		if remote.n != curve.PublicKeySize {
			return secret.Key{}, fmt.Errorf("%w: ratchet key of %d bytes", ErrHeader, remote.n)
		}
		if !point.Is(remote.b) {
			parsed, err := curve.PublicKey(remote.b).Point()
			if err != nil {
				return secret.Key{}, fmt.Errorf("%w: %w", ErrHeader, err)
			}
			*point = parsed
		}
		k := curve.PrivateKey{Scalar: pair.Private}
		shared, err := k.DHPoint(point)
		k.Wipe()
		if err != nil {
			return secret.Key{}, fmt.Errorf("%w: %w", ErrHeader, err)
		}
		return shared, nil
	case Curve25519:
		return dhCurve25519(pair, remote)
	}
	return secret.Key{}, ErrSuite
}

func secpPublic(p curve.PublicKey) PublicKey {
	return PublicKey{n: curve.PublicKeySize, b: p}
}

func x25519Pair(k secret.Key) KeyPair {
	pair := KeyPair{Private: k}
	var public, private x25519.Key
	copy(private[:], k.Bytes())
	x25519.KeyGen(&public, &private)
	clear(private[:])
	pair.Public.n = x25519Size
	copy(pair.Public.b[:], public[:])
	return pair
}

func dhCurve25519(pair *KeyPair, remote PublicKey) (secret.Key, error) {
	if remote.n != x25519Size {
		return secret.Key{}, fmt.Errorf("%w: ratchet key of %d bytes", ErrHeader, remote.n)
	}
	var shared, private, public x25519.Key
	copy(private[:], pair.Private.Bytes())
	copy(public[:], remote.b[:x25519Size])
	ok := x25519.Shared(&shared, &private, &public)
	clear(private[:])
	if !ok {
		return secret.Key{}, fmt.Errorf("%w: point of low order", ErrHeader)
	}
	k := secret.KeyOf(shared)
	clear(shared[:])
	return k, nil
}
