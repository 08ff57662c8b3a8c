package hmacsha256

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"testing"
)

// All lengths of output, labels of the length that the ratchet uses and of
// others, with a salt and without.
func TestExtractAndExpandEqualTheStandardLibrary(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		source := seeded("hkdf")
		for i := range 2 * 301 {
			n := i / 2
			ikm, salt := [Size]byte(drawn(source, Size)), [Size]byte(drawn(source, Size))
			info := string(drawn(source, []int{0, 1, 22, 23, 100}[n%5]))
			if i%2 == 0 {
				info = string(drawn(source, Size))
			}
			var prk, salted Key
			if n%4 == 0 {
				clear(salt[:])
				prk.Extract(nil, &ikm)
			} else {
				salted.Init(&salt)
				prk.Extract(&salted, &ikm)
			}
			want, err := hkdf.Key(sha256.New, ikm[:], salt[:], info, n)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, n)
			prk.Expand(got, NewLabel(info))
			if !bytes.Equal(got, want) {
				t.Errorf("%d bytes, label of %d, without salt: %v: %x", n, len(info), n%4 == 0, got)
			}
		}
	})
}

// RFC 5869, the cases of SHA-256. Their key material is not of 32 bytes, so
// that the extraction is a plain sum under the salt: filled with zeros or
// hashed, as HMAC does with keys that do not fit.
func TestVectorsOfRFC5869(t *testing.T) {
	counting := func(first byte, n int) (b []byte) {
		for i := range n {
			b = append(b, first+byte(i))
		}
		return b
	}
	repeated := bytes.Repeat([]byte{0x0b}, 22)
	cases := []struct {
		ikm, salt, info []byte
		prk, okm        string
	}{
		{
			repeated, counting(0x00, 13), counting(0xf0, 10),
			"077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
			"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
		},
		{
			counting(0x00, 80), counting(0x60, 80), counting(0xb0, 80),
			"06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
			"b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c" +
				"59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71" +
				"cc30c58179ec3e87c14c01d5c1f3434f1d87",
		},
		{
			repeated, nil, nil,
			"19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
			"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
		},
	}
	onEveryPath(t, func(t *testing.T) {
		for i, c := range cases {
			var salt [Size]byte
			if copy(salt[:], c.salt) < len(c.salt) {
				salt = sha256.Sum256(c.salt)
			}
			prk := sum(&salt, c.ikm)
			if !bytes.Equal(prk[:], unhex(t, c.prk)) {
				t.Errorf("case %d: pseudorandom key %x", i+1, prk)
			}
			var k Key
			k.Init(&prk)
			want := unhex(t, c.okm)
			got := make([]byte, len(want))
			k.Expand(got, NewLabel(string(c.info)))
			if !bytes.Equal(got, want) {
				t.Errorf("case %d: %x", i+1, got)
			}
		}
	})
}

func TestExpandHasABound(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		key := [Size]byte(drawn(seeded("bound"), Size))
		var k Key
		k.Init(&key)
		want, err := hkdf.Expand(sha256.New, key[:], "label", maxExpand)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, maxExpand)
		k.Expand(got, NewLabel("label"))
		if !bytes.Equal(got, want) {
			t.Error("255 sums: another result")
		}
		defer func() {
			if recover() == nil {
				t.Error("the counter went round")
			}
		}()
		k.Expand(make([]byte, maxExpand+1), NewLabel("label"))
	})
}
