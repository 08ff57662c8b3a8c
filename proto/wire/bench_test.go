package wire

import "testing"

// BenchmarkDecode reads a message to one installation, as sent once the session
// is old and as sent with what begins it, and the bundle of three installations.
func BenchmarkDecode(b *testing.B) {
	message := func(input []byte) error { _, err := Decode(input); return err }
	header := drHeader(bytesField(1, point(6)), varintField(2, 7), varintField(3, 300), bytesField(4, point(3)))
	payload := bytesField(3, make([]byte, 200))
	for _, bench := range []struct {
		name   string
		input  []byte
		decode func([]byte) error
	}{
		{"ratchet", join(textField(2, "sender"), entry("recipient", header, payload)), message},
		{"initial", join(textField(2, "sender"), bytesField(3, bundle(mapEntry(2, "sender", signedPreKey()))), entry("recipient", x3dhHeader(), header, payload)), message},
		{"bundle", bundleOfMany(3), func(input []byte) error { _, err := DecodeBundle(input); return err }},
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
