package fingerprint

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/x3dh"
)

// published is the description of Signal's numeric fingerprints word for word,
// with the name that Signal has beside each key. It gives 30 digits.
func published(key []byte, name string) (digits string) {
	hash := slices.Concat([]byte{0, 0}, key, []byte(name))
	for range 5200 {
		h := sha512.New()
		h.Write(hash)
		h.Write(key)
		hash = h.Sum(nil)
	}
	for chunk := range slices.Chunk(hash[:30], 5) {
		digits += fmt.Sprintf("%05d", new(big.Int).Mod(new(big.Int).SetBytes(chunk), big.NewInt(100000)))
	}
	return digits
}

// both puts the lower half first.
func both(a, b string) string { return min(a, b) + max(a, b) }

func unhex(t *testing.T, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The description in this file is the right one: it gives the number that
// Signal's own tests have for these keys.
func TestDescriptionGivesSignalsNumber(t *testing.T) {
	alice := published(unhex(t, "0506863bc66d02b40d27b8d49ca7c09e9239236f9d7d25d6fcca5ce13c7064d868"), "+14152222222")
	bob := published(unhex(t, "05f781b6fb32fed9ba1cf2de978d4d5da28dc34046ae814402b5c0dbd96fda907b"), "+14153333333")
	if got, want := both(alice, bob), "300354477692869396892869876765458257569162576843440918079131"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

var known = []struct{ a, b, number string }{
	{
		"0224784abfe97e5cfd756975ca385ecb6a7e80c8c7d9e3e11b2a589553219cfa23",
		"02faec2e5b6055bda24196076b263e568787ba61e1877a572030978122c8cfac63",
		"40366 26932 66886 94403 28297 87106 44347 26559 62578 85261 43890 36719",
	},
	{
		"02faec2e5b6055bda24196076b263e568787ba61e1877a572030978122c8cfac63",
		"024c9043372bcdbbafe04e5f7607cd477739e1550cf4d4d6b7454d236e66cd8479",
		"33085 64493 18174 32258 55988 70676 40366 26932 66886 94403 28297 87106",
	},
	{ // a group that begins with a zero
		"03975510c80412d66de2fefe4e8e84a32d1abed50f8192b4ac0e88521a83e865cf",
		"0268d929ec8a61b80b2af96c222e9fe0ab90deaeffafbc7cdd5194fb6bb9374dbb",
		"09293 11521 91698 77463 34388 68263 75504 89895 79256 35467 30939 13927",
	},
}

func TestSafetyNumbersAreKnownAndOfTheDescription(t *testing.T) {
	form := regexp.MustCompile(`^[0-9]{5}( [0-9]{5}){11}$`)
	for _, c := range known {
		a, b := x3dh.IdentityPublicKey(unhex(t, c.a)), x3dh.IdentityPublicKey(unhex(t, c.b))
		got := SafetyNumber(a, b)
		if got != c.number || !form.MatchString(got) {
			t.Errorf("%s and %s: %s, want %s", a, b, got, c.number)
		}
		if want := both(published(a[:], ""), published(b[:], "")); strings.ReplaceAll(got, " ", "") != want {
			t.Errorf("%s and %s: %s, want the digits %s", a, b, got, want)
		}
		if other := SafetyNumber(b, a); other != got {
			t.Errorf("from the other side it is %s instead of %s", other, got)
		}
	}
}

func TestEveryByteOfAKeyChangesTheNumber(t *testing.T) {
	a, b := x3dh.IdentityPublicKey(unhex(t, known[0].a)), x3dh.IdentityPublicKey(unhex(t, known[0].b))
	seen := map[string]int{SafetyNumber(a, b): -1}
	for i := range a {
		changed := a
		changed[i] ^= 1
		number := SafetyNumber(changed, b)
		if other, found := seen[number]; found {
			t.Errorf("byte %d changes the number no more than byte %d", i, other)
		}
		seen[number] = i
	}
}

func BenchmarkSafetyNumber(b *testing.B) {
	for b.Loop() {
		SafetyNumber(x3dh.IdentityPublicKey{2}, x3dh.IdentityPublicKey{3})
	}
}
