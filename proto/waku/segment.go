package waku

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rookery-im/rookery/proto/internal/fields"
)

const segmentName = "SegmentMessage"

// Segment is a SegmentMessage: one part of a whole that is too long for one
// envelope, or a part computed from the others that can stand in for one.
type Segment struct {
	// Hash is the Keccak-256 of the whole.
	Hash [32]byte
	// Index counts the data segments from 0, Count is how many there are. A
	// segment without a Count is a parity segment.
	Index, Count uint32
	Payload      []byte
	// ParityIndex counts the parity segments from 0, ParityCount is how many
	// there are. Both mean something in parity segments only.
	ParityIndex, ParityCount uint32
}

// IsParity tells a parity segment from a data segment.
func (s *Segment) IsParity() bool { return s.Count == 0 }

// DecodeSegment reads a SegmentMessage of at most MaxReceivedSize bytes, by the
// rules of DecodeMessage. An error says that the bytes are no segment; they may
// well be a ProtocolMessage that needed no cutting. The numbers in a segment are
// not looked at. Its payload aliases b.
func DecodeSegment(b []byte) (Segment, error) {
	var segment Segment
	var hash []byte
	s := fields.Scan(segmentName, b, MaxReceivedSize, refuse)
	for s.Next() {
		switch s.Num {
		case 1:
			hash = s.Bytes("entire_message_hash")
		case 2:
			segment.Index = s.Uint32("index")
		case 3:
			segment.Count = s.Uint32("segments_count")
		case 4:
			segment.Payload = s.Bytes("payload")
		case 5:
			segment.ParityIndex = s.Uint32("parity_segment_index")
		case 6:
			segment.ParityCount = s.Uint32("parity_segments_count")
		}
	}
	if len(hash) != len(segment.Hash) {
		s.Fail("entire_message_hash", ErrNoSegment)
	}
	if len(segment.Payload) == 0 {
		s.Fail("payload", ErrNoSegment)
	}
	if s.Err != nil {
		return Segment{}, s.Err
	}
	copy(segment.Hash[:], hash)
	return segment, nil
}

// Encode writes the segment by the rules of Message.Encode, without a limit.
func (s *Segment) Encode() []byte {
	const room = 64 // for all but the payload
	b := protowire.AppendTag(make([]byte, 0, room+len(s.Payload)), 1, protowire.BytesType)
	b = protowire.AppendBytes(b, s.Hash[:])
	b = appendNumber(b, 2, uint64(s.Index))
	b = appendNumber(b, 3, uint64(s.Count))
	b = appendBytes(b, 4, s.Payload)
	b = appendNumber(b, 5, uint64(s.ParityIndex))
	return appendNumber(b, 6, uint64(s.ParityCount))
}
