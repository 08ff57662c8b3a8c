package envelope

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/x3dh"
)

func seeded(seed string) *rand.ChaCha8 { return rand.NewChaCha8(sha256.Sum256([]byte(seed))) }

// someone is an identity by its name.
func someone(tb testing.TB, name string) *x3dh.IdentityKey {
	tb.Helper()
	key, err := x3dh.GenerateIdentity(seeded(name))
	if err != nil {
		tb.Fatal(err)
	}
	return &key
}

func keyNamed(name string) *secret.Key {
	key := secret.KeyOf(sha256.Sum256([]byte(name)))
	return &key
}

// zeros is a source that was never filled, counting what is read.
type zeros struct{ reads int }

func (z *zeros) Read(b []byte) (int, error) {
	z.reads++
	clear(b)
	return len(b), nil
}

// TestPaddingFillsUpWithOneTo256Bytes also shows the smallest length fields.
func TestPaddingFillsUpWithOneTo256Bytes(t *testing.T) {
	tests := []struct{ data, size, total int }{
		{0, 1, 256},
		{1, 1, 256},
		{188, 1, 256}, // one byte of padding
		{189, 1, 512}, // a whole block of it
		{255, 1, 512},
		{256, 2, 512},
		{443, 2, 512},
		{444, 2, 768},
		{65_535, 2, 65_792},
		{65_536, 3, 65_792},
		{MaxData, 3, MaxData + 1 + 256},
	}
	for _, test := range tests {
		inner, err := wrap(seeded("padding"), someone(t, "alice"), make([]byte, test.data), 0)
		if err != nil {
			t.Fatal(err)
		}
		padding := len(inner) - 1 - test.size - test.data - curve.SignatureSize
		if len(inner) != test.total || int(inner[0]) != 4|test.size || padding < 1 || padding > 256 {
			t.Errorf("%d bytes: %d inside, flags %d, %d of padding; want %d and a length of %d bytes",
				test.data, len(inner), inner[0], padding, test.total, test.size)
		}
		opened, err := unwrap(inner)
		if err != nil || len(opened.Data) != test.data || opened.Signer != someone(t, "alice").Public() {
			t.Errorf("%d bytes: %d read (%v)", test.data, len(opened.Data), err)
		}
	}
}

func TestPaddingIsNeverAllZero(t *testing.T) {
	// 188 bytes leave one byte of padding, the last 2 of these.
	source := bytes.NewReader([]byte{0, 0, 7})
	inner, err := wrap(source, someone(t, "alice"), make([]byte, 188), 0)
	if err != nil || paddingOf(inner)[0] != 7 {
		t.Errorf("padding %x (%v), want the third draw", paddingOf(inner), err)
	}
	var empty zeros
	if _, err := wrap(&empty, someone(t, "alice"), nil, 0); !errors.Is(err, ErrRandomness) || empty.reads != maxDraws {
		t.Errorf("%v after %d draws", err, empty.reads)
	}
	// A long padding may have zeros.
	long := append(make([]byte, 100), 1)
	long = append(long, make([]byte, 256-1-1-curve.SignatureSize-len(long))...)
	if _, err := wrap(bytes.NewReader(long), someone(t, "alice"), nil, 0); err != nil {
		t.Errorf("a padding with one other byte: %v", err)
	}
}

func TestSealingRefuses(t *testing.T) {
	alice, bob := someone(t, "alice"), someone(t, "bob").Public()
	symmetric := func(source io.Reader, key *secret.Key, signer *x3dh.IdentityKey, data []byte) error {
		_, err := SealSymmetric(source, key, signer, data)
		return err
	}
	asymmetric := func(source io.Reader, to x3dh.IdentityPublicKey, signer *x3dh.IdentityKey, data []byte) error {
		_, err := SealFor(source, to, signer, data)
		return err
	}
	offCurve := x3dh.IdentityPublicKey{2, 31: 0, 32: 5} // x = 5 has no y
	tests := []struct {
		name   string
		err    error
		reason error
	}{
		{"symmetric key of zeros", symmetric(seeded("x"), new(secret.Key), alice, nil), ErrKey},
		{"signer without a key, symmetric", symmetric(seeded("x"), keyNamed("k"), new(x3dh.IdentityKey), nil), ErrKey},
		{"signer without a key", asymmetric(seeded("x"), bob, new(x3dh.IdentityKey), nil), ErrKey},
		{"recipient without a key", asymmetric(seeded("x"), x3dh.IdentityPublicKey{}, alice, nil), ErrKey},
		{"recipient off the curve", asymmetric(seeded("x"), offCurve, alice, nil), ErrKey},
		{"too much, symmetric", symmetric(seeded("x"), keyNamed("k"), alice, make([]byte, MaxData+1)), ErrTooLarge},
		{"too much", asymmetric(seeded("x"), bob, alice, make([]byte, MaxData+1)), ErrTooLarge},
		{"zeros, symmetric", symmetric(new(zeros), keyNamed("k"), alice, nil), ErrRandomness},
		{"zeros", asymmetric(new(zeros), bob, alice, nil), ErrRandomness},
	}
	for _, test := range tests {
		if !errors.Is(test.err, test.reason) {
			t.Errorf("%s: %v, want %v", test.name, test.err, test.reason)
		}
	}
}

// TestASourceThatEndsGivesNoEnvelope ends it after each number of bytes.
func TestASourceThatEndsGivesNoEnvelope(t *testing.T) {
	alice, bob, data := someone(t, "alice"), someone(t, "bob").Public(), make([]byte, 150)
	const padding = 256 - 1 - 1 - 150 - curve.SignatureSize
	for n := range padding + 60 {
		_, errSymmetric := SealSymmetric(io.LimitReader(seeded("ends"), int64(n)), keyNamed("k"), alice, data)
		_, errFor := SealFor(io.LimitReader(seeded("ends"), int64(n)), bob, alice, data)
		if short := n < padding+12; (errSymmetric != nil) != short {
			t.Errorf("symmetric with %d bytes: %v", n, errSymmetric)
		}
		if short := n < padding+32+16; (errFor != nil) != short {
			t.Errorf("asymmetric with %d bytes: %v", n, errFor)
		}
		for _, err := range []error{errSymmetric, errFor} {
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%d bytes: %v does not tell the cause", n, err)
			}
		}
	}
}

// signed appends a signature to an inside; its flags have to say so.
func signed(tb testing.TB, inner []byte) []byte {
	tb.Helper()
	key, err := keyOf(someone(tb, "alice"))
	if err != nil {
		tb.Fatal(err)
	}
	sig, err := key.Sign(curve.Keccak256(inner))
	if err != nil {
		tb.Fatal(err)
	}
	return append(bytes.Clone(inner), sig[:]...)
}

// TestInsidesAreReadAsDeployed has what recordings do not: the bounds of each
// rule from both sides.
func TestInsidesAreReadAsDeployed(t *testing.T) {
	unsigned := func(b ...byte) []byte { return b }
	withSignature := func(b ...byte) []byte { return signed(t, b) }
	tests := []struct {
		name  string
		inner []byte
		data  string
		err   error
	}{
		{"nothing", nil, "", ErrMalformed},
		{"flags alone", unsigned(0), "", ErrUnsigned},
		{"a length without itself", unsigned(1), "", ErrMalformed},
		{"a length of 2 bytes in 1", unsigned(2, 0), "", ErrMalformed},
		{"a length of 3 bytes in 2", unsigned(3, 0, 0), "", ErrMalformed},
		{"no data, no padding", unsigned(1, 0), "", ErrUnsigned},
		{"data, no padding", unsigned(1, 2, 'h', 'i'), "hi", ErrUnsigned},
		{"a byte too few", unsigned(1, 3, 'h', 'i'), "", ErrMalformed},
		{"little endian", unsigned(2, 2, 0, 'h', 'i', 9), "hi", ErrUnsigned},
		{"big endian", unsigned(2, 0, 2, 'h', 'i', 9), "", ErrMalformed},
		{"16 MiB of data", unsigned(3, 0xff, 0xff, 0xff), "", ErrMalformed},
		{"unknown flags", unsigned(0xf9, 1, 'h', 'i'), "h", ErrUnsigned},
		{"signature alone", withSignature(4)[1:], "", ErrMalformed},
		{"flags and signature", withSignature(4), "", ErrMalformed},
		{"flags, a byte, and signature", withSignature(4, 0), "", nil},
		{"signed, without a length", withSignature(4, 'h', 'i'), "", nil},
		{"signed, without padding", withSignature(5, 2, 'h', 'i'), "hi", nil},
		{"signed, data reaches into the signature", withSignature(5, 3, 'h', 'i'), "", ErrMalformed},
		{"signed, length reaches into the signature", withSignature(7, 0, 0), "", ErrMalformed},
		{"signed, unknown flags", withSignature(0xfd, 2, 'h', 'i', 9), "hi", nil},
		{"signed, not smallest length", withSignature(7, 2, 0, 0, 'h', 'i', 9), "hi", nil},
	}
	for _, test := range tests {
		got, err := unwrap(test.inner)
		var signer x3dh.IdentityPublicKey
		if test.err == nil {
			signer = someone(t, "alice").Public()
		}
		if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) || string(got.Data) != test.data || got.Signer != signer {
			t.Errorf("%s: %q of %v (%v), want %q and %v", test.name, got.Data, got.Signer, err, test.data, test.err)
		}
	}
}

// T31: the other form of a signature, which everybody can make of the first, is
// refused, and so is one that is none.
func TestSignaturesHaveOneForm(t *testing.T) {
	inner := signed(t, []byte{5, 2, 'h', 'i', 9, 9})
	sig := inner[len(inner)-curve.SignatureSize:]
	order := secret.KeyOf([32]byte(unhex(t, "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")))
	high := bytes.Clone(sig)
	borrow := 0
	for i := 31; i >= 0; i-- { // n - s
		d := int(order.Bytes()[i]) - int(sig[32+i]) - borrow
		borrow = 0
		if d < 0 {
			d, borrow = d+256, 1
		}
		high[32+i] = byte(d)
	}
	high[64] ^= 1
	other := func(change func(sig []byte)) []byte {
		s := bytes.Clone(sig)
		change(s)
		return s
	}
	tests := []struct {
		name string
		sig  []byte
	}{
		{"s in the upper half", high},
		{"v of the RFC", other(func(s []byte) { s[64] += 27 })},
		{"v of 2", other(func(s []byte) { s[64] |= 2 })},
		{"r of 0", other(func(s []byte) { clear(s[:32]) })},
		{"s of 0", other(func(s []byte) { clear(s[32:64]) })},
		{"r of the order", other(func(s []byte) { copy(s, order.Bytes()) })},
		{"s of the order", other(func(s []byte) { copy(s[32:], order.Bytes()) })},
		{"all ones", bytes.Repeat([]byte{0xff}, curve.SignatureSize)},
	}
	if _, err := unwrap(inner); err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		got, err := unwrap(append(inner[:len(inner)-curve.SignatureSize:len(inner)-curve.SignatureSize], test.sig...))
		if !errors.Is(err, ErrSignature) || got.Data != nil {
			t.Errorf("%s: %q of %v (%v)", test.name, got.Data, got.Signer, err)
		}
	}
}

// TestEveryByteInsideIsSigned changes each byte: nobody is then taken for the
// signer.
func TestEveryByteInsideIsSigned(t *testing.T) {
	alice := someone(t, "alice")
	inner, err := wrap(seeded("inside"), alice, []byte("data"), 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range inner {
		changed := bytes.Clone(inner)
		changed[i] ^= 1
		if got, err := unwrap(changed); err == nil && got.Signer == alice.Public() {
			t.Errorf("byte %d can be changed", i)
		}
	}
}

func TestEnvelopesSurviveTheWire(t *testing.T) {
	alice, bob, carol := someone(t, "alice"), someone(t, "bob"), someone(t, "carol")
	rapid.Check(t, func(rt *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 1000).Draw(rt, "data")
		source := seeded(rapid.String().Draw(rt, "randomness"))
		kept := bytes.Clone(data)

		wire, err := SealSymmetric(source, keyNamed("k"), alice, data)
		if err != nil {
			rt.Fatal(err)
		}
		if (len(wire)-SymmetricOverhead)%paddedTo != 0 {
			rt.Fatalf("symmetric: %d bytes", len(wire))
		}
		sent := bytes.Clone(wire)
		got, err := OpenSymmetric(keyNamed("k"), wire)
		if err != nil || !bytes.Equal(got.Data, kept) || got.Signer != alice.Public() || !bytes.Equal(wire, sent) {
			rt.Fatalf("symmetric: %x of %v (%v)", got.Data, got.Signer, err)
		}
		if _, err := OpenSymmetric(keyNamed("l"), wire); !errors.Is(err, ErrDecrypt) {
			rt.Fatalf("symmetric with another key: %v", err)
		}

		wire, err = SealFor(source, bob.Public(), alice, data)
		if err != nil {
			rt.Fatal(err)
		}
		if (len(wire)-AsymmetricOverhead)%paddedTo != 0 {
			rt.Fatalf("asymmetric: %d bytes", len(wire))
		}
		sent = bytes.Clone(wire)
		got, err = OpenWith(bob, wire)
		if err != nil || !bytes.Equal(got.Data, kept) || got.Signer != alice.Public() || !bytes.Equal(wire, sent) {
			rt.Fatalf("asymmetric: %x of %v (%v)", got.Data, got.Signer, err)
		}
		if _, err := OpenWith(carol, wire); !errors.Is(err, ErrDecrypt) {
			rt.Fatalf("asymmetric with another key: %v", err)
		}
		if !bytes.Equal(data, kept) {
			rt.Fatal("the data was changed")
		}
		if got.Data = append(got.Data, 1); !slices.Equal(wire, sent) {
			rt.Fatal("appending to the data changes the envelope")
		}
	})
}
