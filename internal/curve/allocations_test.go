package curve

import (
	"crypto/rand"
	"strings"
	"testing"
)

// Nothing is allocated with libsecp256k1, but for the scalar that is drawn through
// an io.Reader. secp256k1-voi has its values on the heap: no more than that.
func TestAllocations(t *testing.T) {
	k, err := NewPrivateKey(append(make([]byte, 31), 7))
	if err != nil {
		t.Fatal(err)
	}
	point, err := k.Pub.Point()
	if err != nil {
		t.Fatal(err)
	}
	full := point.uncompressed()
	digest := Keccak256(full[:])
	sig, err := k.Sign(digest)
	if err != nil {
		t.Fatal(err)
	}
	pureGo := strings.HasPrefix(Backend, "pure Go")
	for _, c := range []struct {
		name         string
		library, voi float64 // allocations permitted
		run          func() error
	}{
		{"ParsePublicKey", 0, 3, func() error { _, err := ParsePublicKey(k.Pub[:]); return err }},
		{"ParseUncompressed", 0, 4, func() error { _, err := ParseUncompressed(full[:]); return err }},
		{"Check", 0, 3, k.Pub.Check},
		{"Uncompressed", 0, 3, func() error { _, err := k.Pub.Uncompressed(); return err }},
		{"Point", 0, 3, func() error { _, err := k.Pub.Point(); return err }},
		{"NewPrivateKey", 0, 1, func() error { _, err := NewPrivateKey(k.Scalar.Bytes()); return err }},
		{"GenerateKey", 1, 2, func() error { _, err := GenerateKey(rand.Reader); return err }},
		{"DH", 0, 12, func() error { _, err := k.DH(k.Pub); return err }},
		{"DHPoint", 0, 9, func() error { _, err := k.DHPoint(&point); return err }},
		{"Sign", 0, 44, func() error { _, err := k.Sign(digest); return err }},
		{"Recover", 0, 13, func() error { _, err := Recover(digest, sig); return err }},
		{"Keccak256", 0, 0, func() error { digest = Keccak256(digest[:], full[:]); return nil }},
	} {
		permitted := c.library
		if pureGo {
			permitted = c.voi
		}
		got := testing.AllocsPerRun(20, func() {
			if err := c.run(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		})
		if got > permitted {
			t.Errorf("%s allocates %v times, %v permitted", c.name, got, permitted)
		}
	}
}
