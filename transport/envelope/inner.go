package envelope

import (
	"fmt"
	"io"
	"slices"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/x3dh"
)

const (
	// MaxData is how much data an envelope can say the length of, in bytes.
	// Networks carry much less.
	MaxData = 1<<24 - 1

	// paddedTo is what the length of the inside is a multiple of.
	paddedTo = 256

	sizeMask   = 0x03 // of the flags: how many bytes the length has
	signedFlag = 0x04

	// maxDraws bounds how often a padding of zeros is drawn again: a single byte
	// fails so often with probability 2^-64.
	maxDraws = 8
)

// Opened is what was in an envelope.
type Opened struct {
	Data []byte
	// Signer is the identity that the signature was computed from: whoever made
	// this very envelope holds its key.
	Signer x3dh.IdentityPublicKey
}

// wrap builds the inside of an envelope, with room for extra bytes behind it.
// There are always 1 to 256 bytes of padding.
func wrap(rand io.Reader, signer *x3dh.IdentityKey, data []byte, extra int) ([]byte, error) {
	if len(data) > MaxData {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(data))
	}
	size := lengthSize(len(data))
	unpadded := 1 + size + len(data) + curve.SignatureSize
	total := unpadded + paddedTo - unpadded%paddedTo
	b := make([]byte, 0, total+extra)
	b = append(b, signedFlag|byte(size)) //nolint:gosec // 1 to 3
	for i := range size {
		b = append(b, byte(len(data)>>(8*i))) //nolint:gosec // the lowest byte is meant
	}
	b = append(b, data...)
	padding := b[len(b) : total-curve.SignatureSize]
	if err := drawPadding(rand, padding); err != nil {
		return nil, err
	}
	b = b[:len(b)+len(padding)]

	own, err := keyOf(signer)
	if err != nil {
		return nil, err
	}
	defer own.Wipe()
	sig, err := own.Sign(curve.Keccak256(b))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return append(b, sig[:]...), nil
}

// lengthSize is how many bytes the length of n bytes of data has.
func lengthSize(n int) int {
	size := 1
	for ; n > 0xff; n >>= 8 {
		size++
	}
	return size
}

func drawPadding(rand io.Reader, padding []byte) error {
	for range maxDraws {
		if _, err := io.ReadFull(rand, padding); err != nil {
			return fmt.Errorf("envelope: read randomness: %w", err)
		}
		if slices.ContainsFunc(padding, func(b byte) bool { return b != 0 }) {
			return nil
		}
	}
	return ErrRandomness
}

// keyOf is the key of a hosted identity as the curve takes it.
func keyOf(own *x3dh.IdentityKey) (curve.PrivateKey, error) {
	scalar, err := secret.NewKey(own.Scalar())
	if err != nil {
		return curve.PrivateKey{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return curve.PrivateKey{Scalar: scalar, Pub: curve.PublicKey(own.Public())}, nil
}

// unwrap reads the inside of an envelope; the result aliases it. As deployed,
// the padding may have any length and be missing, a length may have more bytes
// than it needs, without one all is padding, and other flags mean nothing.
func unwrap(b []byte) (Opened, error) {
	if len(b) == 0 {
		return Opened{}, fmt.Errorf("%w: nothing inside", ErrMalformed)
	}
	size := int(b[0] & sizeMask)
	end := len(b)
	signed := b[0]&signedFlag != 0
	if signed {
		// At least one byte stands between flags and signature.
		if end -= curve.SignatureSize; end < 2 {
			return Opened{}, fmt.Errorf("%w: %d bytes inside, with a signature", ErrMalformed, len(b))
		}
	}
	rest := b[1:end]
	if len(rest) < size {
		return Opened{}, fmt.Errorf("%w: length of %d bytes in %d", ErrMalformed, size, len(rest))
	}
	length := 0
	for i := range size {
		length |= int(rest[i]) << (8 * i)
	}
	if rest = rest[size:]; length > len(rest) {
		return Opened{}, fmt.Errorf("%w: %d bytes of data in %d", ErrMalformed, length, len(rest))
	}
	opened := Opened{Data: rest[:length]}
	if !signed {
		return opened, ErrUnsigned
	}
	signer, err := curve.Recover(curve.Keccak256(b[:end]), curve.Signature(b[end:]))
	if err != nil {
		return Opened{}, ErrSignature
	}
	opened.Signer = x3dh.IdentityPublicKey(signer)
	return opened, nil
}
