package curve

import (
	"encoding/binary"
	"math/bits"

	"github.com/rookery-im/rookery/internal/secret"
)

// validScalar tells in constant time whether 0 < k < n.
func validScalar(k *secret.Key) bool {
	b := k.Bytes()
	var joined, borrow uint64
	for i := 3; i >= 0; i-- {
		w := binary.BigEndian.Uint64(b[8*i:])
		joined |= w
		_, borrow = bits.Sub64(w, order[i], borrow)
	}
	nonZero := (joined | -joined) >> 63
	return nonZero&borrow == 1
}
