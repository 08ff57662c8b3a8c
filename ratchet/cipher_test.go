package ratchet

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/rookery-im/rookery/internal/secret"
)

// NIST SP 800-38A, F.5.5 and F.5.6: CTR-AES256.
// Spec: 5.primitives-ratchet.3
func TestAES256CTRVectorOfNIST(t *testing.T) {
	var keys messageKeys
	copy(keys.enc(), unhex(t, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"))
	counter := unhex(t, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
	plaintext := unhex(t, "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"+
		"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
	ciphertext := unhex(t, "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"+
		"2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6")
	out := make([]byte, len(plaintext))
	for n := range len(plaintext) + 1 {
		if keys.xorKeyStream(out[:n], plaintext[:n], counter); !bytes.Equal(out[:n], ciphertext[:n]) {
			t.Fatalf("encrypting %d bytes: %x", n, out[:n])
		}
		if keys.xorKeyStream(out[:n], ciphertext[:n], counter); !bytes.Equal(out[:n], plaintext[:n]) {
			t.Fatalf("decrypting %d bytes: %x", n, out[:n])
		}
	}
}

// A sealed message is iv || ciphertext || MAC(ad || header || iv ||
// ciphertext), computed here with nothing but the standard library.
// Spec: 5.confidentiality.1 5.primitives-ratchet.1 5.primitives-ratchet.3
func TestSealedFormEqualsTheStandardLibrary(t *testing.T) {
	source := seeded("sealed")
	for n := range 200 {
		mk := secret.KeyOf([keySize]byte(drawn(source, keySize)))
		enc, auth, derived := KDFMessage(&mk)
		h := Header{N: uint32(n), PN: uint32(7 * n)}
		size := 32 + n%2
		h.Key.n = uint8(copy(h.Key.b[:], drawn(source, size)))
		ad, plaintext := drawn(source, n%5), drawn(source, n)
		iv := drawn(source, ivSize)
		for _, ivs := range []IVSource{RandomIV, UnsafeDerivedIV} {
			got, err := seal(&mk, plaintext, ad, &h, ivs, bytes.NewReader(iv))
			if err != nil {
				t.Fatal(err)
			}
			wantIV := iv
			if ivs == UnsafeDerivedIV {
				wantIV = derived[:]
			}
			block, err := aes.NewCipher(enc.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			want := append(bytes.Clone(wantIV), plaintext...)
			cipher.NewCTR(block, wantIV).XORKeyStream(want[ivSize:], plaintext)
			mac := stdHMAC(auth.Bytes(), bytes.Join([][]byte{ad, h.Encode(), want}, nil))
			if !bytes.Equal(got, append(want, mac...)) {
				t.Fatalf("%d bytes, key of %d: another ciphertext", n, size)
			}
			if back, err := open(&mk, got, ad, &h); err != nil || !bytes.Equal(back, plaintext) {
				t.Fatalf("%d bytes do not come back: %v", n, err)
			}
		}
	}
}

// Even a state cloned and used twice draws another key stream.
func TestRandomIVsMakeEachCiphertextDifferent(t *testing.T) {
	alice, _ := newPair(t, Secp256k1)
	plaintext := make([]byte, 64)
	seen := map[string]bool{}
	for range 100 {
		_, m, err := alice.state.Encrypt(plaintext, nil, RandomIV, alice.rand)
		if err != nil {
			t.Fatal(err)
		}
		seen[string(m.Ciphertext[:ivSize])] = true
		seen[string(m.Ciphertext[ivSize:ivSize+len(plaintext)])] = true
	}
	if len(seen) != 200 {
		t.Errorf("%d different IVs and key streams out of 200", len(seen))
	}
	// The derived IV is the opposite: the same bytes from the same state.
	_, a, err1 := alice.state.Encrypt(plaintext, nil, UnsafeDerivedIV, nil)
	_, b, err2 := alice.state.Encrypt(plaintext, nil, UnsafeDerivedIV, nil)
	if err := errors.Join(err1, err2); err != nil || !bytes.Equal(a.Ciphertext, b.Ciphertext) {
		t.Errorf("the derived IV is not derived: %v", err)
	}
}

// T51: without randomness nothing is encrypted and no session starts.
func TestFailingRandomnessIsReported(t *testing.T) {
	failed := errors.New("source failed")
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		bob.mustReceive(t, alice.send(t, nil), []byte{})
		for name, c := range map[string]struct {
			before []byte
			then   error
			want   error
		}{
			"empty":       {nil, io.EOF, io.EOF},
			"short":       {make([]byte, 15), io.EOF, io.ErrUnexpectedEOF},
			"failing":     {nil, failed, failed},
			"breaks down": {[]byte{1, 2, 3}, failed, failed},
		} {
			source := func() io.Reader { return io.MultiReader(bytes.NewReader(c.before), iotest.ErrReader(c.then)) }
			if _, err := NewInitiator(suite, alice.state.Root, alice.state.Remote, source()); !errors.Is(err, c.want) {
				t.Errorf("%s: initiator: %v", name, err)
			}
			for who, p := range map[string]*party{"in a chain": alice, "with a turn": bob} {
				before := p.clone()
				next, m, err := p.state.Encrypt([]byte("m"), nil, RandomIV, source())
				if !errors.Is(err, c.want) || m.Ciphertext != nil || next.Check() == nil {
					t.Errorf("%s, %s: %v", name, who, err)
				}
				if !p.equal(before) {
					t.Errorf("%s, %s: the state changed", name, who)
				}
			}
		}
		// The pair is drawn, the IV is not: still nothing happened.
		if _, _, err := bob.state.Encrypt(nil, nil, RandomIV, io.LimitReader(seeded("x"), 40)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a source that ends in the IV: %v", err)
		}
	})
}
