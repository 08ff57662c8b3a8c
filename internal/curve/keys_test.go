package curve

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"
	"testing/iotest"
)

func scalarOf(k *big.Int) []byte { return k.FillBytes(make([]byte, 32)) }

func invalidScalars() map[string][]byte {
	n := groupOrder()
	return map[string][]byte{
		"zero":    make([]byte, 32),
		"n":       scalarOf(n),
		"n+1":     scalarOf(new(big.Int).Add(n, big.NewInt(1))),
		"2^256-1": bytes.Repeat([]byte{0xff}, 32),
	}
}

func TestScalarBounds(t *testing.T) {
	n := groupOrder()
	one, err := NewPrivateKey(scalarOf(big.NewInt(1)))
	if err != nil {
		t.Fatal(err)
	}
	largest, err := NewPrivateKey(scalarOf(new(big.Int).Sub(n, big.NewInt(1))))
	if err != nil {
		t.Fatal(err)
	}
	// n-1 is the negative of 1: the same x, the other parity.
	if !bytes.Equal(one.Pub[1:], largest.Pub[1:]) || one.Pub[0] == largest.Pub[0] {
		t.Errorf("1 gives %s, n-1 gives %s", one.Pub, largest.Pub)
	}
	for name, scalar := range invalidScalars() {
		if k, err := NewPrivateKey(scalar); !errors.Is(err, ErrPrivateKey) || !k.IsZero() {
			t.Errorf("%s: %v", name, err)
		}
		bad := PrivateKey{}
		copy(bad.Scalar.Bytes(), scalar)
		if shared, err := bad.DH(one.Pub); !errors.Is(err, ErrPrivateKey) || !shared.IsZero() {
			t.Errorf("agreement with %s: %v", name, err)
		}
	}
	for _, size := range []int{0, 1, 31, 33, 64} {
		if _, err := NewPrivateKey(bytes.Repeat([]byte{1}, size)); !errors.Is(err, ErrPrivateKey) {
			t.Errorf("scalar of %d bytes: %v", size, err)
		}
	}
}

// Every bit of the comparison with the order counts.
func TestPrivateKeysAreBelowTheOrder(t *testing.T) {
	n := groupOrder()
	check := func(k *big.Int) {
		t.Helper()
		if k.Sign() < 0 || k.BitLen() > 256 {
			return
		}
		_, err := NewPrivateKey(scalarOf(k))
		if want := k.Sign() > 0 && k.Cmp(n) < 0; (err == nil) != want {
			t.Errorf("scalar %x: %v, valid %v", k, err, want)
		}
	}
	for bit := range uint(257) {
		step := new(big.Int).Lsh(big.NewInt(1), bit)
		for d := int64(-2); d <= 2; d++ {
			check(new(big.Int).Add(step, big.NewInt(d)))
			check(new(big.Int).Add(new(big.Int).Add(n, step), big.NewInt(d)))
			check(new(big.Int).Add(new(big.Int).Sub(n, step), big.NewInt(d)))
		}
	}
}

// T38: what is not a point on the curve is refused wherever a point is taken.
func TestInvalidPointsAreRefused(t *testing.T) {
	k, err := NewPrivateKey(scalarOf(big.NewInt(5)))
	if err != nil {
		t.Fatal(err)
	}
	good := k.Pub
	p, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", 16)
	with := func(prefix byte, x *big.Int) []byte { return append([]byte{prefix}, scalarOf(x)...) }
	// 1 is the x coordinate of a point, so 1+p would be a second encoding of it.
	if _, err := ParsePublicKey(with(2, big.NewInt(1))); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"x = 0":                  with(2, new(big.Int)),
		"x = 5, not on curve":    with(3, big.NewInt(5)),
		"x = p":                  with(2, p),
		"x = p+1, unreduced":     with(2, new(big.Int).Add(p, big.NewInt(1))),
		"x = 2^256-1":            append([]byte{3}, bytes.Repeat([]byte{0xff}, 32)...),
		"all zero":               make([]byte, PublicKeySize),
		"prefix 00":              append([]byte{0}, good[1:]...),
		"prefix 01":              append([]byte{1}, good[1:]...),
		"prefix 04":              append([]byte{4}, good[1:]...),
		"prefix 05":              append([]byte{5}, good[1:]...),
		"prefix 06":              append([]byte{6}, good[1:]...),
		"prefix 82":              append([]byte{0x82}, good[1:]...),
		"one byte, the infinity": {0},
		"empty":                  nil,
		"short":                  good[:32],
		"long":                   append(bytes.Clone(good[:]), 0),
	} {
		got, err := ParsePublicKey(b)
		if !errors.Is(err, ErrPublicKey) || got != (PublicKey{}) {
			t.Errorf("%s: parsed as %s, %v", name, got, err)
		}
		if len(b) != PublicKeySize {
			continue
		}
		// A converted array that nobody parsed must not get further either.
		raw := PublicKey(b)
		if shared, err := k.DH(raw); !errors.Is(err, ErrPublicKey) || !shared.IsZero() {
			t.Errorf("%s: agreement gives %v", name, err)
		}
		if _, err := raw.Uncompressed(); !errors.Is(err, ErrPublicKey) {
			t.Errorf("%s: decompressed, %v", name, err)
		}
		if err := raw.Check(); !errors.Is(err, ErrPublicKey) {
			t.Errorf("%s: checked, %v", name, err)
		}
	}
}

// T38: of the uncompressed form only 04 || x || y with reduced coordinates of
// a point on the curve is read.
func TestInvalidUncompressedPointsAreRefused(t *testing.T) {
	k, err := NewPrivateKey(scalarOf(big.NewInt(5)))
	if err != nil {
		t.Fatal(err)
	}
	good, err := k.Pub.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseUncompressed(good[:]); err != nil || got != k.Pub {
		t.Fatalf("the point itself: %v", err)
	}
	changed := func(change func(b []byte) []byte) []byte { return change(bytes.Clone(good[:])) }
	p, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", 16)
	// The point with x = 1 and the unreduced encoding of that x.
	x1, err := ParsePublicKey(append([]byte{2}, scalarOf(big.NewInt(1))...))
	if err != nil {
		t.Fatal(err)
	}
	unreduced, err := x1.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	copy(unreduced[1:33], scalarOf(new(big.Int).Add(p, big.NewInt(1))))
	for name, b := range map[string][]byte{
		"y changed":   changed(func(b []byte) []byte { b[64] ^= 1; return b }),
		"x changed":   changed(func(b []byte) []byte { b[1] ^= 1; return b }),
		"hybrid even": changed(func(b []byte) []byte { b[0] = 6 + b[64]&1; return b }),
		"prefix 02":   changed(func(b []byte) []byte { b[0] = 2; return b }),
		"short":       good[:64],
		"long":        append(bytes.Clone(good[:]), 0),
		"compressed":  k.Pub[:],
		"zero":        append([]byte{4}, make([]byte, 64)...),
		"y = p":       changed(func(b []byte) []byte { copy(b[33:], scalarOf(p)); return b }),
		"unreduced x": unreduced[:],
		"empty":       nil,
	} {
		if got, err := ParseUncompressed(b); !errors.Is(err, ErrPublicKey) || got != (PublicKey{}) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

func TestAgreementIsSymmetricAndIgnoresParity(t *testing.T) {
	source := &seeded{seed: "agreement"}
	for i := range 20 {
		a, err := GenerateKey(source)
		if err != nil {
			t.Fatal(err)
		}
		b, err := GenerateKey(source)
		if err != nil {
			t.Fatal(err)
		}
		flipped := b.Pub
		flipped[0] ^= 1
		ab, err1 := a.DH(b.Pub)
		ba, err2 := b.DH(a.Pub)
		af, err3 := a.DH(flipped)
		if err := errors.Join(err1, err2, err3); err != nil || !ab.Equal(&ba) || !ab.Equal(&af) || ab.IsZero() {
			t.Errorf("pair %d: the results differ (%v)", i, err)
		}
	}
}

// T51: a failing, short or constant source gives an error, never a weak key.
func TestGenerateKeyRefusesAFailingSource(t *testing.T) {
	failed := errors.New("source failed")
	n := scalarOf(groupOrder())
	for name, c := range map[string]struct {
		source io.Reader
		want   error
	}{
		"empty":          {bytes.NewReader(nil), io.EOF},
		"short":          {bytes.NewReader(bytes.Repeat([]byte{1}, 31)), io.ErrUnexpectedEOF},
		"failing":        {iotest.ErrReader(failed), failed},
		"constant zero":  {bytes.NewReader(make([]byte, 32*maxKeyDraws)), ErrRandomness},
		"constant ones":  {bytes.NewReader(bytes.Repeat([]byte{0xff}, 32*maxKeyDraws)), ErrRandomness},
		"constant order": {bytes.NewReader(bytes.Repeat(n, maxKeyDraws)), ErrRandomness},
		"zero, then end": {bytes.NewReader(make([]byte, 40)), io.ErrUnexpectedEOF},
	} {
		if k, err := GenerateKey(c.source); !errors.Is(err, c.want) || !k.IsZero() || k.Pub != (PublicKey{}) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// T51: an unusable draw is drawn again, and the next good one is the key.
func TestGenerateKeyDrawsAgain(t *testing.T) {
	good := scalarOf(big.NewInt(42))
	want, err := NewPrivateKey(good)
	if err != nil {
		t.Fatal(err)
	}
	for bad := range maxKeyDraws {
		source := io.MultiReader(bytes.NewReader(make([]byte, 32*bad)), bytes.NewReader(good))
		if k, err := GenerateKey(source); err != nil || k.Pub != want.Pub || !k.Scalar.Equal(&want.Scalar) {
			t.Errorf("after %d bad draws: %v", bad, err)
		}
	}
}

// A source that has keys ready is not read before they are gone.
func TestGenerateKeyTakesReadyKeysFirst(t *testing.T) {
	source := &prepared{seeded: seeded{seed: "drawn"}}
	for range 2 {
		k, err := GenerateKey(&seeded{seed: fmt.Sprint("ready", len(source.ready))})
		if err != nil {
			t.Fatal(err)
		}
		source.ready = append(source.ready, k)
	}
	drawn, err := GenerateKey(&seeded{seed: "drawn"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range append(source.ready[:2:2], drawn) {
		if k, err := GenerateKey(source); err != nil || k.Pub != want.Pub || !k.Scalar.Equal(&want.Scalar) {
			t.Errorf("key %d is %s, want %s (%v)", i, k.Pub, want.Pub, err)
		}
	}
}

// prepared is a source with keys ready.
type prepared struct {
	seeded
	ready []PrivateKey
}

func (p *prepared) TakeKey() (k PrivateKey, ok bool) {
	if len(p.ready) == 0 {
		return k, false
	}
	k, p.ready = p.ready[0], p.ready[1:]
	return k, true
}

// T48: a private key prints its public half only.
func TestPrivateKeyRedactsItself(t *testing.T) {
	k, err := GenerateKey(&seeded{seed: "print"})
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, v := range []any{k, &k} {
			out := fmt.Sprintf(verb, v)
			for _, form := range []string{
				string(k.Scalar.Bytes()[:6]),
				fmt.Sprintf("%x", k.Scalar.Bytes()[:6]),
				strings.Trim(fmt.Sprint(k.Scalar.Bytes()[:6]), "[]"),
			} {
				if strings.Contains(strings.ToLower(out), form) {
					t.Errorf("%s of %T shows the scalar", verb, v)
				}
			}
		}
	}
}

func TestWipeLeavesNoScalar(t *testing.T) {
	k, err := GenerateKey(&seeded{seed: "wipe"})
	if err != nil {
		t.Fatal(err)
	}
	if k.IsZero() {
		t.Fatal("a fresh key is zero")
	}
	if k.Wipe(); !k.IsZero() || !k.Scalar.IsZero() {
		t.Error("the scalar is still there")
	}
}

// seeded is a deterministic source: keccak256 of the seed and a counter.
type seeded struct {
	seed    string
	counter uint64
	rest    []byte
}

func (s *seeded) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		block := Keccak256(fmt.Appendf(nil, "%s/%d", s.seed, s.counter))
		s.counter++
		s.rest = block[:]
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func TestRestoredKeyIsCheckedAgainstItsScalar(t *testing.T) {
	k, err := NewPrivateKey(scalarOf(big.NewInt(5)))
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewPrivateKey(scalarOf(big.NewInt(6)))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		scalar []byte
		pub    PublicKey
		want   error // of Check
	}{
		"its own":      {scalarOf(big.NewInt(5)), k.Pub, nil},
		"another one":  {scalarOf(big.NewInt(5)), other.Pub, ErrMismatch},
		"negated":      {scalarOf(new(big.Int).Sub(groupOrder(), big.NewInt(5))), k.Pub, ErrMismatch},
		"zero":         {scalarOf(new(big.Int)), k.Pub, ErrPrivateKey},
		"out of range": {scalarOf(groupOrder()), k.Pub, ErrPrivateKey},
	} {
		restored, err := RestorePrivateKey(test.scalar, test.pub)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if restored.Pub != test.pub {
			t.Errorf("%s: restored as %v", name, restored.Pub)
		}
		if err := restored.Check(); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
	if _, err := RestorePrivateKey(make([]byte, 31), k.Pub); !errors.Is(err, ErrPrivateKey) {
		t.Errorf("scalar of 31 bytes: %v", err)
	}
}
