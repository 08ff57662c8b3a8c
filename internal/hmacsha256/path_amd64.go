//go:build !purego

package hmacsha256

import "github.com/rookery-im/rookery/internal/sha256block"

// accelerated says that the processor has what the assembly uses; tests switch
// it. A Key is good for the path that it was made on.
var accelerated = sha256block.Available()

func (k *Key) init(key *[Size]byte) {
	if !accelerated {
		k.pad(key)
		return
	}
	sha256block.KeyStates(&k.inner, &k.outer, key)
}

func (k *Key) sum(out *[Size]byte, parts [][]byte) {
	if !accelerated {
		k.sumPadded(out, parts)
		return
	}
	k.sumFromStates(out, parts)
}

func (k *Key) sumPair(outA, outB *[Size]byte, a, b byte) {
	if !accelerated {
		k.sumPairPadded(outA, outB, a, b)
		return
	}
	k.sumPairFromStates(outA, outB, a, b)
}

func (k *Key) sumOfSum(out, message *[Size]byte) {
	if !accelerated {
		k.sumPadded(out, [][]byte{message[:]})
		return
	}
	k.sumOfSumFromStates(out, message)
}

func (k *Key) expandTwo(out *[2 * Size]byte, label *Label) {
	if !accelerated {
		k.expandTwoPadded(out, label)
		return
	}
	k.expandTwoFromStates(out, label)
}
