package wire

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// Encoded fields by hand, so that a test can write what no encoder would.

func bytesField(num protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), value)
}

func textField(num protowire.Number, value string) []byte {
	return bytesField(num, []byte(value))
}

func varintField(num protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), value)
}

func fixed32Field(num protowire.Number) []byte {
	return protowire.AppendFixed32(protowire.AppendTag(nil, num, protowire.Fixed32Type), 7)
}

func fixed64Field(num protowire.Number) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(nil, num, protowire.Fixed64Type), 7)
}

// group is a group field around its content.
func group(num protowire.Number, content []byte) []byte {
	b := protowire.AppendTag(nil, num, protowire.StartGroupType)
	b = append(b, content...)
	return protowire.AppendTag(b, num, protowire.EndGroupType)
}

func join(parts ...[]byte) []byte {
	return slices.Concat(parts...)
}

func mapEntry(num protowire.Number, key string, value []byte) []byte {
	return bytesField(num, join(textField(1, key), bytesField(2, value)))
}

// point is a PublicKey by its shape; it need not be on the curve.
func point(fill byte) []byte {
	return append([]byte{2}, bytes.Repeat([]byte{fill}, 32)...)
}

func publicKey(fill byte) PublicKey {
	return PublicKey(point(fill))
}

func signedPreKey() []byte {
	return join(bytesField(1, point(3)), varintField(2, 7), varintField(3, 1))
}

// bundle is a whole Bundle with the given fields in the place of its prekeys.
func bundle(preKeys ...[]byte) []byte {
	return join(
		bytesField(1, point(1)),
		join(preKeys...),
		bytesField(4, bytes.Repeat([]byte{9}, 65)),
		varintField(5, 1729728001000000000),
	)
}

func entry(recipient string, part ...[]byte) []byte {
	return mapEntry(101, recipient, join(part...))
}

func x3dhHeader() []byte {
	return bytesField(1, join(bytesField(1, point(4)), bytesField(4, point(3))))
}

func drHeader(fields ...[]byte) []byte {
	return bytesField(2, join(fields...))
}

func mustDecode(t *testing.T, b []byte) *Message {
	t.Helper()
	m, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
