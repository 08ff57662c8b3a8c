package cell

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"github.com/rookery-im/rookery/persistence"
)

const (
	magic  = "rookcell"
	format = 1

	formatAt     = 8
	generationAt = formatAt + 4
	lengthAt     = generationAt + 8
	valueAt      = lengthAt + 4
	sumAt        = slotBytes - sha256.Size

	slotBytes = 4096
	fileBytes = 2 * slotBytes
)

// MaxValue is the longest value in bytes.
const MaxValue = sumAt - valueAt

// encodeSlot lays a value out over the whole slot: nothing of what the slot
// held before shows behind a shorter value.
func encodeSlot(slot []byte, generation uint64, value []byte) {
	clear(slot)
	copy(slot, magic)
	binary.BigEndian.PutUint32(slot[formatAt:], format)
	binary.BigEndian.PutUint64(slot[generationAt:], generation)
	binary.BigEndian.PutUint32(slot[lengthAt:], uint32(len(value))) //nolint:gosec // at most MaxValue
	copy(slot[valueAt:sumAt], value)
	sum := sha256.Sum256(slot[:sumAt])
	copy(slot[sumAt:], sum[:])
}

// decodeSlot reads a slot, the value as a part of it. A slot that is not what
// was written, for instance torn or destroyed, has generation 0. The error is
// persistence.ErrNewerFormat.
func decodeSlot(slot []byte) (generation uint64, value []byte, err error) {
	sum := sha256.Sum256(slot[:sumAt])
	if subtle.ConstantTimeCompare(sum[:], slot[sumAt:]) == 0 || string(slot[:formatAt]) != magic {
		return 0, nil, nil
	}
	if has := binary.BigEndian.Uint32(slot[formatAt:]); has > format {
		return 0, nil, fmt.Errorf("%w: cell format %d, this one knows up to %d", persistence.ErrNewerFormat, has, format)
	}
	length := binary.BigEndian.Uint32(slot[lengthAt:])
	if length > MaxValue {
		return 0, nil, nil
	}
	return binary.BigEndian.Uint64(slot[generationAt:]), slot[valueAt : valueAt+length], nil
}
