package curve

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/big"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// These tests hold the backend of either build against an implementation that is
// independent of both, decred's.

const (
	crossSeed   = "cross-check of two implementations"
	crossRounds = 1500
)

// crossScalars are scalars with long runs of zeros and ones, and random ones.
func crossScalars(t *testing.T) [][]byte {
	t.Helper()
	n := groupOrder()
	var out [][]byte
	for _, small := range []int64{1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 255, 256, 1 << 32, 1<<62 - 1} {
		out = append(out, scalarOf(big.NewInt(small)), scalarOf(new(big.Int).Sub(n, big.NewInt(small))))
	}
	for bit := uint(0); bit < 256; bit += 3 {
		power := new(big.Int).Lsh(big.NewInt(1), bit)
		out = append(out, scalarOf(power), scalarOf(new(big.Int).Sub(n, power)))
	}
	half := new(big.Int).Rsh(n, 1)
	out = append(out, scalarOf(half), scalarOf(new(big.Int).Add(half, big.NewInt(1))))
	source := &seeded{seed: crossSeed}
	for len(out) < crossRounds {
		k, err := GenerateKey(source)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, bytes.Clone(k.Scalar.Bytes()))
	}
	return out
}

func TestKeysAndAgreementsEqualDecred(t *testing.T) {
	scalars := crossScalars(t)
	for i, scalar := range scalars {
		k, err := NewPrivateKey(scalar)
		if err != nil {
			t.Fatalf("scalar %x: %v", scalar, err)
		}
		theirs := secp256k1.PrivKeyFromBytes(scalar)
		if want := theirs.PubKey().SerializeCompressed(); !bytes.Equal(k.Pub[:], want) {
			t.Fatalf("scalar %x: public key %s, decred %x", scalar, k.Pub, want)
		}
		uncompressed, err := k.Pub.Uncompressed()
		if err != nil || !bytes.Equal(uncompressed[:], theirs.PubKey().SerializeUncompressed()) {
			t.Fatalf("scalar %x: decompression differs (%v)", scalar, err)
		}
		peer := secp256k1.PrivKeyFromBytes(scalars[(7*i+1)%len(scalars)]).PubKey()
		shared, err := k.DH(PublicKey(peer.SerializeCompressed()))
		if err != nil || !bytes.Equal(shared.Bytes(), secp256k1.GenerateSharedSecret(theirs, peer)) {
			t.Fatalf("scalar %x: agreement differs (%v)", scalar, err)
		}
	}
}

func TestSignaturesEqualDecred(t *testing.T) {
	n := groupOrder()
	digests := [][32]byte{
		{},
		[32]byte(bytes.Repeat([]byte{0xff}, 32)), [32]byte(scalarOf(n)),
		[32]byte(scalarOf(new(big.Int).Sub(n, big.NewInt(1)))), [32]byte(scalarOf(new(big.Int).Add(n, big.NewInt(1)))),
	}
	for i, scalar := range crossScalars(t) {
		k, err := NewPrivateKey(scalar)
		if err != nil {
			t.Fatal(err)
		}
		digest := sha256.Sum256(scalar)
		if i < len(digests) {
			digest = digests[i]
		}
		sig, err := k.Sign(digest)
		if err != nil {
			t.Fatalf("scalar %x: %v", scalar, err)
		}
		own := sig
		theirs := ecdsa.SignCompact(secp256k1.PrivKeyFromBytes(scalar), digest[:], true)
		// Of a digest of n or more, which no hash gives by chance, the two derive
		// another nonce: RFC 6979 reduces the digest first, libsecp256k1 does not.
		// Both signatures have to be valid.
		if new(big.Int).SetBytes(digest[:]).Cmp(n) >= 0 {
			copy(sig[:], theirs[1:])
			sig[64] = theirs[0] - 31
		} else if !bytes.Equal(sig[:64], theirs[1:]) || sig[64] != theirs[0]-31 {
			t.Fatalf("scalar %x: signature %x, decred %x", scalar, sig, theirs)
		}
		for _, s := range []Signature{own, sig} {
			if got, err := Recover(digest, s); err != nil || got != k.Pub {
				t.Fatalf("scalar %x: %x recovers %s, %v", scalar, s, got, err)
			}
		}
	}
}

// decredRecover recovers with the same rules on the form of a signature.
func decredRecover(digest [32]byte, sig Signature) (PublicKey, error) {
	if !sig.canonical() {
		return PublicKey{}, ErrSignature
	}
	compact := append([]byte{sig[64] + 31}, sig[:64]...)
	key, _, err := ecdsa.RecoverCompact(compact, digest[:])
	if err != nil {
		return PublicKey{}, ErrSignature
	}
	return PublicKey(key.SerializeCompressed()), nil
}

// Random r and s: half of the r are no x coordinate.
func TestRecoveriesEqualDecred(t *testing.T) {
	source := &seeded{seed: crossSeed}
	recovered, refused := 0, 0
	for i := range crossRounds {
		var sig Signature
		var digest [32]byte
		fill(t, source, sig[:64])
		fill(t, source, digest[:])
		sig[32] &= 0x3f // a low s
		sig[64] = byte(i % 2)
		switch {
		case i%20 == 0:
			clear(sig[:31]) // a small r
		case i%20 == 1:
			clear(sig[32:63]) // a small s
		case i%20 == 2:
			clear(digest[:])
		}
		got, err := Recover(digest, sig)
		want, wantErr := decredRecover(digest, sig)
		if got != want || !errors.Is(err, wantErr) {
			t.Fatalf("%x for %x: %s, %v; decred %s, %v", sig, digest, got, err, want, wantErr)
		}
		if err == nil {
			recovered++
		} else {
			refused++
		}
	}
	if recovered < crossRounds/3 || refused < crossRounds/3 {
		t.Errorf("%d recovered, %d refused: one side was hardly tried", recovered, refused)
	}
}

// Random 33 bytes: half of the x are on the curve.
func TestParsingEqualsDecred(t *testing.T) {
	source := &seeded{seed: crossSeed}
	accepted, refused := 0, 0
	for i := range 2 * crossRounds {
		var b [PublicKeySize]byte
		fill(t, source, b[:])
		if i%8 != 0 {
			b[0] = 2 + b[0]&1
		}
		if i%16 == 1 {
			copy(b[1:], bytes.Repeat([]byte{0xff}, 28)) // x next to p and over it
		}
		p, err := ParsePublicKey(b[:])
		theirs, theirErr := secp256k1.ParsePubKey(b[:])
		if (err == nil) != (theirErr == nil) {
			t.Fatalf("%x: %v, decred %v", b, err, theirErr)
		}
		if err != nil {
			refused++
			continue
		}
		accepted++
		ours, err := p.Uncompressed()
		if err != nil || !bytes.Equal(ours[:], theirs.SerializeUncompressed()) {
			t.Fatalf("%x: decompressed to %x, %v", b, ours, err)
		}
	}
	if accepted < crossRounds/2 || refused < crossRounds/2 {
		t.Errorf("%d accepted, %d refused: one side was hardly tried", accepted, refused)
	}
}

func fill(t *testing.T, source *seeded, b []byte) {
	t.Helper()
	for n := 0; n < len(b); {
		m, err := source.Read(b[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
}
