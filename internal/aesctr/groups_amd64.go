//go:build !purego

package aesctr

import (
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
)

const (
	groupBlocks = 8
	groupSize   = groupBlocks * 16 // in bytes
	// maxGroups bounds one call of xorGroups to 64 KiB, since assembly is not
	// interrupted.
	maxGroups = 1 << 16 / groupSize
)

// roundKeys are the 15 round keys of AES-256.
type roundKeys [15 * 16]byte

// firstGroup expands the key and encrypts the first eight counters meanwhile:
// an expansion waits for each of its steps, so that the blocks cost little.
//
//go:noescape
func firstGroup(stream *[groupSize]byte, keys *roundKeys, key *[32]byte, high, low uint64)

// xorGroups encrypts the counters of n groups (at least one), and adds them to
// what begins at src; the result begins at dst, which may be src.
//
//go:noescape
func xorGroups(dst, src *byte, n int, keys *roundKeys, high, low uint64)

//go:noescape
func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// xorInGroups is the path of the assembly, which knows only whole groups: the
// rest goes through a buffer.
func xorInGroups(dst, src []byte, key *[32]byte, iv *[16]byte) {
	var keys roundKeys
	var stream [groupSize]byte
	high, low := binary.BigEndian.Uint64(iv[:]), binary.BigEndian.Uint64(iv[8:])
	firstGroup(&stream, &keys, key, high, low)
	done, groups := subtle.XORBytes(dst, src, stream[:]), 1
	for done < len(src) {
		var carry uint64
		low, carry = bits.Add64(low, uint64(groups*groupBlocks), 0)
		high += carry
		dst, src = dst[done:], src[done:]
		if len(src) < groupSize {
			clear(stream[:])
			xorGroups(&stream[0], &stream[0], 1, &keys, high, low)
			subtle.XORBytes(dst, src, stream[:])
			break
		}
		groups = min(len(src)/groupSize, maxGroups)
		xorGroups(&dst[0], &src[0], groups, &keys, high, low)
		done = groups * groupSize
	}
	clear(stream[:])
	clear(keys[:])
}
