package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/hmacsha256"
	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/x3dh"
)

const (
	pointSize = curve.UncompressedSize
	ivSize    = aes.BlockSize
	macSize   = hmacsha256.Size
	// encryptionKeySize makes it AES-128: half of what the agreement gives.
	encryptionKeySize = 16

	// AsymmetricOverhead is how much longer an envelope for an identity is than
	// its inside, in bytes.
	AsymmetricOverhead = pointSize + ivSize + macSize
)

// SealFor signs data and encrypts it for an identity: ECIES on secp256k1 with
// AES-128-CTR and HMAC-SHA256. It draws the padding (1 to 256 bytes), the
// ephemeral key (as curve.GenerateKey does) and the IV (16 bytes) from rand. The
// result is R | IV | ciphertext | MAC, R being the ephemeral public key in its
// uncompressed form.
//
// Errors are ErrKey for a recipient that is not on the curve or a signer that is
// none, ErrTooLarge, ErrRandomness, and those of rand.
func SealFor(rand io.Reader, recipient x3dh.IdentityPublicKey, signer *x3dh.IdentityKey, data []byte) ([]byte, error) {
	inner, err := wrap(rand, signer, data, 0)
	if err != nil {
		return nil, err
	}
	defer clear(inner)
	ephemeral, err := curve.GenerateKey(rand)
	if err != nil {
		return nil, err
	}
	defer ephemeral.Wipe()
	shared, err := ephemeral.DH(curve.PublicKey(recipient))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	defer shared.Wipe()
	point, err := ephemeral.Pub.Uncompressed()
	if err != nil {
		return nil, fmt.Errorf("envelope: ephemeral key: %w", err)
	}

	wire := make([]byte, pointSize+ivSize+len(inner), AsymmetricOverhead+len(inner))
	copy(wire, point[:])
	iv := wire[pointSize : pointSize+ivSize]
	if _, err := io.ReadFull(rand, iv); err != nil {
		return nil, fmt.Errorf("envelope: read randomness: %w", err)
	}
	keys := expand(&shared)
	defer keys.wipe()
	if err := keys.crypt(wire[pointSize+ivSize:], iv, inner); err != nil {
		return nil, err
	}
	var mac [macSize]byte
	keys.sum(&mac, wire[pointSize:])
	return append(wire, mac[:]...), nil
}

// Sealed is an envelope for an identity, taken apart for being tried with many
// keys: where identities share a topic, only the MAC tells whose an envelope is.
// It aliases what it was parsed from. Several goroutines may use it at once.
type Sealed struct {
	point curve.Point // R
	body  []byte      // IV | ciphertext
	mac   []byte
}

// Parse takes an envelope for an identity apart: ErrMalformed if it is shorter
// than an envelope with nothing but flags, ErrPoint if its R is not on the curve.
// It does not know whether there is anybody who can open it.
func Parse(wire []byte) (Sealed, error) {
	if len(wire) <= AsymmetricOverhead {
		return Sealed{}, fmt.Errorf("%w: %d bytes for an identity", ErrMalformed, len(wire))
	}
	key, err := curve.ParseUncompressed(wire[:pointSize])
	if err != nil {
		return Sealed{}, ErrPoint
	}
	point, err := key.Point()
	if err != nil {
		return Sealed{}, ErrPoint
	}
	split := len(wire) - macSize
	return Sealed{point: point, body: wire[pointSize:split], mac: wire[split:]}, nil
}

// Open opens the envelope as the identity. If it is for another one this is
// known after a single multiplication on the curve, and costs no memory.
//
// An error is ErrKey for an identity key that is none or a Sealed that Parse has
// not made, ErrDecrypt, ErrMalformed, ErrSignature, or ErrUnsigned. With the
// last, and with no other, Data is what the envelope holds.
func (s *Sealed) Open(own *x3dh.IdentityKey) (Opened, error) {
	key, err := keyOf(own)
	if err != nil {
		return Opened{}, err
	}
	defer key.Wipe()
	shared, err := key.DHPoint(&s.point)
	if err != nil {
		return Opened{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	defer shared.Wipe()
	keys := expand(&shared)
	defer keys.wipe()
	var mac [macSize]byte
	keys.sum(&mac, s.body)
	if subtle.ConstantTimeCompare(mac[:], s.mac) != 1 {
		return Opened{}, ErrDecrypt
	}
	inner := make([]byte, len(s.body)-ivSize)
	if err := keys.crypt(inner, s.body[:ivSize], s.body[ivSize:]); err != nil {
		return Opened{}, err
	}
	return unwrap(inner)
}

// OpenWith is Parse and Open, for the only identity that can be meant.
func OpenWith(own *x3dh.IdentityKey, wire []byte) (Opened, error) {
	sealed, err := Parse(wire)
	if err != nil {
		return Opened{}, err
	}
	return sealed.Open(own)
}

// eciesKeys is what an agreement gives.
type eciesKeys struct {
	encryption [encryptionKeySize]byte
	mac        [sha256.Size]byte
}

// expand derives the keys from the x coordinate: one round of the concatenation
// KDF with SHA-256 gives both halves, and the MAC's is hashed once more.
func expand(shared *secret.Key) (keys eciesKeys) {
	var block [4 + secret.KeySize]byte
	block[3] = 1 // the number of the round
	copy(block[4:], shared.Bytes())
	both := sha256.Sum256(block[:])
	copy(keys.encryption[:], both[:encryptionKeySize])
	keys.mac = sha256.Sum256(both[encryptionKeySize:])
	clear(block[:])
	clear(both[:])
	return keys
}

// Format implements fmt.Formatter without the keys.
func (k eciesKeys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "keys of an envelope") }

func (k *eciesKeys) wipe() {
	clear(k.encryption[:])
	clear(k.mac[:])
}

// sum writes the MAC of IV | ciphertext.
func (k *eciesKeys) sum(out *[macSize]byte, body []byte) {
	var mac hmacsha256.Key
	defer mac.Wipe()
	mac.Init(&k.mac)
	mac.Sum(out, body)
}

// crypt encrypts or decrypts.
func (k *eciesKeys) crypt(dst, iv, src []byte) error {
	block, err := aes.NewCipher(k.encryption[:])
	if err != nil {
		return fmt.Errorf("envelope: aes: %w", err)
	}
	cipher.NewCTR(block, iv).XORKeyStream(dst, src)
	return nil
}
