package sealing

import (
	"encoding/binary"
	"fmt"

	"github.com/rookery-im/rookery/persistence"
)

// headName is the record that the head lies in.
var headName = persistence.NewName(persistence.KindHead)

// head is what the store knows of itself. It is written with every batch of its
// user's, sealed as all values are:
//
//	offset  bytes
//	     0      4  format of the store, persistence.Format
//	     4     16  run
//	    20      8  counter
//	    28     16  previous run
//	    44      8  recovery
//	    52      1  flags: 1 recovery is pending, 2 the store was restored, 4 nothing is to be
//	           forgotten
//
// Later formats keep the first four bytes where they are.
type head struct {
	point
	// previous is the run before, zero for the first.
	previous [runBytes]byte
	// recovery is the number of the last recovery, 0 for none; pending says that
	// the user has not made its new start yet.
	recovery uint64
	pending  bool
	// restored makes the next Open a recovery.
	restored bool
	// clean says that no key that there is opens anything but live records, since the
	// last act of the run was a rotation that came to its end.
	clean bool
}

// point is a moment in the life of a store.
type point struct {
	// run is drawn at each Open.
	run [runBytes]byte
	// counter is the number of batches since the store was made.
	counter uint64
}

const (
	runBytes  = 16
	headBytes = 53

	flagPending  = 1
	flagRestored = 2
	flagClean    = 4
)

func (h *head) encode() []byte {
	value := make([]byte, 0, headBytes)
	value = binary.BigEndian.AppendUint32(value, persistence.Format)
	value = append(value, h.run[:]...)
	value = binary.BigEndian.AppendUint64(value, h.counter)
	value = append(value, h.previous[:]...)
	value = binary.BigEndian.AppendUint64(value, h.recovery)
	var flags byte
	if h.pending {
		flags |= flagPending
	}
	if h.restored {
		flags |= flagRestored
	}
	if h.clean {
		flags |= flagClean
	}
	return append(value, flags)
}

// decodeHead reads a head that has been opened. persistence.ErrNewerFormat,
// persistence.ErrCorrupt.
func decodeHead(value []byte) (head, error) {
	var h head
	if len(value) < 4 {
		return h, fmt.Errorf("%w: head of %d bytes", persistence.ErrCorrupt, len(value))
	}
	if format := binary.BigEndian.Uint32(value); format > persistence.Format {
		return h, fmt.Errorf("%w: store format %d, this one knows up to %d", persistence.ErrNewerFormat, format, persistence.Format)
	}
	if len(value) != headBytes {
		return h, fmt.Errorf("%w: head of %d bytes", persistence.ErrCorrupt, len(value))
	}
	h.run = [runBytes]byte(value[4:])
	h.counter = binary.BigEndian.Uint64(value[20:])
	h.previous = [runBytes]byte(value[28:])
	h.recovery = binary.BigEndian.Uint64(value[44:])
	h.pending = value[52]&flagPending != 0
	h.restored = value[52]&flagRestored != 0
	h.clean = value[52]&flagClean != 0
	return h, nil
}
