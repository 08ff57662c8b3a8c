package aesctr

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"testing"
)

// One key for each stream, as the ratchet has it.
func BenchmarkXORKeyStream(b *testing.B) {
	var key [32]byte
	var iv [16]byte
	for _, n := range []int{16, 100, 1 << 10, 16 << 10} {
		src, dst := make([]byte, n), make([]byte, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			benchmarkEveryPath(b, n, func() { XORKeyStream(dst, src, &key, &iv) })
			b.Run("cipher.NewCTR", func(b *testing.B) {
				measure(b, n, func() {
					block, err := aes.NewCipher(key[:])
					if err != nil {
						b.Fatal(err)
					}
					cipher.NewCTR(block, iv[:]).XORKeyStream(dst, src)
				})
			})
		})
	}
}

func measure(b *testing.B, n int, run func()) {
	b.Helper()
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}
