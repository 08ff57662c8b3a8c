package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"io"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/x3dh"
)

const (
	nonceSize = 12
	tagSize   = 16

	// SymmetricOverhead is how much longer an envelope under a symmetric key is
	// than its inside, in bytes.
	SymmetricOverhead = tagSize + nonceSize
)

// SealSymmetric signs data and encrypts it under a key, with AES-256-GCM. It
// draws the padding (1 to 256 bytes) and the nonce (12 bytes) from rand. The
// result is ciphertext | tag | nonce.
//
// Errors are ErrKey for a key of zeros or a signer that is none, ErrTooLarge,
// ErrRandomness, and those of rand.
func SealSymmetric(rand io.Reader, key *secret.Key, signer *x3dh.IdentityKey, data []byte) ([]byte, error) {
	aead, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	inner, err := wrap(rand, signer, data, SymmetricOverhead)
	if err != nil {
		return nil, err
	}
	var nonce [nonceSize]byte
	if _, err := io.ReadFull(rand, nonce[:]); err != nil {
		return nil, fmt.Errorf("envelope: read randomness: %w", err)
	}
	return append(aead.Seal(inner[:0], nonce[:], inner, nil), nonce[:]...), nil
}

// OpenSymmetric opens what SealSymmetric made. The envelope is left as it is,
// and nothing of it is kept.
//
// An error is ErrKey for a key of zeros, ErrDecrypt, ErrMalformed, ErrSignature,
// or ErrUnsigned. With the last, and with no other, Data is what the envelope
// holds, for those who can do with the word of nobody.
func OpenSymmetric(key *secret.Key, wire []byte) (Opened, error) {
	aead, err := newGCM(key)
	if err != nil {
		return Opened{}, err
	}
	split := len(wire) - nonceSize
	if split < tagSize {
		return Opened{}, fmt.Errorf("%w: %d bytes under a symmetric key", ErrMalformed, len(wire))
	}
	inner, err := aead.Open(nil, wire[split:], wire[:split], nil)
	if err != nil {
		return Opened{}, ErrDecrypt
	}
	return unwrap(inner)
}

func newGCM(key *secret.Key) (cipher.AEAD, error) {
	if key.IsZero() {
		return nil, ErrKey
	}
	block, err := aes.NewCipher(key.Bytes())
	if err != nil {
		return nil, fmt.Errorf("envelope: aes: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("envelope: gcm: %w", err)
	}
	return aead, nil
}
