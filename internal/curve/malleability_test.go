package curve

import (
	"errors"
	"math/big"
	"testing"
)

// T31: of all encodings of one signature exactly one is accepted.
func TestRecoverAcceptsOneEncodingOnly(t *testing.T) {
	n := groupOrder()
	half := new(big.Int).Rsh(n, 1)
	one := big.NewInt(1)
	ones := new(big.Int).Sub(new(big.Int).Lsh(one, 256), one)
	plus := func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }
	minus := func(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }

	k, err := NewPrivateKey(scalarOf(big.NewInt(0x1234567)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range byte(20) {
		digest := Keccak256([]byte{i})
		sig, err := k.Sign(digest)
		if err != nil {
			t.Fatal(err)
		}
		r, s, v := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:64]), sig[64]
		if got, err := Recover(digest, sig); err != nil || got != k.Public() {
			t.Fatalf("message %d: the signature itself gives %s, %v", i, got, err)
		}
		if s.Cmp(half) > 0 {
			t.Fatalf("message %d: signed with a high s", i)
		}
		for _, c := range []struct {
			name string
			r, s *big.Int
			v    byte
		}{
			{"high s with the other v", r, minus(n, s), v ^ 1},
			{"high s with the same v", r, minus(n, s), v},
			{"s just over the half", r, plus(half, one), v},
			{"s = n-1", r, minus(n, one), v},
			{"s = n", r, n, v},
			{"s = n+1", r, plus(n, one), v},
			{"s = 2^256-1", r, ones, v},
			{"s = 0", r, new(big.Int), v},
			{"r = 0", new(big.Int), s, v},
			{"r = n", n, s, v},
			{"r = n+1", plus(n, one), s, v},
			{"r = 2^256-1", ones, s, v},
			{"r = s = 0", new(big.Int), new(big.Int), v},
			{"v = 2", r, s, 2},
			{"v + 2", r, s, v + 2},
			{"v = 4", r, s, 4},
			{"v + 27", r, s, v + 27},
			{"v + 31", r, s, v + 31},
			{"v = 255", r, s, 255},
		} {
			rs, ok := fixed(c.r, c.s)
			if !ok {
				t.Fatalf("%s does not fit", c.name)
			}
			var other Signature
			other[copy(other[:], rs[:])] = c.v
			if got, err := Recover(digest, other); !errors.Is(err, ErrSignature) || got != (PublicKey{}) {
				t.Errorf("message %d, %s: %s, %v", i, c.name, got, err)
			}
		}
		sig[64] ^= 1
		if got, err := Recover(digest, sig); err == nil && got == k.Public() {
			t.Errorf("message %d: both v lead to the key", i)
		}
	}
}

// T31: the bounds themselves are allowed: refusing them would be a bug of the
// comparison.
func TestRecoverAllowsTheLargestAndSmallestValues(t *testing.T) {
	n := groupOrder()
	half := new(big.Int).Rsh(n, 1)
	digest := Keccak256([]byte("bounds"))
	// 1 is the x coordinate of a point, so that it recovers some key with every
	// s.
	for _, s := range []*big.Int{big.NewInt(1), half} {
		rs, _ := fixed(big.NewInt(1), s)
		for v := range byte(2) {
			var sig Signature
			sig[copy(sig[:], rs[:])] = v
			if pub, err := Recover(digest, sig); err != nil || pub.Check() != nil {
				t.Errorf("r = 1, s = %x, v = %d: %v", s, v, err)
			}
		}
	}
	// The x coordinates next below n that are on the curve.
	found := 0
	for i := int64(1); i < 40; i++ {
		rs, _ := fixed(new(big.Int).Sub(n, big.NewInt(i)), half)
		p := PublicKey{0: 2}
		copy(p[1:], rs[:32])
		var sig Signature
		copy(sig[:], rs[:])
		_, err := Recover(digest, sig)
		if (err == nil) != (p.Check() == nil) {
			t.Errorf("r = n-%d: recovered %v, on the curve %v", i, err, p.Check())
		}
		if err == nil {
			found++
		}
	}
	if found == 0 {
		t.Error("no r next to n was tried")
	}
}

// T31: an r so small that the nonce's x coordinate may be r+n is where recovery
// ids 2 and 3 lead to a key; they are refused there too.
func TestRecoverRefusesTheRareRecoveryIDs(t *testing.T) {
	// n+2 is an x coordinate, so that an implementation that reads these ids
	// recovers a key.
	rs, _ := fixed(big.NewInt(2), big.NewInt(1))
	for v := byte(2); v < 4; v++ {
		var sig Signature
		sig[copy(sig[:], rs[:])] = v
		if p, err := Recover(Keccak256(), sig); !errors.Is(err, ErrSignature) {
			t.Errorf("v = %d: %s, %v", v, p, err)
		}
		if p, err := recoverKey(Keccak256(), sig); err != nil || p.Check() != nil {
			t.Errorf("v = %d leads to no key, so that this test proves nothing: %v", v, err)
		}
	}
}

// T31: r must be the x coordinate of a point, and the key must not be the
// point at infinity.
func TestRecoverRefusesWhatLeadsToNoPoint(t *testing.T) {
	// 5 is not the x coordinate of a point of secp256k1.
	rs, _ := fixed(big.NewInt(5), big.NewInt(1))
	if p, err := ParsePublicKey(append([]byte{2}, rs[:32]...)); err == nil {
		t.Fatalf("%s is a point: choose another x", p)
	}
	for v := range byte(2) {
		var sig Signature
		sig[copy(sig[:], rs[:])] = v
		if _, err := Recover(Keccak256(), sig); !errors.Is(err, ErrSignature) {
			t.Errorf("x off the curve, v = %d: %v", v, err)
		}
	}
	// With R = G and s = digest the key is (sR - digest G)/r = infinity.
	one, err := NewPrivateKey(scalarOf(big.NewInt(1)))
	if err != nil {
		t.Fatal(err)
	}
	var digest [32]byte
	digest[31] = 77
	var sig Signature
	copy(sig[:32], one.Pub[1:])
	sig[63], sig[64] = 77, one.Pub[0]-2
	if _, err := Recover(digest, sig); !errors.Is(err, ErrSignature) {
		t.Errorf("a signature of the point at infinity: %v", err)
	}
}

func TestSignRefusesAnInvalidScalar(t *testing.T) {
	for name, scalar := range invalidScalars() {
		k := PrivateKey{}
		copy(k.Scalar.Bytes(), scalar)
		if sig, err := k.Sign(Keccak256()); !errors.Is(err, ErrPrivateKey) || sig != (Signature{}) {
			t.Errorf("%s: %x, %v", name, sig, err)
		}
	}
}

// T31: another message, another key or any flipped bit recovers another key or
// none.
func TestRecoverSeesEveryBit(t *testing.T) {
	k, err := NewPrivateKey(scalarOf(big.NewInt(99)))
	if err != nil {
		t.Fatal(err)
	}
	digest := Keccak256([]byte("m"))
	sig, err := k.Sign(digest)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * SignatureSize {
		other := sig
		other[bit/8] ^= 1 << (bit % 8)
		if got, err := Recover(digest, other); err == nil && got == k.Public() {
			t.Errorf("bit %d of the signature makes no difference", bit)
		}
	}
	for bit := range 8 * len(digest) {
		other := digest
		other[bit/8] ^= 1 << (bit % 8)
		if got, err := Recover(other, sig); err == nil && got == k.Public() {
			t.Errorf("bit %d of the digest makes no difference", bit)
		}
	}
}
