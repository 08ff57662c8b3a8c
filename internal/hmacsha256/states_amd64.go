//go:build !purego

package hmacsha256

import (
	"encoding/binary"

	"github.com/rookery-im/rookery/internal/sha256block"
)

// A hash state is 32 bytes: its eight words big-endian, as in a finished sum.
// So the last state of a hash is its sum, with nothing to convert.

// marker follows the message in its last block; the length ends that block.
const marker = 0x80

// outerEnd is what follows a message of one sum in its block, as that of the
// outer hash is: the marker, zeros, and the length of one padded key and one sum
// in bits.
var outerEnd = [blockSize - Size]byte{
	0:                    marker,
	blockSize - Size - 2: (blockSize + Size) * 8 >> 8,
	blockSize - Size - 1: (blockSize + Size) * 8 & 0xff,
}

func (k *Key) sumFromStates(out *[Size]byte, parts [][]byte) {
	var buf [2 * blockSize]byte // what has not filled a block yet, and the end
	state, next := &k.inner, new([Size]byte)
	n, total := 0, blockSize
	for _, p := range parts {
		total += len(p)
		if n > 0 {
			c := copy(buf[n:blockSize], p)
			n, p = n+c, p[c:]
			if n < blockSize {
				continue
			}
			sha256block.Compress(next, state, &buf[0], 1)
			state = next
		}
		for len(p) >= blockSize {
			whole := min(len(p)/blockSize, sha256block.MaxBlocks)
			sha256block.Compress(next, state, &p[0], whole)
			state, p = next, p[whole*blockSize:]
		}
		n = copy(buf[:], p)
	}
	end := blockSize
	if n > blockSize-9 {
		end = 2 * blockSize
	}
	clear(buf[n:end])
	buf[n] = marker
	binary.BigEndian.PutUint64(buf[end-8:], uint64(total)*8)
	sha256block.Compress((*[Size]byte)(buf[:]), state, &buf[0], end/blockSize)
	copy(buf[Size:], outerEnd[:])
	sha256block.Compress(out, &k.outer, &buf[0], 1)
	clear(buf[:])
	clear(next[:])
}

func (k *Key) sumPairFromStates(outA, outB *[Size]byte, a, b byte) {
	const bits = (blockSize + 1) * 8
	bufA := [blockSize]byte{0: a, 1: marker, blockSize - 2: bits >> 8, blockSize - 1: bits & 0xff}
	bufB := [blockSize]byte{0: b, 1: marker, blockSize - 2: bits >> 8, blockSize - 1: bits & 0xff}
	sha256block.CompressPair((*[Size]byte)(bufA[:]), (*[Size]byte)(bufB[:]), &k.inner, &bufA, &bufB)
	copy(bufA[Size:], outerEnd[:])
	copy(bufB[Size:], outerEnd[:])
	sha256block.CompressPair(outA, outB, &k.outer, &bufA, &bufB)
	clear(bufA[:])
	clear(bufB[:])
}

// sumOfSumFromStates is sum for a message as long as a sum.
func (k *Key) sumOfSumFromStates(out, message *[Size]byte) {
	var buf [blockSize]byte
	copy(buf[:], message[:])
	copy(buf[Size:], outerEnd[:])
	sha256block.Compress((*[Size]byte)(buf[:]), &k.inner, &buf[0], 1)
	sha256block.Compress(out, &k.outer, &buf[0], 1)
	clear(buf[:])
}

func (k *Key) expandTwoFromStates(out *[2 * Size]byte, label *Label) {
	t1, t2 := (*[Size]byte)(out[:]), (*[Size]byte)(out[Size:])
	var outer [blockSize]byte
	copy(outer[Size:], outerEnd[:])
	sha256block.Compress((*[Size]byte)(outer[:]), &k.inner, &label.one[0], 1)
	sha256block.Compress(t1, &k.outer, &outer[0], 1)
	two := label.two
	copy(two[:], t1[:])
	sha256block.Compress((*[Size]byte)(outer[:]), &k.inner, &two[0], 2)
	sha256block.Compress(t2, &k.outer, &outer[0], 1)
	clear(outer[:])
	clear(two[:Size])
}
