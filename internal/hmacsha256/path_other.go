//go:build !amd64 || purego

package hmacsha256

func (k *Key) init(key *[Size]byte)                      { k.pad(key) }
func (k *Key) sum(out *[Size]byte, parts [][]byte)       { k.sumPadded(out, parts) }
func (k *Key) sumPair(outA, outB *[Size]byte, a, b byte) { k.sumPairPadded(outA, outB, a, b) }

func (k *Key) sumOfSum(out, message *[Size]byte)           { k.sumPadded(out, [][]byte{message[:]}) }
func (k *Key) expandTwo(out *[2 * Size]byte, label *Label) { k.expandTwoPadded(out, label) }

func stretch(out *[Size]byte, password, salt []byte, rounds int) {
	stretchStandard(out, password, salt, rounds)
}
