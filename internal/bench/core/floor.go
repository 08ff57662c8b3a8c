package core

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"

	"golang.org/x/crypto/sha3"

	"github.com/rookery-im/rookery/internal/aesctr"
	"github.com/rookery-im/rookery/internal/bench/measure"
	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/ratchet"
)

// How many SHA-256 compressions the steps of the ratchet have as specified. A key
// costs two of HMAC, one for each pad. The floor makes them one after the other;
// the row "least" leaves out what this package leaves out, and makes two at once
// where they do not wait for each other (floor_amd64_test.go).
const (
	chainBlocks = 2 + 2*2 // KDF_CK: two messages of one byte
	// KDF_RK gives 64 bytes (what deployed clients expand beyond that has no use):
	// extract 2 + 1 + 1, then one key with T(1) in 1 + 1 and T(2) in 2 + 1.
	rootBlocks = 4 + 2 + 2 + 3
	// A message key gives 80 bytes under a salt of zeros, whose pads are constants:
	// extract 1 + 1, then one key with T(1) in 1 + 1, T(2) and T(3) in 2 + 1 each.
	expandBlocks = 2 + 2 + 2 + 3 + 3
	// T(3) is an IV that nobody uses who draws it or has received it.
	ivBlocks = 3
)

// macBlocks is the MAC over header (41 bytes), IV (16) and ciphertext: both pads,
// the message with its padding (9 or more), and the outer message.
func macBlocks(plaintext int) int { return 2 + signedBlocks(plaintext) + 1 }

func signedBlocks(plaintext int) int { return (41 + 16 + plaintext + 9 + 63) / 64 }

// messageBlocks is one message in order: 24 for 100 bytes, 39 for 1 KiB.
func messageBlocks(plaintext int) int { return chainBlocks + expandBlocks + macBlocks(plaintext) }

// ivBytes is the length of an IV, which a ciphertext begins with.
const ivBytes = ratchet.Overhead - sha256.Size

// blocksOf is messageBlocks of the message with this ciphertext.
func blocksOf(ciphertext []byte) int { return messageBlocks(len(ciphertext) - ratchet.Overhead) }

// floor has the primitives of the product on fixed buffers: no message is taken
// apart, no key is, nothing is remembered and no result is used. What it shares
// with the product beside them: who encrypts reads the IV from the same randomness,
// and who decrypts reads the same ciphertexts, so that they are as far away in
// memory. Other randomness is left out.
// When the product gets other primitives, the methods below change and nothing
// else.
type floor struct {
	err    error // the first one
	blocks [64 * 64]byte
	states [4][32]byte
	text   [1024]byte
	sealed [1024 + ratchet.Overhead]byte // stands for the ciphertext of who encrypts

	key       curve.PrivateKey
	point     curve.Point
	digest    [32]byte
	signature curve.Signature
	hash      [32]byte
}

func newFloor() (*floor, error) {
	f := &floor{}
	var err1, err2, err3 error
	f.key, err1 = curve.GenerateKey(rand.Reader)
	f.point, err2 = f.key.Public().Point()
	f.signature, err3 = f.key.Sign(f.digest)
	return f, errors.Join(err1, err2, err3)
}

func (f *floor) must(err error) {
	if f.err == nil {
		f.err = err
	}
}

// way is the floor of an operation that has these primitives.
func (f *floor) way(name string, op func()) measure.Way {
	return measure.Each(name, func() error { op(); return f.err })
}

// sum is n compressions of crypto/sha256, at most 64. In one message, so that a
// block costs its compression and nothing else.
func (f *floor) sum(n int) {
	sum := sha256.Sum256(f.blocks[:64*n-9]) // which the padding fills up to n
	f.blocks[0] = sum[0]
}

// sumOver is n compressions, of which as many as it fills are over text.
func (f *floor) sumOver(text []byte, n int) {
	if whole := len(text) / sha256.BlockSize; whole > 0 {
		sum := sha256.Sum256(text[:64*whole-9])
		f.blocks[0] = sum[0]
		n -= whole
	}
	f.sum(n)
}

// aesCTR is AES-256-CTR of what a ciphertext has encrypted, under a key of its own.
func (f *floor) aesCTR(ciphertext []byte) {
	encrypted := ciphertext[ivBytes : len(ciphertext)-sha256.Size]
	aesctr.XORKeyStream(f.text[:], encrypted, (*[32]byte)(f.blocks[:]), (*[ivBytes]byte)(ciphertext))
}

// encrypt is one message in order for who sends it.
func (f *floor) encrypt(plaintext int) { f.decrypt(f.withIV(plaintext)) }

// decrypt is one message in order for who receives it.
func (f *floor) decrypt(ciphertext []byte) {
	f.compressOver(ciphertext, blocksOf(ciphertext))
	f.aesCTR(ciphertext)
}

// leastEncrypt and leastDecrypt leave out what this package spares.
func (f *floor) leastEncrypt(plaintext int) { f.leastDecrypt(f.withIV(plaintext)) }

func (f *floor) leastDecrypt(ciphertext []byte) {
	f.leastHashes(ciphertext)
	f.aesCTR(ciphertext)
}

// withIV draws the IV of a message and gives the buffer for its ciphertext.
func (f *floor) withIV(plaintext int) []byte {
	_, err := io.ReadFull(rand.Reader, f.sealed[:ivBytes])
	f.must(err)
	return f.sealed[:plaintext+ratchet.Overhead]
}

// multiply is the x coordinate of a multiple of a point.
func (f *floor) multiply() {
	_, err := f.key.DHPoint(&f.point)
	f.must(err)
}

// baseMultiply is the public key of a scalar.
func (f *floor) baseMultiply() {
	_, err := curve.NewPrivateKey(f.key.Scalar.Bytes())
	f.must(err)
}

func (f *floor) recoverSigner() {
	_, err := curve.Recover(f.digest, f.signature)
	f.must(err)
}

// keccak is Keccak-256 of n bytes.
func (f *floor) keccak(n int) {
	h := sha3.NewLegacyKeccak256()
	h.Write(f.blocks[:n])
	h.Sum(f.hash[:0])
}
