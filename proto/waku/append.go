package waku

import "google.golang.org/protobuf/encoding/protowire"

// The functions below write nothing for an empty value, as proto3 has it.

func appendBytes(b []byte, field protowire.Number, value []byte) []byte {
	if len(value) == 0 {
		return b
	}
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), value)
}

func appendNumber(b []byte, field protowire.Number, value uint64) []byte {
	if value == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), value)
}

// appendOptional writes an empty value too, unless it is nil.
func appendOptional(b []byte, field protowire.Number, value []byte) []byte {
	if value == nil {
		return b
	}
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), value)
}
