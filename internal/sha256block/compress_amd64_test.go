//go:build !purego

package sha256block

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"
)

// initial is the state that every hash starts with.
func initial(tb testing.TB) (state [Size]byte) {
	tb.Helper()
	if _, err := hex.Decode(state[:], []byte("6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19")); err != nil {
		tb.Fatal(err)
	}
	return state
}

// padded is a message as blocks.
func padded(message []byte) []byte {
	n := (len(message) + 9 + BlockSize - 1) / BlockSize * BlockSize
	b := append(make([]byte, 0, n), message...)
	b = append(b, 0x80)[:n]
	binary.BigEndian.PutUint64(b[n-8:], 8*uint64(len(message)))
	return b
}

func requireExtensions(tb testing.TB) bool {
	tb.Helper()
	if !Available() {
		tb.Log("this processor has no SHA extensions")
	}
	return Available()
}

func TestCompressIsSHA256(t *testing.T) {
	if !requireExtensions(t) {
		return
	}
	message := make([]byte, 0, 3000)
	for n := range cap(message) {
		if n%7 == 0 || n < 300 {
			blocks := padded(message)
			state := initial(t)
			Compress(&state, &state, &blocks[0], len(blocks)/BlockSize)
			if want := sha256.Sum256(message); state != want {
				t.Fatalf("%d bytes: %x, want %x", n, state, want)
			}
		}
		message = append(message, byte(n*n>>3))
	}
}

// Both results are those of Compress, wherever they are put.
func TestPairIsTwoCompressions(t *testing.T) {
	if !requireExtensions(t) {
		return
	}
	for n := range 100 {
		state := sha256.Sum256([]byte{byte(n)})
		var a, b [BlockSize]byte
		for i := range a {
			a[i], b[i] = byte(i*n), byte(i+7*n)
		}
		var wantA, wantB, gotA, gotB [Size]byte
		Compress(&wantA, &state, &a[0], 1)
		Compress(&wantB, &state, &b[0], 1)
		CompressPair(&gotA, &gotB, &state, &a, &b)
		if gotA != wantA || gotB != wantB {
			t.Fatalf("%d: %x and %x, want %x and %x", n, gotA, gotB, wantA, wantB)
		}
		CompressPair((*[Size]byte)(a[:]), (*[Size]byte)(b[:]), &state, &a, &b)
		if !bytes.Equal(a[:Size], wantA[:]) || !bytes.Equal(b[:Size], wantB[:]) {
			t.Fatalf("%d: another result in place", n)
		}
	}
}

func TestKeyStatesAreThoseOfPaddedKeys(t *testing.T) {
	if !requireExtensions(t) {
		return
	}
	for n := range 100 {
		key := sha256.Sum256([]byte{byte(n)})
		inner, outer := bytes.Repeat([]byte{0x36}, BlockSize), bytes.Repeat([]byte{0x5c}, BlockSize)
		for i, b := range key {
			inner[i] ^= b
			outer[i] ^= b
		}
		start := initial(t)
		var wantInner, wantOuter, gotInner, gotOuter [Size]byte
		Compress(&wantInner, &start, &inner[0], 1)
		Compress(&wantOuter, &start, &outer[0], 1)
		KeyStates(&gotInner, &gotOuter, &key)
		if gotInner != wantInner || gotOuter != wantOuter {
			t.Fatalf("key %x: other states", key)
		}
	}
}

// BenchmarkCompress shows what the second hash of a pair costs.
func BenchmarkCompress(b *testing.B) {
	if !requireExtensions(b) {
		return
	}
	var state, other [Size]byte
	var block [BlockSize]byte
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			Compress(&state, &state, &block[0], 1)
		}
	})
	b.Run("two", func(b *testing.B) {
		for b.Loop() {
			CompressPair(&state, &other, &state, &block, &block)
		}
	})
}
