package hmacsha256

import "testing"

// The steps of one message of the ratchet.
func BenchmarkSteps(b *testing.B) {
	label := NewLabel("a label that is 32 bytes long...")
	var k Key
	var key, other [Size]byte
	var okm [80]byte
	header, message := make([]byte, 41), make([]byte, 1040)
	for _, step := range []struct {
		name string
		run  func()
	}{
		{"Init", func() { k.Init(&key) }},
		{"chain", func() { k.Init(&key); k.SumPair(&key, &other, 0x0f, 0x10) }},
		{"HKDF-64", func() { k.Extract(nil, &key); k.Expand(okm[:64], label) }},
		{"HKDF-80", func() { k.Extract(nil, &key); k.Expand(okm[:], label) }},
		{"MAC-100", func() { k.Init(&key); k.Sum(&key, header, message[:116]) }},
		{"MAC-1024", func() { k.Init(&key); k.Sum(&key, header, message) }},
	} {
		b.Run(step.name, func(b *testing.B) {
			benchmarkEveryPath(b, step.run)
		})
	}
}
