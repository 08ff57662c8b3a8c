package waku

import "testing"

// BenchmarkDecode reads a message with all that deployed clients send, and a
// segment.
func BenchmarkDecode(b *testing.B) {
	m := Message{
		Payload: make([]byte, 1000), ContentTopic: "/waku/1/0x9c22ff5f/rfc26", Version: VersionEnvelope,
		Timestamp: 1_700_000_000_000_000_000, Meta: []byte{}, HasEphemeral: true,
	}
	message, err := m.Encode()
	if err != nil {
		b.Fatal(err)
	}
	part := segment(varintField(2, 1), varintField(3, 200))
	for _, bench := range []struct {
		name   string
		input  []byte
		decode func([]byte) error
	}{
		{"message", message, func(input []byte) error { _, err := DecodeMessage(input); return err }},
		{"segment", part, func(input []byte) error { _, err := DecodeSegment(input); return err }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := bench.decode(bench.input); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
