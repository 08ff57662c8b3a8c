package hmacsha256

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"reflect"
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

func standard(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func sum(key *[Size]byte, parts ...[]byte) (out [Size]byte) {
	var k Key
	k.Init(key)
	k.Sum(&out, parts...)
	return out
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every length around several block boundaries, in one part.
func TestSumEqualsTheStandardLibrary(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		source := seeded("sum")
		for n := range 301 {
			key, message := [Size]byte(drawn(source, Size)), drawn(source, n)
			if got := sum(&key, message); !bytes.Equal(got[:], standard(key[:], message)) {
				t.Errorf("message of %d bytes: %x", n, got)
			}
		}
	})
}

// Wherever a message is cut in up to three parts, empty ones included, its sum
// is the same.
func TestSumDoesNotDependOnTheParts(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		source := seeded("parts")
		key := [Size]byte(drawn(source, Size))
		for _, n := range []int{0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 200} {
			message := drawn(source, n)
			want := standard(key[:], message)
			for i := 0; i <= n; i++ {
				for j := i; j <= n; j += 1 + (j-i)/9 {
					if got := sum(&key, message[:i], message[i:j], message[j:]); !bytes.Equal(got[:], want) {
						t.Fatalf("%d bytes cut at %d and %d: %x", n, i, j, got)
					}
				}
			}
		}
		if got := sum(&key); !bytes.Equal(got[:], standard(key[:])) {
			t.Errorf("no parts: %x", got)
		}
	})
}

// The lengths where a call of the compression function ends.
func TestSumOfLongMessages(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		source := seeded("long")
		key, message := [Size]byte(drawn(source, Size)), drawn(source, 3<<16)
		for _, n := range []int{1<<16 - 64, 1<<16 - 1, 1 << 16, 1<<16 + 1, 1<<16 + 63, 2<<16 + 64, 3 << 16} {
			if got := sum(&key, message[:n]); !bytes.Equal(got[:], standard(key[:], message[:n])) {
				t.Errorf("%d bytes: %x", n, got)
			}
			if got := sum(&key, message[:5], message[5:n]); !bytes.Equal(got[:], standard(key[:], message[:n])) {
				t.Errorf("%d bytes in two parts: %x", n, got)
			}
		}
	})
}

func TestSumTakesInputAtAnyAddress(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		source := seeded("address")
		area := drawn(source, 400)
		for offset := range 65 {
			key, message := (*[Size]byte)(area[offset:]), area[offset+1:offset+201]
			place := make([]byte, 100)
			out := (*[Size]byte)(place[offset:])
			var k Key
			k.Init(key)
			k.Sum(out, message)
			if !bytes.Equal(out[:], standard(key[:], message)) {
				t.Errorf("offset %d: %x", offset, *out)
			}
			clear(out[:])
			if !bytes.Equal(place, make([]byte, len(place))) {
				t.Errorf("offset %d: written beside the sum", offset)
			}
		}
	})
}

func TestSumPairEqualsTheStandardLibrary(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		source := seeded("pair")
		for a := range 256 {
			key, b := [Size]byte(drawn(source, Size)), byte(a*7+1)
			var k Key
			k.Init(&key)
			var outA, outB [Size]byte
			k.SumPair(&outA, &outB, byte(a), b)
			if !bytes.Equal(outA[:], standard(key[:], []byte{byte(a)})) || !bytes.Equal(outB[:], standard(key[:], []byte{b})) {
				t.Errorf("bytes %d and %d: %x and %x", a, b, outA, outB)
			}
		}
	})
}

// A key signs as often as asked; signing changes neither it nor what it signs.
func TestSigningChangesNothingElse(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		source := seeded("again")
		key, message := [Size]byte(drawn(source, Size)), drawn(source, 150)
		keyBefore, messageBefore := key, bytes.Clone(message)
		var k Key
		k.Init(&key)
		before := k
		want := standard(key[:], message)
		for range 3 {
			var out, a, b [Size]byte
			k.Sum(&out, message[:40], message[40:])
			k.SumPair(&a, &b, 1, 2)
			if !bytes.Equal(out[:], want) {
				t.Errorf("another sum: %x", out)
			}
		}
		if k.inner != before.inner || k.outer != before.outer || key != keyBefore || !bytes.Equal(message, messageBefore) {
			t.Error("the key or the message changed")
		}
	})
}

// RFC 4231, the test cases whose keys are not longer than ours: HMAC fills a
// short key with zeros.
func TestVectorsOfRFC4231(t *testing.T) {
	cases := []struct{ key, message, want string }{
		{
			"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
			"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
		},
		{
			"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
			"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		},
		{
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
			"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
		},
		{
			"0102030405060708090a0b0c0d0e0f10111213141516171819",
			"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
			"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
		},
	}
	onEveryPath(t, func(t *testing.T) {
		for i, c := range cases {
			var key [Size]byte
			copy(key[:], unhex(t, c.key))
			if got := sum(&key, unhex(t, c.message)); !bytes.Equal(got[:], unhex(t, c.want)) {
				t.Errorf("case %d: %x", i+1, got)
			}
		}
	})
}

func TestWipeOverwritesTheKey(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		key := [Size]byte(drawn(seeded("wipe"), Size))
		var k Key
		k.Init(&key)
		if k.inner == [Size]byte{} || k.outer == [Size]byte{} {
			t.Fatal("nothing to wipe")
		}
		k.Wipe()
		if k.inner != [Size]byte{} || k.outer != [Size]byte{} {
			t.Error("a wiped key still holds bytes")
		}
	})
}

func TestKeysCannotBeComparedWithTheOperator(t *testing.T) {
	if reflect.TypeFor[Key]().Comparable() {
		t.Error("== compiles for keys, and does not run in constant time")
	}
}

func TestNothingAllocates(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		var key, out, other [Size]byte
		var k, salt Key
		var okm [80]byte
		prefix, message := make([]byte, 41), make([]byte, 1000)
		laid := NewLabel("a label that is 32 bytes long...")
		for name, run := range map[string]func(){
			"Init":    func() { k.Init(&key) },
			"Sum":     func() { k.Sum(&out, prefix, message) },
			"SumPair": func() { k.SumPair(&out, &other, 1, 2) },
			"Extract": func() { salt.Init(&key); k.Extract(&salt, &out); k.Extract(nil, &out) },
			"Expand":  func() { k.Expand(okm[:], laid) },
			"Wipe":    func() { k.Wipe() },
		} {
			if n := testing.AllocsPerRun(100, run); n != 0 {
				t.Errorf("%s allocates %v times", name, n)
			}
		}
	})
}
