package waku

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// Encoded fields by hand, so that a test can write what no encoder would.

func bytesField(num protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), value)
}

func varintField(num protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), value)
}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

func segment(fields ...[]byte) []byte {
	return join(bytesField(1, make([]byte, 32)), bytesField(4, []byte("x")), join(fields...))
}

type refused struct {
	name   string
	input  []byte
	field  string
	reason error
}

func refusedMessages() []refused {
	group := join(protowire.AppendTag(nil, 9, protowire.StartGroupType), protowire.AppendTag(nil, 9, protowire.EndGroupType))
	return []refused{
		{"tag cut off", []byte{0x80}, "WakuMessage", ErrMalformed},
		{"field number 0", []byte{0, 0}, "WakuMessage", ErrMalformed},
		{"field number too high", append(protowire.AppendVarint(nil, (uint64(protowire.MaxValidNumber)+1)<<3), 0), "WakuMessage", ErrMalformed},
		{"length cut off", []byte{0x0a}, "WakuMessage", ErrMalformed},
		{"length beyond the end", []byte{0x0a, 2, 'a'}, "WakuMessage", ErrMalformed},
		{"length of 2^63", append([]byte{0x0a}, protowire.AppendVarint(nil, 1<<63)...), "WakuMessage", ErrMalformed},
		{"varint of 11 bytes", append([]byte{0x18}, bytes.Repeat([]byte{0x80}, 11)...), "WakuMessage", ErrMalformed},
		{"fixed32 cut off", []byte{0x4d, 1, 2, 3}, "WakuMessage", ErrMalformed},
		{"fixed64 cut off", []byte{0x49, 1, 2, 3}, "WakuMessage", ErrMalformed},
		{"group", group, "WakuMessage", ErrWireType},
		{"groups, deep", bytes.Repeat([]byte{0x4b}, 1<<16), "WakuMessage", ErrWireType},

		{"payload is a number", varintField(1, 1), "WakuMessage.payload", ErrWireType},
		{"payload twice", join(bytesField(1, nil), bytesField(1, nil)), "WakuMessage.payload", ErrDuplicateField},
		{"content topic is a number", varintField(2, 1), "WakuMessage.content_topic", ErrWireType},
		{"content topic twice", join(bytesField(2, nil), bytesField(2, nil)), "WakuMessage.content_topic", ErrDuplicateField},
		{"content topic not UTF-8", bytesField(2, []byte("/\xff")), "WakuMessage.content_topic", ErrTopic},
		{"content topic too long", bytesField(2, make([]byte, MaxTopicLength+1)), "WakuMessage.content_topic", ErrTopic},
		{"version is text", bytesField(3, []byte("1")), "WakuMessage.version", ErrWireType},
		{"version twice", join(varintField(3, 1), varintField(3, 1)), "WakuMessage.version", ErrDuplicateField},
		{"version of 33 bits", varintField(3, 1<<32), "WakuMessage.version", ErrRange},
		{"timestamp fixed", protowire.AppendFixed64(protowire.AppendTag(nil, 10, protowire.Fixed64Type), 1), "WakuMessage.timestamp", ErrWireType},
		{"timestamp twice", join(varintField(10, 1), varintField(10, 1)), "WakuMessage.timestamp", ErrDuplicateField},
		{"meta is a number", varintField(11, 1), "WakuMessage.meta", ErrWireType},
		{"meta twice", join(bytesField(11, nil), bytesField(11, nil)), "WakuMessage.meta", ErrDuplicateField},
		{"meta too long", bytesField(11, make([]byte, MaxMetaLength+1)), "WakuMessage.meta", ErrMetaLength},
		{"proof is a number", varintField(21, 1), "WakuMessage.rate_limit_proof", ErrWireType},
		{"proof twice", join(bytesField(21, nil), bytesField(21, nil)), "WakuMessage.rate_limit_proof", ErrDuplicateField},
		{"ephemeral is text", bytesField(31, nil), "WakuMessage.ephemeral", ErrWireType},
		{"ephemeral twice", join(varintField(31, 0), varintField(31, 1)), "WakuMessage.ephemeral", ErrDuplicateField},
		{"too large", bytesField(1, make([]byte, MaxReceivedSize-3)), "WakuMessage", ErrTooLarge},
	}
}

func refusedSegments() []refused {
	hash, payload := bytesField(1, make([]byte, 32)), bytesField(4, []byte("x"))
	return []refused{
		{"nothing", nil, "SegmentMessage.entire_message_hash", ErrNoSegment},
		{"no hash", payload, "SegmentMessage.entire_message_hash", ErrNoSegment},
		{"short hash", join(bytesField(1, make([]byte, 31)), payload), "SegmentMessage.entire_message_hash", ErrNoSegment},
		{"long hash", join(bytesField(1, make([]byte, 33)), payload), "SegmentMessage.entire_message_hash", ErrNoSegment},
		{"no payload", hash, "SegmentMessage.payload", ErrNoSegment},
		{"empty payload", join(hash, bytesField(4, nil)), "SegmentMessage.payload", ErrNoSegment},
		{"hash twice", segment(hash), "SegmentMessage.entire_message_hash", ErrDuplicateField},
		{"payload twice", segment(payload), "SegmentMessage.payload", ErrDuplicateField},
		{"hash is a number", varintField(1, 1), "SegmentMessage.entire_message_hash", ErrWireType},
		{"payload is a number", varintField(4, 1), "SegmentMessage.payload", ErrWireType},
		{"index is text", segment(bytesField(2, nil)), "SegmentMessage.index", ErrWireType},
		{"index twice", segment(varintField(2, 1), varintField(2, 1)), "SegmentMessage.index", ErrDuplicateField},
		{"index of 33 bits", segment(varintField(2, 1<<32)), "SegmentMessage.index", ErrRange},
		{"count of 33 bits", segment(varintField(3, 1<<32)), "SegmentMessage.segments_count", ErrRange},
		{"parity index of 33 bits", segment(varintField(5, 1<<32)), "SegmentMessage.parity_segment_index", ErrRange},
		{"parity count of 33 bits", segment(varintField(6, 1<<32)), "SegmentMessage.parity_segments_count", ErrRange},
		{"damaged", segment([]byte{0x22, 5}), "SegmentMessage", ErrMalformed},
		{"too large", segment(bytesField(9, make([]byte, MaxReceivedSize))), "SegmentMessage", ErrTooLarge},
		// What an application's own wrapper of a signed payload looks like, which
		// deployed clients take for a segment with that type as its count.
		{"other message", join(bytesField(1, make([]byte, 65)), bytesField(2, []byte("content")), varintField(3, 15)), "SegmentMessage.index", ErrWireType},
		{"ProtocolMessage", join(bytesField(2, []byte("installation")), bytesField(3, []byte("bundle"))), "SegmentMessage.index", ErrWireType},
		{"ProtocolMessage without an installation", bytesField(101, []byte("entry")), "SegmentMessage.entire_message_hash", ErrNoSegment},
	}
}

// T19, T22: what does not have the shape of the format is refused, with the
// field.
func TestShapesAreRefused(t *testing.T) {
	check := func(t *testing.T, cases []refused, decode func([]byte) error) {
		for _, test := range cases {
			err := decode(test.input)
			var refusal *FieldError
			if !errors.As(err, &refusal) || refusal.Field != test.field || !errors.Is(err, test.reason) {
				t.Errorf("%s: %v, want %s: %v", test.name, err, test.field, test.reason)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "waku: ") {
				t.Errorf("%s: %q does not say where it comes from", test.name, err)
			}
		}
	}
	check(t, refusedMessages(), func(b []byte) error { _, err := DecodeMessage(b); return err })
	check(t, refusedSegments(), func(b []byte) error { _, err := DecodeSegment(b); return err })
}

func TestLimitsAreInclusive(t *testing.T) {
	topic := strings.Repeat("t", MaxTopicLength)
	m, err := DecodeMessage(join(bytesField(2, []byte(topic)), bytesField(11, make([]byte, MaxMetaLength))))
	if err != nil || m.ContentTopic != topic || len(m.Meta) != MaxMetaLength {
		t.Errorf("longest topic and meta: %v", err)
	}
	largest := bytesField(1, make([]byte, MaxReceivedSize-4))
	if len(largest) != MaxReceivedSize {
		t.Fatalf("the largest message has %d bytes", len(largest))
	}
	if _, err := DecodeMessage(largest); err != nil {
		t.Errorf("largest message: %v", err)
	}
}

func TestUnknownFieldsAreSkipped(t *testing.T) {
	unknown := join(varintField(15, 7), bytesField(99, []byte("x")),
		protowire.AppendFixed32(protowire.AppendTag(nil, 40, protowire.Fixed32Type), 1),
		protowire.AppendFixed64(protowire.AppendTag(nil, 41, protowire.Fixed64Type), 1))
	m, err := DecodeMessage(join(unknown, bytesField(1, []byte("p")), unknown))
	if err != nil || string(m.Payload) != "p" {
		t.Errorf("message: %+v, %v", m, err)
	}
	s, err := DecodeSegment(join(unknown, segment(varintField(3, 2)), unknown))
	if err != nil || s.Count != 2 {
		t.Errorf("segment: %+v, %v", s, err)
	}
}

// TestDecodingKeepsToItself appends to what a decoder returned.
func TestDecodingKeepsToItself(t *testing.T) {
	input := join(bytesField(1, []byte("payload")), bytesField(11, []byte("meta")))
	before := bytes.Clone(input)
	m, err := DecodeMessage(input)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(m.Payload, 0xff)
	_ = append(m.Meta, 0xff)
	if !bytes.Equal(input, before) {
		t.Error("what is behind a decoded field can be overwritten")
	}
}
