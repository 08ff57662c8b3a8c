package aesctr

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

func seeded(name string) *rand.ChaCha8 {
	return rand.NewChaCha8(sha256.Sum256([]byte(name)))
}

func drawn(source *rand.ChaCha8, n int) []byte {
	b := make([]byte, n)
	_, _ = source.Read(b)
	return b
}

// standard is the result of the standard library.
func standard(src []byte, key *[32]byte, iv *[16]byte) []byte {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	dst := make([]byte, len(src))
	cipher.NewCTR(block, iv[:]).XORKeyStream(dst, src)
	return dst
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkBothPlaces runs one stream from one place to another and in place.
func checkBothPlaces(t *testing.T, src []byte, key *[32]byte, iv *[16]byte) {
	t.Helper()
	want, before := standard(src, key, iv), bytes.Clone(src)
	dst := make([]byte, len(src))
	XORKeyStream(dst, src, key, iv)
	if !bytes.Equal(dst, want) {
		t.Fatalf("%d bytes from counter %x: another result", len(src), *iv)
	}
	if !bytes.Equal(src, before) {
		t.Fatalf("%d bytes: the source changed", len(src))
	}
	copy(dst, src)
	XORKeyStream(dst, dst, key, iv)
	if !bytes.Equal(dst, want) {
		t.Fatalf("%d bytes from counter %x, in place: another result", len(src), *iv)
	}
}

// NIST SP 800-38A, F.5.5 and F.5.6: CTR-AES256, and every beginning of it.
func TestVectorsOfNIST(t *testing.T) {
	key := [32]byte(unhex(t, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"))
	counter := [16]byte(unhex(t, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"))
	plaintext := unhex(t, "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"+
		"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
	ciphertext := unhex(t, "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"+
		"2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6")
	onEveryPath(t, func(t *testing.T) {
		for n := range len(plaintext) + 1 {
			got := make([]byte, n)
			if XORKeyStream(got, plaintext[:n], &key, &counter); !bytes.Equal(got, ciphertext[:n]) {
				t.Fatalf("encrypting %d bytes: %x", n, got)
			}
			if XORKeyStream(got, ciphertext[:n], &key, &counter); !bytes.Equal(got, plaintext[:n]) {
				t.Fatalf("decrypting %d bytes: %x", n, got)
			}
		}
	})
}

// All short lengths, and those around the end of a group of blocks and of one
// call of the assembly.
func TestStreamEqualsTheStandardLibrary(t *testing.T) {
	lengths := []int{1023, 1024, 1025}
	for n := range 601 {
		lengths = append(lengths, n)
	}
	for _, calls := range []int{1, 2} {
		for _, more := range []int{-129, -128, -127, -1, 0, 1, 127, 128, 129, 255, 256, 257} {
			lengths = append(lengths, calls<<16+more)
		}
	}
	onEveryPath(t, func(t *testing.T) {
		source := seeded("stream")
		for _, n := range lengths {
			key, iv := [32]byte(drawn(source, 32)), [16]byte(drawn(source, 16))
			keyBefore, ivBefore := key, iv
			checkBothPlaces(t, drawn(source, n), &key, &iv)
			if key != keyBefore || iv != ivBefore {
				t.Fatalf("%d bytes: the key or the counter changed", n)
			}
		}
	})
}

// Source, destination, key and counter may begin anywhere, and no byte beside
// the destination is touched.
func TestStreamAtAnyAddress(t *testing.T) {
	const guard = 0xa5
	onEveryPath(t, func(t *testing.T) {
		source := seeded("address")
		area := drawn(source, 512)
		place := make([]byte, 512)
		for _, n := range []int{0, 1, 15, 16, 17, 100, 127, 128, 129, 300} {
			for from := range 32 {
				src, key, iv := area[from:from+n], (*[32]byte)(area[from+1:]), (*[16]byte)(area[from+2:])
				want := standard(src, key, iv)
				for to := range 32 {
					for i := range place {
						place[i] = guard
					}
					XORKeyStream(place[to:], src, key, iv) // longer than the source
					if !bytes.Equal(place[to:to+n], want) {
						t.Fatalf("%d bytes from %d to %d: another result", n, from, to)
					}
					for i, b := range place {
						if (i < to || i >= to+n) && b != guard {
							t.Fatalf("%d bytes from %d to %d: written at %d", n, from, to, i)
						}
					}
				}
				copy(place[from:], src)
				if XORKeyStream(place[from:], place[from:from+n], key, iv); !bytes.Equal(place[from:from+n], want) {
					t.Fatalf("%d bytes in place at %d: another result", n, from)
				}
			}
		}
	})
}

// The counter is one number of 128 bits: a carry goes through any number of
// its bytes, at any block of a group and between groups, and out at the top.
func TestCounterIsANumberOf128Bits(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		source := seeded("counter")
		key, src := [32]byte(drawn(source, 32)), drawn(source, 400)
		for carried := range 17 { // bytes that become zero
			for before := range 26 { // blocks until then
				var iv [16]byte
				_, _ = source.Read(iv[:])
				setCounter(&iv, carried, before)
				checkBothPlaces(t, src, &key, &iv)
				checkBothPlaces(t, src[:100], &key, &iv)
			}
		}
	})
}

// The same where one call of the assembly ends.
func TestCounterCarriesBetweenCalls(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		source := seeded("calls")
		key, src := [32]byte(drawn(source, 32)), drawn(source, 1<<16+500)
		for _, carried := range []int{4, 8, 16} {
			for _, before := range []int{4095, 4096, 4097, 4103, 4104, 4105} {
				var iv [16]byte
				_, _ = source.Read(iv[:])
				setCounter(&iv, carried, before)
				checkBothPlaces(t, src, &key, &iv)
			}
		}
	})
}

// setCounter makes the low bytes of iv zero after so many blocks.
func setCounter(iv *[16]byte, low, before int) {
	for i := range low {
		iv[15-i] = byte(-before >> min(8*i, 62))
	}
}

func TestShortDestinationPanics(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		dst := make([]byte, 99, 200) // room behind it does not count
		defer func() {
			if recover() == nil || !bytes.Equal(dst[:200], make([]byte, 200)) {
				t.Error("no panic, or only after something was written")
			}
		}()
		XORKeyStream(dst, make([]byte, 100), new([32]byte), new([16]byte))
	})
}
