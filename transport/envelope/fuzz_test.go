package envelope

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/rookery-im/rookery/x3dh"
)

// sealSymmetric encrypts any inside, also one that wrap would not make.
func sealSymmetric(tb testing.TB, inner []byte) []byte {
	tb.Helper()
	block, err := aes.NewCipher(keyNamed("k").Bytes())
	if err != nil {
		tb.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		tb.Fatal(err)
	}
	nonce := make([]byte, nonceSize)
	return append(aead.Seal(nil, nonce, inner, nil), nonce...)
}

// checkInside compares what was read of an inside with another reading of it, and
// the signer with the one that go-ethereum computes.
func checkInside(t *testing.T, inner []byte, got Opened, err error) {
	t.Helper()
	var data []byte
	var signer x3dh.IdentityPublicKey
	want := func() error {
		if len(inner) == 0 {
			return ErrMalformed
		}
		end := len(inner)
		if inner[0]&4 != 0 {
			end -= 65
			if end <= 1 {
				return ErrMalformed
			}
		}
		var number [4]byte
		size := int(inner[0] & 3)
		if 1+size > end {
			return ErrMalformed
		}
		copy(number[:], inner[1:1+size])
		length := int(number[0]) + int(number[1])*256 + int(number[2])*65536
		if 1+size+length > end {
			return ErrMalformed
		}
		data = inner[1+size : 1+size+length]
		if inner[0]&4 == 0 {
			return ErrUnsigned
		}
		key, err := crypto.SigToPub(crypto.Keccak256(inner[:end]), inner[end:])
		if err != nil {
			return ErrSignature
		}
		signer = x3dh.IdentityPublicKey(crypto.CompressPubkey(key))
		return nil
	}()
	switch {
	case want == nil && errors.Is(err, ErrSignature):
		// It also takes what has an s in the upper half, or a v of 2 or 3.
		sig := inner[len(inner)-65:]
		if crypto.ValidateSignatureValues(sig[64], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:64]), true) {
			t.Fatal("a signature in its canonical form is refused")
		}
	case !errors.Is(err, want) || (err == nil) != (want == nil):
		t.Fatalf("%v, want %v", err, want)
	case err != nil && !errors.Is(err, ErrUnsigned):
		if got.Data != nil || got.Signer != (x3dh.IdentityPublicKey{}) {
			t.Fatalf("something is returned with the error %v", err)
		}
	case !bytes.Equal(got.Data, data) || got.Signer != signer:
		t.Fatalf("%x of %v, want %x of %v", got.Data, got.Signer, data, signer)
	}
}

func addInsides(f *testing.F) {
	f.Helper()
	for _, v := range loadVectors(f)[0].Negative[10:25] {
		if refused := refusalOf(v.Note); v.Expect != "reject" || errors.Is(refused, ErrSignature) {
			f.Add(v.inside(f))
		}
	}
	f.Add([]byte{5, 2, 'h', 'i', 9, 9})
	f.Add(signed(f, []byte{5, 2, 'h', 'i', 9, 9}))
}

// T19: the input is taken for an envelope, and for what is inside of one.
func FuzzOpenSymmetric(f *testing.F) {
	addInsides(f)
	for _, file := range loadVectors(f) {
		f.Add(unhex(f, file.Positive[0].Wire))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if _, err := OpenSymmetric(keyNamed("k"), input); !errors.Is(err, ErrDecrypt) && !errors.Is(err, ErrMalformed) {
			t.Fatalf("a forgery: %v", err)
		}
		got, err := OpenSymmetric(keyNamed("k"), sealSymmetric(t, input))
		checkInside(t, input, got, err)
	})
}

// T19: as FuzzOpenSymmetric, and it is taken for the body of an envelope with a
// right MAC.
func FuzzOpenAsymmetric(f *testing.F) {
	addInsides(f)
	for _, v := range loadVectors(f)[0].Negative[25:] {
		f.Add(unhex(f, v.Wire))
	}
	bob := someone(f, "bob")
	sealer := newSealer(f, bob.Public())
	f.Fuzz(func(t *testing.T, input []byte) {
		_, err := OpenWith(bob, input)
		if !errors.Is(err, ErrDecrypt) && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrPoint) {
			t.Fatalf("a forgery: %v", err)
		}
		got, err := OpenWith(bob, sealer.around(t, input))
		checkInside(t, input, got, err)
		_, err = OpenWith(bob, sealer.body(input))
		if len(input) <= ivSize && !errors.Is(err, ErrMalformed) || errors.Is(err, ErrDecrypt) {
			t.Fatalf("a body of %d bytes: %v", len(input), err)
		}
	})
}
