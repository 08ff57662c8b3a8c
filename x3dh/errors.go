package x3dh

import "errors"

// The causes this package reports. A bundle that gave one of them must leave
// no trace: nothing of it is kept.
var (
	// ErrUntrustedBundle is matched by every refusal of a bundle.
	ErrUntrustedBundle = errors.New("x3dh: bundle refused")
	// ErrBundleSignature: the signature is malformed or not by the identity
	// the bundle names.
	ErrBundleSignature = bundleError("signature is not by the identity it names")
	// ErrBundleKey: a key of the bundle is not a point on the curve.
	ErrBundleKey = bundleError("key is not on the curve")
	// ErrBundleEmpty: the bundle holds no signed prekey.
	ErrBundleEmpty = bundleError("no signed prekey")
	// ErrBundleAmbiguous: the signed bytes of the bundle can be read in more
	// than one way, since they have no separators.
	ErrBundleAmbiguous = bundleError("signed bytes have more than one reading")
	// ErrBundleTimestamp: the time of signing is before 2018 or more than one
	// day ahead.
	ErrBundleTimestamp = bundleError("timestamp out of range")
	// ErrBundleIdentity: the bundle is of another identity than expected.
	ErrBundleIdentity = bundleError("another identity's bundle")

	// ErrKey: a public key in an agreement is not a point on the curve.
	ErrKey = errors.New("x3dh: not a public key on the curve")
	// ErrDecrypt: a DH-only payload is too short or not authentic.
	ErrDecrypt = errors.New("x3dh: DH-only message authentication failed")
)

type bundleError string

// Error implements error.
func (e bundleError) Error() string { return "x3dh: bundle refused: " + string(e) }

// Is makes errors.Is(err, ErrUntrustedBundle) hold.
func (e bundleError) Is(target error) bool { return target == ErrUntrustedBundle }
