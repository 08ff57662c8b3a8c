package ratchet

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"

	"github.com/rookery-im/rookery/internal/secret"
)

// IVSource says where the 16-byte IV on the wire comes from.
type IVSource uint8

const (
	// RandomIV draws the IV from the randomness given to Encrypt, so that even
	// a message key reused by a cloned state is no two-time pad. Receivers use
	// the IV they receive, so the wire does not mind.
	RandomIV IVSource = iota
	// UnsafeDerivedIV derives the IV from the message key, as the deployed
	// reference does. Only for reproducing recorded bytes.
	UnsafeDerivedIV
)

// messageKeys are what one message key expands to.
type messageKeys struct {
	enc  [keySize]byte
	auth [keySize]byte
	iv   [ivSize]byte
}

func (k *messageKeys) wipe() {
	clear(k.enc[:])
	clear(k.auth[:])
	clear(k.iv[:])
}

func deriveMessageKeys(mk *secret.Key) (k messageKeys) {
	var out [2*keySize + ivSize]byte
	var salt [keySize]byte
	ikm := mk.Array()
	expand(out[:], &ikm, &salt, messageInfo)
	copy(k.enc[:], out[:keySize])
	copy(k.auth[:], out[keySize:2*keySize])
	copy(k.iv[:], out[2*keySize:])
	clear(out[:])
	clear(ikm[:])
	return k
}

// seal encrypts one message: iv || AES-256-CTR || HMAC-SHA256(auth, ad ||
// header || iv || ciphertext).
//
// The buffer starts with the block that keys the inner hash, so that the MAC
// is computed over the message where it lies: one allocation for the output,
// two for AES.
func seal(mk *secret.Key, plaintext, ad []byte, h Header, ivs IVSource, rand io.Reader) ([]byte, error) {
	var header [associatedDataSize]byte
	return sealParts(mk, plaintext, ad, h.appendTo(header[:0]), ivs, rand)
}

func sealParts(mk *secret.Key, plaintext, ad, header []byte, ivs IVSource, rand io.Reader) ([]byte, error) {
	buf := make([]byte, 0, sealedSize(len(plaintext), len(ad), len(header)))
	buf, start, err := sealBehind(buf, mk, plaintext, ad, header, ivs, rand) //nolint:gosec // the IV is made there
	if err != nil {
		return nil, err
	}
	return buf[start:], nil
}

// sealedSize is what sealBehind appends, in bytes.
func sealedSize(plaintext, ad, header int) int {
	return blockSize + ad + header + plaintext + Overhead
}

// sealBehind appends the work area of the MAC and the ciphertext to dst, which
// has room for both; the ciphertext begins at start.
func sealBehind(dst []byte, mk *secret.Key, plaintext, ad, header []byte, ivs IVSource, rand io.Reader) (buf []byte, start int, err error) {
	keys := deriveMessageKeys(mk)
	defer keys.wipe()
	end := len(dst)
	buf = dst[:end+blockSize]
	padInto(buf[end:], &keys.auth, innerPad)
	buf = append(buf, ad...)
	buf = append(buf, header...)
	start = len(buf)
	buf = append(buf, keys.iv[:]...)
	iv := buf[start:]
	if ivs == RandomIV {
		if _, err := io.ReadFull(rand, iv); err != nil {
			clear(buf[end : end+blockSize])
			return nil, 0, fmt.Errorf("ratchet: read randomness: %w", err)
		}
	}
	buf = buf[:len(buf)+len(plaintext)]
	if err := xorKeyStream(buf[start+ivSize:], plaintext, iv, &keys); err != nil { //nolint:gosec // derived or random, see above
		clear(buf[end : end+blockSize])
		return nil, 0, err
	}
	mac := finishMAC(buf[end:], &keys)
	clear(buf[end : end+blockSize])
	return append(buf, mac[:]...), start, nil
}

// open checks the MAC and then decrypts; on any error it gives no plaintext.
func open(mk *secret.Key, ciphertext, ad []byte, h Header) ([]byte, error) {
	var header [associatedDataSize]byte
	return openParts(mk, ciphertext, ad, h.appendTo(header[:0]))
}

func openParts(mk *secret.Key, ciphertext, ad, header []byte) ([]byte, error) {
	if len(ciphertext) < Overhead {
		return nil, fmt.Errorf("%w: %d bytes", ErrCiphertext, len(ciphertext))
	}
	keys := deriveMessageKeys(mk)
	defer keys.wipe()
	body, mac := ciphertext[:len(ciphertext)-macSize], ciphertext[len(ciphertext)-macSize:]
	buf := make([]byte, blockSize, blockSize+len(ad)+len(header)+len(body))
	padInto(buf, &keys.auth, innerPad)
	buf = append(buf, ad...)
	buf = append(buf, header...)
	start := len(buf)
	buf = append(buf, body...)
	want := finishMAC(buf, &keys)
	clear(buf[:blockSize])
	if subtle.ConstantTimeCompare(want[:], mac) != 1 {
		return nil, ErrMAC
	}
	iv, plaintext := buf[start:start+ivSize], buf[start+ivSize:]
	if err := xorKeyStream(plaintext, plaintext, iv, &keys); err != nil {
		return nil, err
	}
	return plaintext, nil
}

// finishMAC takes the keyed inner block and the message in one buffer.
func finishMAC(buf []byte, keys *messageKeys) [macSize]byte {
	inner := sha256.Sum256(buf)
	return outerHash(&keys.auth, &inner)
}

func xorKeyStream(dst, src, iv []byte, keys *messageKeys) error {
	block, err := aes.NewCipher(keys.enc[:])
	if err != nil {
		return fmt.Errorf("ratchet: aes: %w", err)
	}
	cipher.NewCTR(block, iv).XORKeyStream(dst, src)
	return nil
}
