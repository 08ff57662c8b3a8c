package curve

import (
	"encoding/hex"
	"fmt"
	"io"

	"github.com/rookery-im/rookery/internal/secret"
)

const (
	// PublicKeySize is the length of a compressed public key in bytes.
	PublicKeySize = 33
	// UncompressedSize is the length of an uncompressed public key in bytes.
	UncompressedSize = 65
	// maxKeyDraws bounds rejection sampling: one draw fails with probability
	// 2^-128, so a second failure already means a broken source.
	maxKeyDraws = 8
)

// PublicKey is a compressed secp256k1 point: 02 or 03, then the x coordinate.
// A value made by ParsePublicKey, by a PrivateKey or by Recover is on the
// curve; a converted array may not be, and then every use of it gives
// ErrPublicKey.
type PublicKey [PublicKeySize]byte

// ParsePublicKey accepts exactly 33 bytes that are a point on the curve.
func ParsePublicKey(b []byte) (PublicKey, error) {
	var p PublicKey
	if len(b) != PublicKeySize {
		return p, fmt.Errorf("%w: %d bytes", ErrPublicKey, len(b))
	}
	copy(p[:], b)
	if err := p.Check(); err != nil {
		return PublicKey{}, err
	}
	return p, nil
}

// ParseUncompressed accepts exactly 65 bytes, 04 || x || y, on the curve.
func ParseUncompressed(b []byte) (PublicKey, error) {
	if len(b) != UncompressedSize || b[0] != 4 {
		return PublicKey{}, fmt.Errorf("%w: %d bytes, uncompressed form wanted", ErrPublicKey, len(b))
	}
	point, err := parse(b)
	if err != nil {
		return PublicKey{}, err
	}
	return point.compressed(), nil
}

// Check tells whether the key is a point on the curve.
func (p PublicKey) Check() error {
	_, err := decompress(p)
	return err
}

// Uncompressed gives 04 || x || y.
func (p PublicKey) Uncompressed() ([UncompressedSize]byte, error) {
	point, err := decompress(p)
	if err != nil {
		return [UncompressedSize]byte{}, err
	}
	return point.uncompressed(), nil
}

// String gives the key in lower-case hexadecimal; it is public.
func (p PublicKey) String() string { return hex.EncodeToString(p[:]) }

// PrivateKey is a scalar together with its public key, so that the public key
// is computed once. Its scalar redacts itself when printed.
type PrivateKey struct {
	Scalar secret.Key
	Pub    PublicKey
}

// NewPrivateKey checks a 32-byte scalar and computes its public key.
func NewPrivateKey(scalar []byte) (PrivateKey, error) {
	k, err := secret.NewKey(scalar)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("%w: %d bytes", ErrPrivateKey, len(scalar))
	}
	pub, err := basePoint(&k)
	if err != nil {
		k.Wipe()
		return PrivateKey{}, err
	}
	return PrivateKey{Scalar: k, Pub: pub}, nil
}

// RestorePrivateKey takes a 32-byte scalar with the public key that was computed
// for it before, without computing it again; see Check.
func RestorePrivateKey(scalar []byte, pub PublicKey) (PrivateKey, error) {
	k, err := secret.NewKey(scalar)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("%w: %d bytes", ErrPrivateKey, len(scalar))
	}
	return PrivateKey{Scalar: k, Pub: pub}, nil
}

// Check computes the public key: ErrPrivateKey if the scalar is out of range,
// ErrMismatch if it has another one.
func (k *PrivateKey) Check() error {
	pub, err := basePoint(&k.Scalar)
	if err != nil {
		return err
	}
	if pub != k.Pub {
		return fmt.Errorf("%w: %v", ErrMismatch, k.Pub)
	}
	return nil
}

// KeySource is randomness that may also have keys ready that were drawn from
// it before.
type KeySource interface {
	io.Reader
	// TakeKey gives a key that nobody else has or gets; false when there is
	// none. It does not wait for one.
	TakeKey() (PrivateKey, bool)
}

// GenerateKey gives a fresh private key: one that rand has ready as a
// KeySource, else 32 bytes from rand, drawn again in the (practically
// impossible) case that they are not a valid scalar.
func GenerateKey(rand io.Reader) (PrivateKey, error) {
	if source, ok := rand.(KeySource); ok {
		if k, ok := source.TakeKey(); ok {
			return k, nil
		}
	}
	for range maxKeyDraws {
		k, err := secret.ReadKey(rand)
		if err != nil {
			return PrivateKey{}, err
		}
		pub, err := basePoint(&k)
		if err == nil {
			return PrivateKey{Scalar: k, Pub: pub}, nil
		}
		k.Wipe()
	}
	return PrivateKey{}, ErrRandomness
}

// Public gives the public key.
func (k *PrivateKey) Public() PublicKey { return k.Pub }

// DH gives the raw x coordinate of the Diffie-Hellman result, padded on the
// left to 32 bytes. The parity of the other side's point does not matter.
func (k *PrivateKey) DH(pub PublicKey) (secret.Key, error) {
	point, err := decompress(pub)
	if err != nil {
		return secret.Key{}, err
	}
	return k.DHPoint(&point)
}

// DHPoint is DH with a public key that has been taken apart before. The zero
// point gives ErrPublicKey.
func (k *PrivateKey) DHPoint(point *Point) (secret.Key, error) {
	if point.IsZero() {
		return secret.Key{}, ErrPublicKey
	}
	return multiply(&k.Scalar, point)
}

// IsZero tells whether the value holds no key.
func (k *PrivateKey) IsZero() bool { return k.Scalar.IsZero() }

// Wipe overwrites the scalar.
func (k *PrivateKey) Wipe() { k.Scalar.Wipe() }
