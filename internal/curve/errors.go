package curve

import "errors"

// The causes this package reports. No error carries key material.
var (
	// ErrPublicKey reports bytes that are not a compressed point on the curve.
	ErrPublicKey = errors.New("curve: not a compressed public key on secp256k1")
	// ErrPrivateKey reports a scalar that is zero, not below the group order
	// or not 32 bytes long.
	ErrPrivateKey = errors.New("curve: private key out of range")
	// ErrMismatch reports a private key that was restored with a public key which
	// is not its own.
	ErrMismatch = errors.New("curve: private key of another public key")
	// ErrSignature reports a signature that is malformed, not in its canonical
	// low-s form, or from which no key can be recovered.
	ErrSignature = errors.New("curve: malformed signature")
	// ErrRandomness reports a source that keeps giving unusable bytes.
	ErrRandomness = errors.New("curve: random source gives no valid private key")
)
