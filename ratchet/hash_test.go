package ratchet

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"math/rand/v2"
	"testing"

	"github.com/c2sp/wycheproof"

	"github.com/rookery-im/rookery/internal/hmacsha256"
	"github.com/rookery-im/rookery/internal/secret"
)

func stdHMAC(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}

func drawn(source *rand.ChaCha8, n int) []byte {
	b := make([]byte, n)
	_, _ = source.Read(b)
	return b
}

// The MAC of a message, over lengths around every block boundary.
// Spec: 5.primitives-ratchet.1
func TestMessageMACEqualsTheStandardLibrary(t *testing.T) {
	source := seeded("mac")
	for n := range 700 {
		var keys messageKeys
		copy(keys.auth()[:], drawn(source, keySize))
		message := drawn(source, n)
		ad, header, body := message[:n/9], message[n/9:n/4], message[n/4:]
		var got [macSize]byte
		if keys.sign(&got, ad, header, body); !bytes.Equal(got[:], stdHMAC(keys.auth()[:], message)) {
			t.Errorf("message of %d bytes: %x", n, got)
		}
	}
}

// Spec: 5.primitives-ratchet.5
func TestExpandEqualsTheStandardLibrary(t *testing.T) {
	source := seeded("hkdf")
	for _, info := range []string{rootInfo, messageInfo, bobPairInfo} {
		for n := range 255 {
			ikm, salt := [keySize]byte(drawn(source, keySize)), [keySize]byte(drawn(source, keySize))
			if n%5 == 0 {
				clear(salt[:])
			}
			want, err := hkdf.Key(sha256.New, ikm[:], salt[:], info, n)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, n)
			expand(got, &ikm, &salt, hmacsha256.NewLabel(info))
			if !bytes.Equal(got, want) {
				t.Errorf("%s, %d bytes: %x", info, n, got)
			}
		}
	}
}

// Spec: 5.primitives-ratchet.4 5.primitives-ratchet.5
func TestRootAndMessageStepsEqualTheStandardLibrary(t *testing.T) {
	source := seeded("steps")
	for range 100 {
		root, dh := secret.KeyOf([keySize]byte(drawn(source, keySize))), secret.KeyOf([keySize]byte(drawn(source, keySize)))
		want, err := hkdf.Key(sha256.New, dh.Bytes(), root.Bytes(), rootInfo, 3*keySize)
		if err != nil {
			t.Fatal(err)
		}
		next, chain, header := KDFRoot(&root, &dh)
		if !bytes.Equal(bytes.Join([][]byte{next.Bytes(), chain.Bytes(), header.Bytes()}, nil), want) {
			t.Fatal("KDF_RK differs")
		}
		want, err = hkdf.Key(sha256.New, root.Bytes(), make([]byte, keySize), messageInfo, 2*keySize+ivSize)
		if err != nil {
			t.Fatal(err)
		}
		enc, auth, iv := KDFMessage(&root)
		if !bytes.Equal(bytes.Join([][]byte{enc.Bytes(), auth.Bytes(), iv[:]}, nil), want) {
			t.Fatal("the expansion of a message key differs")
		}
		nextChain, message := KDFChain(&root)
		if !bytes.Equal(nextChain.Bytes(), stdHMAC(root.Bytes(), []byte{0x0f})) ||
			!bytes.Equal(message.Bytes(), stdHMAC(root.Bytes(), []byte{0x10})) {
			t.Fatal("KDF_CK differs")
		}
	}
}

// wycheproofCases reads the cases of a file of the Wycheproof project.
func wycheproofCases[T any](t *testing.T, name string) (cases []T) {
	t.Helper()
	raw, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ TestGroups []struct{ Tests []T } }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.TestGroups {
		cases = append(cases, g.Tests...)
	}
	return cases
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Keys of 32 bytes fit the code here; tags may be cut.
// Spec: 5.primitives-ratchet.1
func TestWycheproofHMAC(t *testing.T) {
	valid, invalid, unfit := 0, 0, 0
	for _, c := range wycheproofCases[struct {
		ID                    int `json:"tcId"`
		Key, Msg, Tag, Result string
	}](t, "hmac_sha256_test.json") {
		key, message, tag := unhex(t, c.Key), unhex(t, c.Msg), unhex(t, c.Tag)
		if len(key) != keySize {
			unfit++
			continue
		}
		var keys messageKeys
		copy(keys.auth()[:], key)
		var got [macSize]byte
		keys.sign(&got, nil, nil, message)
		if equal := bytes.Equal(got[:len(tag)], tag); equal != (c.Result == "valid") {
			t.Errorf("case %d is %s, tags equal: %v", c.ID, c.Result, equal)
		}
		if c.Result == "valid" {
			valid++
		} else {
			invalid++
		}
	}
	if got, want := [3]int{valid, invalid, unfit}, [3]int{54, 108, 12}; got != want {
		t.Errorf("valid, invalid, of another key size: %v, want %v", got, want)
	}
}

// Salts up to 32 bytes, which HMAC itself fills with zeros, fit the code here.
// No case has key material of that length, so the extraction is put together
// from the same HMAC.
// Spec: 5.primitives-ratchet.5
func TestWycheproofHKDF(t *testing.T) {
	checked, unfit := 0, 0
	for _, c := range wycheproofCases[struct {
		ID                           int `json:"tcId"`
		Size                         int
		IKM, Salt, Info, OKM, Result string
	}](t, "hkdf_sha256_test.json") {
		salt := unhex(t, c.Salt)
		if len(salt) > keySize || c.Result != "valid" {
			unfit++
			continue
		}
		var padded, extracted [keySize]byte
		copy(padded[:], salt)
		var k hmacsha256.Key
		k.Init(&padded)
		k.Sum(&extracted, unhex(t, c.IKM))
		k.Init(&extracted)
		okm := make([]byte, c.Size)
		k.Expand(okm, hmacsha256.NewLabel(string(unhex(t, c.Info))))
		if !bytes.Equal(okm, unhex(t, c.OKM)) {
			t.Errorf("case %d: another result", c.ID)
		}
		checked++
	}
	if checked < 50 || checked+unfit != 86 {
		t.Errorf("checked %d, of other sizes %d", checked, unfit)
	}
}
