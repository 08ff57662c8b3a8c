package hmacsha256

import "crypto/sha256"

// The portable path. The standard library's hash state stays on the stack as
// long as it is used in the function that makes it; its HMAC allocates two for
// each key.

// pad keeps the key in the form in which both hashes take it.
func (k *Key) pad(key *[Size]byte) {
	for i, b := range key {
		k.inner[i], k.outer[i] = b^innerPad, b^outerPad
	}
}

func (k *Key) sumPadded(out *[Size]byte, parts [][]byte) {
	var block [blockSize]byte
	fillBlock(&block, &k.inner, innerPad)
	h := sha256.New()
	h.Write(block[:])
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(out[:0])
	fillBlock(&block, &k.outer, outerPad)
	h.Reset()
	h.Write(block[:])
	h.Write(out[:])
	h.Sum(out[:0])
	h.Reset() // its state stands for the key
	clear(block[:])
}

// fillBlock fills a padded key up to one block.
func fillBlock(block *[blockSize]byte, key *[Size]byte, pad byte) {
	for i := copy(block[:], key[:]); i < blockSize; i++ {
		block[i] = pad
	}
}

func (k *Key) sumPairPadded(outA, outB *[Size]byte, a, b byte) {
	message := [1]byte{a}
	k.sumPadded(outA, [][]byte{message[:]})
	message[0] = b
	k.sumPadded(outB, [][]byte{message[:]})
}

func (k *Key) expandTwoPadded(out *[2 * Size]byte, label *Label) {
	t1, t2 := (*[Size]byte)(out[:]), (*[Size]byte)(out[Size:])
	counter := [1]byte{1}
	k.sumPadded(t1, [][]byte{label.info, counter[:]})
	counter[0] = 2
	k.sumPadded(t2, [][]byte{t1[:], label.info, counter[:]})
}
