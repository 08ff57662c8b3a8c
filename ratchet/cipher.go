package ratchet

import (
	"crypto/subtle"
	"fmt"
	"io"

	"github.com/rookery-im/rookery/internal/aesctr"
	"github.com/rookery-im/rookery/internal/hmacsha256"
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

// messageKeys are what one message key expands to: enc || auth || iv.
type messageKeys [2*keySize + ivSize]byte

func (k *messageKeys) enc() []byte          { return k[:keySize] }
func (k *messageKeys) auth() *[keySize]byte { return (*[keySize]byte)(k[keySize:]) }
func (k *messageKeys) iv() []byte           { return k[2*keySize:] }
func (k *messageKeys) wipe()                { clear(k[:]) }

// derive expands the message key. The IV is a quarter of the work, and only
// computed for who uses it.
func (k *messageKeys) derive(mk *secret.Key, withIV bool) {
	out := k[:]
	if !withIV {
		out = k[:2*keySize]
	}
	var prk hmacsha256.Key
	prk.Extract(nil, material(mk))
	prk.Expand(out, messageLabel)
	prk.Wipe()
}

// sign gives the MAC of the parts, one behind the other.
func (k *messageKeys) sign(mac *[macSize]byte, ad, header, body []byte) {
	var auth hmacsha256.Key
	auth.Init(k.auth())
	auth.Sum(mac, ad, header, body)
	auth.Wipe()
}

// seal encrypts one message: iv || AES-256-CTR || HMAC-SHA256(auth, ad ||
// header || iv || ciphertext).
func seal(mk *secret.Key, plaintext, ad []byte, h *Header, ivs IVSource, rand io.Reader) ([]byte, error) {
	var header [associatedDataSize]byte
	return sealParts(mk, plaintext, ad, h.appendTo(header[:0]), ivs, rand)
}

func sealParts(mk *secret.Key, plaintext, ad, header []byte, ivs IVSource, rand io.Reader) ([]byte, error) {
	return appendSealed(make([]byte, 0, len(plaintext)+Overhead), mk, plaintext, ad, header, ivs, rand)
}

// appendSealed appends the ciphertext to dst, which has room for it.
func appendSealed(dst []byte, mk *secret.Key, plaintext, ad, header []byte, ivs IVSource, rand io.Reader) ([]byte, error) {
	var keys messageKeys
	keys.derive(mk, ivs != RandomIV)
	defer keys.wipe()
	start := len(dst)
	sealed := dst[:start+len(plaintext)+Overhead]
	body, mac := sealed[start:len(sealed)-macSize], (*[macSize]byte)(sealed[len(sealed)-macSize:])
	iv := body[:ivSize]
	if ivs != RandomIV {
		copy(iv, keys.iv())
	} else if _, err := io.ReadFull(rand, iv); err != nil {
		return nil, fmt.Errorf("ratchet: read randomness: %w", err)
	}
	keys.xorKeyStream(body[ivSize:], plaintext, iv)
	keys.sign(mac, ad, header, body)
	return sealed, nil
}

// open checks the MAC and then decrypts; on any error it gives no plaintext.
func open(mk *secret.Key, ciphertext, ad []byte, h *Header) ([]byte, error) {
	var header [associatedDataSize]byte
	return openParts(mk, ciphertext, ad, h.appendTo(header[:0]))
}

func openParts(mk *secret.Key, ciphertext, ad, header []byte) ([]byte, error) {
	if len(ciphertext) < Overhead {
		return nil, fmt.Errorf("%w: %d bytes", ErrCiphertext, len(ciphertext))
	}
	var keys messageKeys
	keys.derive(mk, false)
	defer keys.wipe()
	body, mac := ciphertext[:len(ciphertext)-macSize], ciphertext[len(ciphertext)-macSize:]
	var want [macSize]byte
	keys.sign(&want, ad, header, body)
	if subtle.ConstantTimeCompare(want[:], mac) != 1 {
		return nil, ErrMAC
	}
	iv, encrypted := body[:ivSize], body[ivSize:]
	plaintext := make([]byte, len(encrypted))
	keys.xorKeyStream(plaintext, encrypted, iv)
	return plaintext, nil
}

// xorKeyStream is AES-256-CTR from src to dst, which do not overlap.
func (k *messageKeys) xorKeyStream(dst, src, iv []byte) {
	aesctr.XORKeyStream(dst, src, (*[keySize]byte)(k.enc()), (*[ivSize]byte)(iv))
}
