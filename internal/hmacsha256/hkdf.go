package hmacsha256

import "encoding/binary"

// maxExpand is what HKDF-Expand can give, in bytes.
const maxExpand = 255 * Size

// zeroSalt is the salt of 32 zeros that stands for none.
var zeroSalt = keyOfZeros()

func keyOfZeros() (k Key) {
	k.Init(new([Size]byte))
	return k
}

// Label is the info of an expansion, laid out once for all keys. It is public.
type Label struct {
	info []byte
	// The blocks that T(1) and T(2) hash under the key if the info has 32 bytes,
	// with room for T(1) at the beginning of the second.
	one [blockSize]byte
	two [2 * blockSize]byte
}

// NewLabel lays out an info of any length.
func NewLabel(info string) *Label {
	l := &Label{info: []byte(info)}
	if len(info) == Size {
		endMessage(l.one[:], append(l.one[:0], info+"\x01"...))
		endMessage(l.two[:], append(append(l.two[:Size], info...), 2))
	}
	return l
}

// endMessage ends a message that follows one padded key: the marker, zeros, and
// the length in bits. blocks has the message at its beginning.
func endMessage(blocks, message []byte) {
	blocks[len(message)] = 0x80
	binary.BigEndian.PutUint64(blocks[len(blocks)-8:], uint64(blockSize+len(message))*8)
}

// Extract makes k of the pseudorandom key of HKDF-Extract(salt, ikm). Without
// a salt (nil) it is 32 zeros, as RFC 5869 has it.
func (k *Key) Extract(salt *Key, ikm *[Size]byte) {
	if salt == nil {
		salt = &zeroSalt
	}
	var prk [Size]byte
	salt.sumOfSum(&prk, ikm)
	k.Init(&prk)
	clear(prk[:])
}

// Expand fills out with HKDF-Expand(k, label, len(out)); k is a pseudorandom
// key, as of Extract. It panics if out is longer than 255 sums.
func (k *Key) Expand(out []byte, label *Label) {
	if len(out) > maxExpand {
		panic("hmacsha256: more than 255 sums of one key")
	}
	var previous []byte
	counter := [1]byte{1}
	if len(out) >= 2*Size && len(label.info) == Size {
		k.expandTwo((*[2 * Size]byte)(out), label)
		previous, out = out[Size:2*Size], out[2*Size:]
		counter[0] = 3
	}
	for ; len(out) >= Size; out = out[Size:] {
		k.Sum((*[Size]byte)(out), previous, label.info, counter[:])
		previous = out[:Size]
		counter[0]++
	}
	if len(out) > 0 {
		var last [Size]byte
		k.Sum(&last, previous, label.info, counter[:])
		copy(out, last[:])
		clear(last[:])
	}
}
