package x3dh

import (
	"fmt"
	"io"

	"github.com/rookery-im/rookery/internal/curve"
)

// PublicKeySize is the length of every public key in its compressed form.
const PublicKeySize = curve.PublicKeySize

// IdentityPublicKey is IK of somebody: who they are. Compressed, 33 bytes.
type IdentityPublicKey curve.PublicKey

// PreKeyPublic is the public half of a signed prekey, SPK. Compressed.
type PreKeyPublic curve.PublicKey

// EphemeralPublic is EK of an initiator. Compressed.
type EphemeralPublic curve.PublicKey

// ParseIdentity accepts a compressed (33 bytes) or uncompressed (65 bytes)
// identity key that is on the curve; otherwise ErrKey.
func ParseIdentity(b []byte) (IdentityPublicKey, error) {
	parse := curve.ParsePublicKey
	if len(b) == curve.UncompressedSize {
		parse = curve.ParseUncompressed
	}
	p, err := parse(b)
	if err != nil {
		return IdentityPublicKey{}, fmt.Errorf("%w: identity key of %d bytes", ErrKey, len(b))
	}
	return IdentityPublicKey(p), nil
}

// String gives the compressed key in hexadecimal.
func (p IdentityPublicKey) String() string { return curve.PublicKey(p).String() }

// Uncompressed gives 04 || x || y, the form that transport and topics use.
func (p IdentityPublicKey) Uncompressed() ([curve.UncompressedSize]byte, error) {
	return curve.PublicKey(p).Uncompressed()
}

// String gives the compressed key in hexadecimal.
func (p PreKeyPublic) String() string { return curve.PublicKey(p).String() }

// IdentityKey is the private identity key of a hosted identity.
type IdentityKey struct{ key curve.PrivateKey }

// GenerateIdentity draws an identity key (32 bytes from rand).
func GenerateIdentity(rand io.Reader) (IdentityKey, error) {
	k, err := curve.GenerateKey(rand)
	return IdentityKey{k}, err
}

// NewIdentity takes a 32-byte scalar; curve.ErrPrivateKey if it is out of
// range.
func NewIdentity(scalar []byte) (IdentityKey, error) {
	k, err := curve.NewPrivateKey(scalar)
	return IdentityKey{k}, err
}

// RestoreIdentity takes a 32-byte scalar with the public key that NewIdentity has
// computed for it before, without computing it again; see Check.
func RestoreIdentity(scalar []byte, public IdentityPublicKey) (IdentityKey, error) {
	k, err := curve.RestorePrivateKey(scalar, curve.PublicKey(public))
	return IdentityKey{k}, err
}

// Check computes the public key: curve.ErrMismatch if the scalar has another one than
// it was restored with, curve.ErrPrivateKey if it has none.
func (k *IdentityKey) Check() error { return k.key.Check() }

// Public gives IK.
func (k *IdentityKey) Public() IdentityPublicKey { return IdentityPublicKey(k.key.Public()) }

// Scalar gives the private scalar itself, for sealing it into a record. It
// must not be kept or logged.
func (k *IdentityKey) Scalar() []byte { return k.key.Scalar.Bytes() }

// SharedSecret is the static agreement of two identities: the raw x coordinate
// from which the negotiated topic is derived.
func (k *IdentityKey) SharedSecret(with IdentityPublicKey) ([32]byte, error) {
	s, err := k.key.DH(curve.PublicKey(with))
	if err != nil {
		return [32]byte{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return s.Array(), nil
}

// Wipe overwrites the private key.
func (k *IdentityKey) Wipe() { k.key.Wipe() }

// Format implements fmt.Formatter; only the public key is printed.
func (k IdentityKey) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "identity key of %s", k.Public())
}

// MarshalText implements encoding.TextMarshaler; only the public key is given.
func (k IdentityKey) MarshalText() ([]byte, error) { return fmt.Append(nil, k), nil }

// PreKey is the private half of a signed prekey of a hosted installation.
type PreKey struct{ key curve.PrivateKey }

// GeneratePreKey draws a signed prekey (32 bytes from rand).
func GeneratePreKey(rand io.Reader) (PreKey, error) {
	k, err := curve.GenerateKey(rand)
	return PreKey{k}, err
}

// NewPreKey takes a 32-byte scalar; curve.ErrPrivateKey if it is out of range.
func NewPreKey(scalar []byte) (PreKey, error) {
	k, err := curve.NewPrivateKey(scalar)
	return PreKey{k}, err
}

// RestorePreKey takes a 32-byte scalar with the public key that NewPreKey has computed
// for it before, without computing it again; see Check.
func RestorePreKey(scalar []byte, public PreKeyPublic) (PreKey, error) {
	k, err := curve.RestorePrivateKey(scalar, curve.PublicKey(public))
	return PreKey{k}, err
}

// Check computes the public key: curve.ErrMismatch if the scalar has another one than
// it was restored with, curve.ErrPrivateKey if it has none.
func (k *PreKey) Check() error { return k.key.Check() }

// Public gives SPK.
func (k *PreKey) Public() PreKeyPublic { return PreKeyPublic(k.key.Public()) }

// Pair gives the key itself: as the deployed ratchet has it, the responder's
// signed prekey is also its first ratchet key.
func (k *PreKey) Pair() curve.PrivateKey { return k.key }

// Scalar gives the private scalar itself, for sealing it into a record. It
// must not be kept or logged.
func (k *PreKey) Scalar() []byte { return k.key.Scalar.Bytes() }

// Wipe overwrites the private key.
func (k *PreKey) Wipe() { k.key.Wipe() }

// Format implements fmt.Formatter; only the public key is printed.
func (k PreKey) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "prekey of %s", k.Public())
}

// MarshalText implements encoding.TextMarshaler; only the public key is given.
func (k PreKey) MarshalText() ([]byte, error) { return fmt.Append(nil, k), nil }
