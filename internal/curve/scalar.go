package curve

import (
	"encoding/binary"
	"math/bits"

	"github.com/rookery-im/rookery/internal/secret"
)

// validScalar tells in constant time whether 0 < k < n.
func validScalar(k *secret.Key) bool {
	b := k.Bytes()
	var any, borrow uint64
	for i := 3; i >= 0; i-- {
		w := binary.BigEndian.Uint64(b[8*i:])
		any |= w
		_, borrow = bits.Sub64(w, order[i], borrow)
	}
	nonZero := (any | -any) >> 63
	return nonZero&borrow == 1
}
