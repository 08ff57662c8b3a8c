package ratchet

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
)

// unusableKeys are bytes of a possible length that are no ratchet key of the
// suite.
func unusableKeys(suite Suite) [][]byte {
	if suite == Secp256k1 {
		return [][]byte{
			make([]byte, 33),
			append([]byte{2}, make([]byte, 32)...),               // x = 0 is off the curve
			append([]byte{4}, bytes.Repeat([]byte{1}, 32)...),    // not the compressed form
			append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...), // x over the field
			bytes.Repeat([]byte{9}, 32),                          // of the other suite
			// 32 bytes that with a zero behind them would be a point.
			append(append([]byte{2}, bytes.Repeat([]byte{0x11}, 30)...), 0x01),
			append([]byte{0, 2}, bytes.Repeat([]byte{0x11}, 31)...),   // shifted
			append([]byte{3}, append(make([]byte, 31), 5)...),         // x = 5 is off the curve
			append([]byte{0x82}, bytes.Repeat([]byte{0x22}, 32)...),   // a set high bit
			append([]byte{0x05}, append(make([]byte, 31), 1)...)[:33], // a prefix of nothing
		}
	}
	keys := [][]byte{append([]byte{2}, bytes.Repeat([]byte{9}, 32)...)}
	for _, text := range lowOrderPoints {
		b, err := hex.DecodeString(text)
		if err != nil {
			panic(err)
		}
		keys = append(keys, b)
	}
	return keys
}

// lowOrderPoints of Curve25519 and its twist, little endian: 0, 1, the two of
// order 8, p-1, p, p+1, and each of them with the bit that is ignored.
var lowOrderPoints = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"0100000000000000000000000000000000000000000000000000000000000080",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
}

// T38: the Wycheproof cases of X25519; where the shared secret is zero, the
// point is refused.
func TestWycheproofX25519(t *testing.T) {
	accepted, refused := 0, 0
	for _, c := range wycheproofCases[struct {
		ID                      int `json:"tcId"`
		Flags                   []string
		Public, Private, Shared string
	}](t, "x25519_test.json") {
		private, err := secret.NewKey(unhex(t, c.Private))
		if err != nil {
			t.Fatal(err)
		}
		remote, err := NewPublicKey(unhex(t, c.Public))
		if err != nil {
			t.Fatal(err)
		}
		shared, err := Curve25519.dh(&KeyPair{Private: private}, remote, new(curve.Point))
		if slices.Contains(c.Flags, "ZeroSharedSecret") {
			if !errors.Is(err, ErrHeader) {
				t.Errorf("case %d: a point of low order: %v", c.ID, err)
			}
			refused++
			continue
		}
		if err != nil || !bytes.Equal(shared.Bytes(), unhex(t, c.Shared)) {
			t.Errorf("case %d: %v or another result", c.ID, err)
		}
		accepted++
	}
	if accepted != 487 || refused != 31 {
		t.Errorf("accepted %d, refused %d", accepted, refused)
	}
}

func TestAgreementsOfBothSuitesAreSymmetric(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		source := seeded("agreements")
		for range 20 {
			a, err1 := suite.GenerateKeyPair(source)
			b, err2 := suite.GenerateKeyPair(source)
			ab, err3 := suite.dh(&a, b.Public, new(curve.Point))
			ba, err4 := suite.dh(&b, a.Public, new(curve.Point))
			if err := errors.Join(err1, err2, err3, err4); err != nil || !ab.Equal(&ba) || ab.IsZero() {
				t.Fatalf("the results differ (%v)", err)
			}
		}
	})
}

// The first Curve25519 pair comes from SK under its own label: both sides get
// the same, another SK gives another, and its value is part of the wire.
func TestFirstCurve25519KeyPair(t *testing.T) {
	sk := secret.KeyOf([32]byte(bytes.Repeat([]byte{0x5a}, 32)))
	a, b := FirstCurve25519KeyPair(&sk), FirstCurve25519KeyPair(&sk)
	if a.Public != b.Public || !a.Private.Equal(&b.Private) {
		t.Fatal("two derivations differ")
	}
	const pinned = "60401353997d3ded7207b6925a2b60030d8602e29ed99b3255df8b46da024662"
	if got := hex.EncodeToString(a.Public.Bytes()); got != pinned {
		t.Errorf("public key %s, pinned %s", got, pinned)
	}
	sk.Bytes()[31] ^= 1
	if c := FirstCurve25519KeyPair(&sk); c.Public == a.Public {
		t.Error("another SK gives the same pair")
	}
}

func TestPreKeyIsTheFirstSecp256k1Pair(t *testing.T) {
	k, err := curve.GenerateKey(seeded("prekey"))
	if err != nil {
		t.Fatal(err)
	}
	pair := Secp256k1KeyPair(k)
	if !pair.Private.Equal(&k.Scalar) || !bytes.Equal(pair.Public.Bytes(), k.Pub[:]) || pair.Public != Secp256k1PublicKey(k.Pub) {
		t.Error("the pair is not the prekey")
	}
}

func TestUnknownSuitesAreRefused(t *testing.T) {
	sk := secret.KeyOf([32]byte{1})
	pair, err := Secp256k1.GenerateKeyPair(seeded("suite"))
	if err != nil {
		t.Fatal(err)
	}
	for _, suite := range []Suite{0, 3, 255} {
		if _, err := suite.GenerateKeyPair(seeded("suite")); !errors.Is(err, ErrSuite) {
			t.Errorf("%s: pair: %v", suite, err)
		}
		if _, err := suite.dh(&pair, pair.Public, new(curve.Point)); !errors.Is(err, ErrSuite) {
			t.Errorf("%s: agreement: %v", suite, err)
		}
		if _, err := NewInitiator(suite, sk, pair.Public, seeded("suite")); !errors.Is(err, ErrSuite) {
			t.Errorf("%s: initiator: %v", suite, err)
		}
		if _, err := NewResponder(suite, sk, pair); !errors.Is(err, ErrSuite) {
			t.Errorf("%s: responder: %v", suite, err)
		}
	}
	for suite, want := range map[Suite]string{Secp256k1: "secp256k1", Curve25519: "curve25519", 0: "suite 0", 9: "suite 9"} {
		if suite.String() != want {
			t.Errorf("suite %d is called %q", uint8(suite), suite)
		}
	}
}

func TestRatchetKeysHaveOneOfTwoLengths(t *testing.T) {
	for n := range 70 {
		b := bytes.Repeat([]byte{3}, n)
		key, err := NewPublicKey(b)
		if n != 32 && n != 33 {
			if !errors.Is(err, ErrHeader) || !key.IsZero() {
				t.Errorf("%d bytes: %v", n, err)
			}
			continue
		}
		if err != nil || key.IsZero() || !bytes.Equal(key.Bytes(), b) {
			t.Errorf("%d bytes: %x, %v", n, key.Bytes(), err)
		}
		clear(key.Bytes())
		if !bytes.Equal(key.Bytes(), b) {
			t.Error("a key changes through the slice it gave")
		}
	}
	var none PublicKey
	if !none.IsZero() || len(none.Bytes()) != 0 {
		t.Error("the zero value is a key")
	}
	// 32 zero bytes are a key of the wrong kind, not no key.
	if zeros, err := NewPublicKey(make([]byte, 32)); err != nil || zeros.IsZero() {
		t.Errorf("zero bytes: %v", err)
	}
}
