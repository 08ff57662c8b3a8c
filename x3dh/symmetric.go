package x3dh

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"io"

	"github.com/rookery-im/rookery/internal/secret"
)

const gcmNonceSize = 12

// SealSymmetric is AES-256-GCM as a DH-only payload has it: ciphertext || nonce,
// with the nonce (12 bytes) drawn from rand.
func SealSymmetric(key *secret.Key, plaintext []byte, rand io.Reader) ([]byte, error) {
	aead, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	var nonce [gcmNonceSize]byte
	if _, err := io.ReadFull(rand, nonce[:]); err != nil {
		return nil, fmt.Errorf("x3dh: read randomness: %w", err)
	}
	payload := aead.Seal(make([]byte, 0, len(plaintext)+aead.Overhead()+gcmNonceSize), nonce[:], plaintext, nil)
	return append(payload, nonce[:]...), nil
}

// OpenSymmetric decrypts what SealSymmetric made; ErrDecrypt otherwise.
func OpenSymmetric(key *secret.Key, payload []byte) ([]byte, error) {
	if len(payload) < gcmNonceSize {
		return nil, fmt.Errorf("%w: payload of %d bytes", ErrDecrypt, len(payload))
	}
	aead, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	split := len(payload) - gcmNonceSize
	plaintext, err := aead.Open(nil, payload[split:], payload[:split], nil)
	if err != nil {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}

func newGCM(key *secret.Key) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key.Bytes())
	if err != nil {
		return nil, fmt.Errorf("x3dh: aes: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("x3dh: gcm: %w", err)
	}
	return aead, nil
}
