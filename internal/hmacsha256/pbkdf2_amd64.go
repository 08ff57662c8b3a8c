//go:build !purego

package hmacsha256

import (
	"crypto/sha256"
	"crypto/subtle"

	"github.com/rookery-im/rookery/internal/sha256block"
)

// start is the state that every hash starts with (FIPS 180-4, 5.3.3).
var start = [Size]byte{
	0x6a, 0x09, 0xe6, 0x67, 0xbb, 0x67, 0xae, 0x85, 0x3c, 0x6e, 0xf3, 0x72, 0xa5, 0x4f, 0xf5, 0x3a,
	0x51, 0x0e, 0x52, 0x7f, 0x9b, 0x05, 0x68, 0x8c, 0x1f, 0x83, 0xd9, 0xab, 0x5b, 0xe0, 0xcd, 0x19,
}

func stretch(out *[Size]byte, password, salt []byte, rounds int) {
	if !accelerated {
		stretchStandard(out, password, salt, rounds)
		return
	}
	var k Key
	k.initAnyLength(password)
	k.sumFromStates(out, [][]byte{salt, {0, 0, 0, 1}})
	// Both hashes of a round take one sum and end alike, so that one block does
	// for all of them: only its first half changes.
	var block [blockSize]byte
	u := (*[Size]byte)(block[:])
	*u = *out
	copy(block[Size:], outerEnd[:])
	for range rounds - 1 {
		sha256block.Compress(u, &k.inner, &block[0], 1)
		sha256block.Compress(u, &k.outer, &block[0], 1)
		subtle.XORBytes(out[:], out[:], u[:])
	}
	clear(block[:])
	k.Wipe()
}

// initAnyLength is Init for a key that is not 32 bytes long.
func (k *Key) initAnyLength(key []byte) {
	var filled, block [blockSize]byte
	if len(key) > blockSize {
		sum := sha256.Sum256(key)
		copy(filled[:], sum[:])
		clear(sum[:])
	} else {
		copy(filled[:], key)
	}
	for i, b := range filled {
		block[i] = b ^ innerPad
	}
	sha256block.Compress(&k.inner, &start, &block[0], 1)
	for i, b := range filled {
		block[i] = b ^ outerPad
	}
	sha256block.Compress(&k.outer, &start, &block[0], 1)
	clear(filled[:])
	clear(block[:])
}
