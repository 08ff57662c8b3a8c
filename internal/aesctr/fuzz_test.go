package aesctr

import (
	"bytes"
	"testing"
)

// FuzzXORKeyStream: whatever is encrypted, from whatever counter, each path has
// the result of the standard library.
func FuzzXORKeyStream(f *testing.F) {
	for _, n := range []int{0, 1, 16, 100, 127, 128, 129, 192, 193, 400} {
		f.Add(bytes.Repeat([]byte{byte(n)}, 32), bytes.Repeat([]byte{0xff}, n%17), bytes.Repeat([]byte{7}, n))
	}
	f.Fuzz(func(t *testing.T, keyBytes, counter, src []byte) {
		var key [32]byte
		var iv [16]byte
		copy(key[:], keyBytes)
		copy(iv[:], counter)
		onEveryPath(t, func(t *testing.T) { checkBothPlaces(t, src, &key, &iv) })
	})
}
