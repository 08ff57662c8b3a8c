package aesctr

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
)

// shortStream is up to how many bytes it is faster to encrypt the counters one
// by one than to make a key stream, which takes another copy of all round keys.
const shortStream = 192

// xorPortable is the portable path.
func xorPortable(dst, src []byte, key *[32]byte, iv *[16]byte) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("aesctr: " + err.Error()) // of the length of the key alone
	}
	if len(src) < aes.BlockSize || len(src) > shortStream || &dst[0] == &src[0] {
		cipher.NewCTR(block, iv[:]).XORKeyStream(dst, src)
		return
	}
	// The counters are encrypted where the result will be: a buffer would be on
	// the heap. The first block is lent to the rest behind the whole blocks.
	blocks := uint64(len(src) / aes.BlockSize)
	whole := blocks * aes.BlockSize
	encryptCounter(block, dst, iv, blocks)
	subtle.XORBytes(dst[whole:], src[whole:], dst[:aes.BlockSize])
	for i := range blocks {
		encryptCounter(block, dst[i*aes.BlockSize:], iv, i)
	}
	subtle.XORBytes(dst[:whole], src[:whole], dst[:whole])
}

// encryptCounter puts block i of the key stream to the beginning of dst.
func encryptCounter(block cipher.Block, dst []byte, iv *[16]byte, i uint64) {
	low, carry := bits.Add64(binary.BigEndian.Uint64(iv[8:]), i, 0)
	binary.BigEndian.PutUint64(dst, binary.BigEndian.Uint64(iv[:])+carry)
	binary.BigEndian.PutUint64(dst[8:], low)
	block.Encrypt(dst[:aes.BlockSize], dst[:aes.BlockSize])
}
