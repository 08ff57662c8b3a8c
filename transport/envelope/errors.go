package envelope

import "errors"

// The causes this package reports. No error carries content or keys.
var (
	// ErrMalformed: what is outside or inside is too short, or a length inside
	// reaches beyond the end.
	ErrMalformed = errors.New("envelope: malformed")
	// ErrPoint: the ephemeral key of an envelope for an identity is not an
	// uncompressed point on the curve.
	ErrPoint = errors.New("envelope: ephemeral key is not on the curve")
	// ErrDecrypt: the envelope is for another key, or was changed on its way.
	ErrDecrypt = errors.New("envelope: not for this key, or changed")
	// ErrSignature: from the signature inside no signer can be computed.
	ErrSignature = errors.New("envelope: malformed signature")
	// ErrUnsigned: nobody has signed the envelope.
	ErrUnsigned = errors.New("envelope: not signed")
	// ErrKey: the symmetric key is zero, or a key of an identity is none.
	ErrKey = errors.New("envelope: unusable key")
	// ErrTooLarge: more than MaxData bytes to seal.
	ErrTooLarge = errors.New("envelope: data too large")
	// ErrRandomness: the source gives nothing but zeros.
	ErrRandomness = errors.New("envelope: random source gives only zeros")
)
