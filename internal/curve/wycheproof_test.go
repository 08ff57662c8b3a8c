package curve

import (
	"bytes"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"math/big"
	"slices"
	"testing"

	"github.com/c2sp/wycheproof"
)

type wycheproofCase struct {
	ID                      int `json:"tcId"`
	Comment, Result         string
	Flags                   []string
	Public, Private, Shared string // ECDH
	Msg, Sig                string // ECDSA
	PublicKey               string // ECDSA, taken over from the group
}

// wycheproofCases reads one file of the Wycheproof project, hex everywhere.
func wycheproofCases(t *testing.T, name string) (cases []wycheproofCase) {
	t.Helper()
	raw, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		TestGroups []struct {
			PublicKey struct{ Uncompressed string }
			Tests     []wycheproofCase
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.TestGroups {
		for _, c := range g.Tests {
			c.PublicKey = g.PublicKey.Uncompressed
			cases = append(cases, c)
		}
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

// pointOf unwraps a DER public key that names secp256k1, in the one canonical
// encoding of each point form; anything else is not for this package.
func pointOf(spki []byte) (point []byte, ok bool) {
	for prefix, size := range map[string]int{
		"3056301006072a8648ce3d020106052b8104000a034200": UncompressedSize,
		"3036301006072a8648ce3d020106052b8104000a032200": PublicKeySize,
	} {
		head, _ := hex.DecodeString(prefix)
		if rest, found := bytes.CutPrefix(spki, head); found && len(rest) == size {
			return rest, true
		}
	}
	return nil, false
}

// T38: invalid curves, invalid points and edge cases of the Wycheproof project.
// Spec: 5.primitives-x3dh.1 5.primitives-x3dh.4
func TestWycheproofECDH(t *testing.T) {
	accepted, refused, unread := 0, 0, 0
	for _, c := range wycheproofCases(t, "ecdh_secp256k1_test.json") {
		point, ok := pointOf(unhex(t, c.Public))
		if !ok {
			if c.Result == "valid" || slices.Contains(c.Flags, "InvalidCurveAttack") {
				t.Errorf("case %d (%s): key not read", c.ID, c.Comment)
			}
			unread++
			continue
		}
		private := new(big.Int).SetBytes(unhex(t, c.Private)).FillBytes(make([]byte, 32))
		shared, err := agree(private, point)
		switch {
		case err != nil:
			if c.Result == "valid" {
				t.Errorf("case %d (%s): %v", c.ID, c.Comment, err)
			}
			refused++
		case c.Result == "invalid":
			t.Errorf("case %d (%s) accepted", c.ID, c.Comment)
		case !bytes.Equal(shared.Bytes(), unhex(t, c.Shared)):
			t.Errorf("case %d (%s): another result", c.ID, c.Comment)
		default:
			accepted++
		}
	}
	// Accepted are the 473 valid cases and one compressed key; refused 16 points
	// of invalid curves, 2 and 3 invalid points in either form, and one whose
	// damaged byte is a coordinate. The rest is encoded in another way.
	if got, want := [3]int{accepted, refused, unread}, [3]int{474, 22, 256}; got != want {
		t.Errorf("accepted, refused, not in this package's encoding: %v, want %v", got, want)
	}
}

// recovers tells whether either recovery id leads from the signature to the
// key.
func recovers(digest [32]byte, rs [64]byte, want PublicKey) bool {
	for v := range byte(2) {
		var sig Signature
		sig[copy(sig[:], rs[:])] = v
		if got, err := Recover(digest, sig); err == nil && got == want {
			return true
		}
	}
	return false
}

// fixed writes r || s, or says that one of them does not fit 32 bytes.
func fixed(r, s *big.Int) (rs [64]byte, ok bool) {
	if r.Sign() < 0 || s.Sign() < 0 || r.BitLen() > 256 || s.BitLen() > 256 {
		return rs, false
	}
	r.FillBytes(rs[:32])
	s.FillBytes(rs[32:])
	return rs, true
}

// largeX tells whether the nonce point's x coordinate may be r+n. Such a
// signature needs recovery id 2 or 3, which deployed signers do not meet by
// chance (2^-128) and this package refuses.
func largeX(r *big.Int) bool {
	p, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", 16)
	return r.Cmp(p.Sub(p, groupOrder())) < 0
}

// T31: signatures in their low-s form are accepted, everything else refused.
func TestWycheproofECDSALowS(t *testing.T) {
	accepted, refused, unread, large := 0, 0, 0, 0
	for _, c := range wycheproofCases(t, "ecdsa_secp256k1_sha256_bitcoin_test.json") {
		pub, err := ParseUncompressed(unhex(t, c.PublicKey))
		if err != nil {
			t.Fatalf("case %d: %v", c.ID, err)
		}
		var sig struct{ R, S *big.Int }
		der := unhex(t, c.Sig)
		_, err = asn1.Unmarshal(der, &sig)
		// encoding/asn1 lets more elements follow in the sequence.
		if again, _ := asn1.Marshal(sig); err != nil || !bytes.Equal(again, der) {
			if c.Result == "valid" {
				t.Errorf("case %d (%s): signature not read: %v", c.ID, c.Comment, err)
			}
			unread++
			continue
		}
		rs, fits := fixed(sig.R, sig.S)
		ok := fits && recovers(sha256.Sum256(unhex(t, c.Msg)), rs, pub)
		switch {
		case c.Result == "valid" && largeX(sig.R) && !ok:
			large++
		case (c.Result == "valid") != ok:
			t.Errorf("case %d (%s) is %s: recovered %v", c.ID, c.Comment, c.Result, ok)
		case ok:
			accepted++
		default:
			refused++
		}
	}
	got := [4]int{accepted, refused, unread, large}
	if want := [4]int{161, 111, 190, 1}; got != want {
		t.Errorf("accepted, refused, unread, large x: %v, want %v", got, want)
	}
}

// T31: of a signature and its mirror image exactly the one with the low s is
// accepted.
func TestWycheproofECDSAEitherS(t *testing.T) {
	accepted, mirrored, refused, large := 0, 0, 0, 0
	n := groupOrder()
	for _, c := range wycheproofCases(t, "ecdsa_secp256k1_sha256_p1363_test.json") {
		pub, err := ParseUncompressed(unhex(t, c.PublicKey))
		if err != nil {
			t.Fatalf("case %d: %v", c.ID, err)
		}
		raw := unhex(t, c.Sig)
		if len(raw) != 64 {
			if c.Result == "valid" {
				t.Errorf("case %d (%s): signature of %d bytes", c.ID, c.Comment, len(raw))
			}
			refused++
			continue
		}
		digest := sha256.Sum256(unhex(t, c.Msg))
		ok := recovers(digest, [64]byte(raw), pub)
		s := new(big.Int).SetBytes(raw[32:])
		mirror, fits := fixed(new(big.Int).SetBytes(raw[:32]), new(big.Int).Sub(n, s))
		okMirror := fits && recovers(digest, mirror, pub)
		switch {
		case ok && okMirror:
			t.Errorf("case %d (%s): both forms accepted", c.ID, c.Comment)
		case c.Result == "valid" && largeX(new(big.Int).SetBytes(raw[:32])) && !ok && !okMirror:
			large++
		case (c.Result == "valid") != (ok || okMirror):
			t.Errorf("case %d (%s) is %s: recovered %v", c.ID, c.Comment, c.Result, ok || okMirror)
		case ok:
			accepted++
		case okMirror:
			mirrored++
		default:
			refused++
		}
	}
	got := [4]int{accepted, mirrored, refused, large}
	if want := [4]int{95, 70, 85, 2}; got != want {
		t.Errorf("accepted, accepted when mirrored, refused, large x: %v, want %v", got, want)
	}
}

func groupOrder() *big.Int {
	n, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
	return n
}
