package ratchet

import (
	"encoding/binary"

	"github.com/rookery-im/rookery/internal/curve"
)

// Header is what a message says of its place in the ratchet.
type Header struct {
	Key PublicKey // the sender's ratchet key
	N   uint32    // number of the message in its sending chain
	PN  uint32    // length of the sender's previous sending chain
}

// associatedDataSize is room for the longest encoded header.
const associatedDataSize = headerSize + curve.PublicKeySize

// appendTo appends the bytes that the MAC covers: N (LE32) || PN (LE32) || key.
func (h *Header) appendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, h.N)
	b = binary.LittleEndian.AppendUint32(b, h.PN)
	return append(b, h.Key.b[:h.Key.n]...)
}

// Encode gives the header as the MAC covers it: N (LE32) || PN (LE32) || key.
func (h Header) Encode() []byte {
	return h.appendTo(make([]byte, 0, associatedDataSize))
}
