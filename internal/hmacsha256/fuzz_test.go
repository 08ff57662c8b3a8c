package hmacsha256

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"testing"
)

// FuzzSum: whatever is signed, in whatever parts, and whatever is derived
// under the same key, each path has the results of the standard library.
func FuzzSum(f *testing.F) {
	for _, n := range []int{0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 200} {
		f.Add(bytes.Repeat([]byte{byte(n)}, 40), bytes.Repeat([]byte{7}, n), uint16(n/2), uint16(n))
	}
	f.Fuzz(func(t *testing.T, key, message []byte, cut, length uint16) {
		var short [Size]byte
		copy(short[:], key)
		at, n := int(cut)%(len(message)+1), int(length)%(maxExpand+1)
		wantSum := standard(short[:], message)
		wantOKM, err := hkdf.Expand(sha256.New, short[:], string(key), n)
		if err != nil {
			t.Fatal(err)
		}
		onEveryPath(t, func(t *testing.T) {
			var k Key
			k.Init(&short)
			var out, pairA, pairB [Size]byte
			k.Sum(&out, message[:at], message[at:])
			k.SumPair(&pairA, &pairB, byte(cut), byte(length))
			okm := make([]byte, n)
			k.Expand(okm, NewLabel(string(key)))
			if !bytes.Equal(out[:], wantSum) || !bytes.Equal(okm, wantOKM) ||
				!bytes.Equal(pairA[:], standard(short[:], []byte{byte(cut)})) ||
				!bytes.Equal(pairB[:], standard(short[:], []byte{byte(length)})) {
				t.Errorf("key %x, message %x cut at %d, %d bytes: sum %x, pair %x %x, derived %x", short, message, at, n, out, pairA, pairB, okm)
			}
		})
	})
}

// FuzzPBKDF2: whatever the password and the salt, each path has the key of the
// standard library.
func FuzzPBKDF2(f *testing.F) {
	for _, n := range []int{0, 1, 31, 32, 33, 51, 52, 55, 56, 63, 64, 65, 119, 128, 145} {
		f.Add(bytes.Repeat([]byte{byte(n)}, n), bytes.Repeat([]byte{7}, 145-n), byte(n))
	}
	f.Fuzz(func(t *testing.T, password, salt []byte, more byte) {
		rounds := 1 + int(more)%8
		want := standardPBKDF2(t, password, salt, rounds)
		onEveryPath(t, func(t *testing.T) {
			var got [Size]byte
			PBKDF2(&got, password, salt, rounds)
			if !bytes.Equal(got[:], want) {
				t.Errorf("password %x, salt %x, %d rounds: %x, want %x", password, salt, rounds, got, want)
			}
		})
	})
}
