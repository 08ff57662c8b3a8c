//go:build cgo && !windows && !gofuzz

package curve

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"gitlab.com/yawning/secp256k1-voi/secec"
)

// The backend of the build without cgo computes what libsecp256k1 does, on the
// scalars where implementations differ.
func TestBackendsAgree(t *testing.T) {
	scalars := crossScalars(t)
	for i, scalar := range scalars {
		k, err := NewPrivateKey(scalar)
		if err != nil {
			t.Fatalf("scalar %x: %v", scalar, err)
		}
		theirs, err := secec.NewPrivateKey(scalar)
		if err != nil || !bytes.Equal(k.Pub[:], theirs.PublicKey().CompressedBytes()) {
			t.Fatalf("scalar %x: public key %s, %v", scalar, k.Pub, err)
		}
		other, err := NewPrivateKey(scalars[(7*i+1)%len(scalars)])
		if err != nil {
			t.Fatal(err)
		}
		peer, err := secec.NewPublicKey(other.Pub[:])
		if err != nil {
			t.Fatalf("%s: %v", other.Pub, err)
		}
		want, err := theirs.ECDH(peer)
		if err != nil {
			t.Fatal(err)
		}
		if shared, err := k.DH(other.Pub); err != nil || !bytes.Equal(shared.Bytes(), want) {
			t.Fatalf("scalar %x: agreement differs, %v", scalar, err)
		}
		digest := sha256.Sum256(scalar)
		r, s, id, err := theirs.SignRaw(secec.RFC6979SHA256(), digest[:])
		if err != nil {
			t.Fatal(err)
		}
		if sig, err := k.Sign(digest); err != nil || !bytes.Equal(sig[:], secec.BuildCompactRecoverableSignature(r, s, id)) {
			t.Fatalf("scalar %x: signature differs, %v", scalar, err)
		}
		signer, err := secec.RecoverPublicKey(digest[:], r, s, id)
		if err != nil || !bytes.Equal(signer.CompressedBytes(), k.Pub[:]) {
			t.Fatalf("scalar %x: recovery differs, %v", scalar, err)
		}
	}
}
