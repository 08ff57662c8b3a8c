package curve

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rookery-im/rookery/internal/secret"
)

// vector is one call recorded with the deployed reference. All values used
// here are lower-case hexadecimal.
type vector struct {
	I         int
	Fn        string
	Args, Out map[string]json.RawMessage
	ErrorKind string `json:"error_kind"`
}

func (v *vector) bytes(t *testing.T, fields map[string]json.RawMessage, name string) []byte {
	t.Helper()
	var text string
	if err := json.Unmarshal(fields[name], &text); err != nil {
		t.Fatalf("vector %d: %s: %v", v.I, name, err)
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatalf("vector %d: %s: %v", v.I, name, err)
	}
	return b
}

func (v *vector) arg(t *testing.T, name string) []byte { t.Helper(); return v.bytes(t, v.Args, name) }

func (v *vector) out(t *testing.T, name string) []byte { t.Helper(); return v.bytes(t, v.Out, name) }

// refused checks an outcome against the recorded one; it is false if there is
// an output to compare.
func (v *vector) refused(t *testing.T, err, kind error) bool {
	t.Helper()
	if v.ErrorKind == "" {
		if err != nil {
			t.Errorf("vector %d: %v, recorded as accepted", v.I, err)
		}
		return err != nil
	}
	if !errors.Is(err, kind) {
		t.Errorf("vector %d: error %v, recorded as refused (%s), want %v", v.I, err, v.ErrorKind, kind)
	}
	return true
}

// forEachVector runs check on every recorded call of one function, of which
// there have to be at least the given number.
func forEachVector(t *testing.T, fn string, atLeast int, check func(t *testing.T, v *vector)) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "testdata", "recordings", "primitives.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := range file.Vectors {
		if file.Vectors[i].Fn == fn {
			check(t, &file.Vectors[i])
			n++
		}
	}
	if n < atLeast {
		t.Errorf("%d vectors of %s, want at least %d", n, fn, atLeast)
	}
}

func TestRecordedPublicKeys(t *testing.T) {
	forEachVector(t, "pubkey", 21, func(t *testing.T, v *vector) {
		k, err := NewPrivateKey(v.arg(t, "priv"))
		if v.refused(t, err, ErrPrivateKey) {
			return
		}
		pub := k.Public()
		uncompressed, err := pub.Uncompressed()
		if err != nil {
			t.Fatalf("vector %d: %v", v.I, err)
		}
		if !bytes.Equal(pub[:], v.out(t, "compressed")) || !bytes.Equal(uncompressed[:], v.out(t, "uncompressed")) {
			t.Errorf("vector %d: public key %s", v.I, pub)
		}
		if back, err := ParseUncompressed(uncompressed[:]); err != nil || back != pub {
			t.Errorf("vector %d: compressing gives %s, %v", v.I, back, err)
		}
		if address := Keccak256(uncompressed[1:]); !bytes.Equal(address[12:], v.out(t, "address")) {
			t.Errorf("vector %d: address %x", v.I, address[12:])
		}
	})
}

func TestRecordedDecompressions(t *testing.T) {
	forEachVector(t, "decompress", 26, func(t *testing.T, v *vector) {
		p, err := ParsePublicKey(v.arg(t, "compressed"))
		if v.refused(t, err, ErrPublicKey) {
			return
		}
		got, err := p.Uncompressed()
		if err != nil || !bytes.Equal(got[:], v.out(t, "uncompressed")) {
			t.Errorf("vector %d: %x, %v", v.I, got, err)
		}
	})
}

// Spec: 5.primitives-x3dh.2
func TestRecordedKeccak256(t *testing.T) {
	forEachVector(t, "keccak256", 10, func(t *testing.T, v *vector) {
		data := v.arg(t, "data")
		whole, parts := Keccak256(data), Keccak256(data[:len(data)/3], nil, data[len(data)/3:])
		if want := v.out(t, "hash"); !bytes.Equal(whole[:], want) || !bytes.Equal(parts[:], want) {
			t.Errorf("vector %d: %x in one part, %x in three", v.I, whole, parts)
		}
	})
}

// Spec: 5.primitives-x3dh.3
func TestRecordedSignatures(t *testing.T) {
	forEachVector(t, "sign", 12, func(t *testing.T, v *vector) {
		k, err := NewPrivateKey(v.arg(t, "priv"))
		if err != nil {
			t.Fatalf("vector %d: %v", v.I, err)
		}
		sig, err := k.Sign(Keccak256(v.arg(t, "data")))
		if err != nil || !bytes.Equal(sig[:], v.out(t, "signature")) {
			t.Errorf("vector %d: %x, %v", v.I, sig, err)
		}
	})
}

// Spec: 5.primitives-x3dh.3
func TestRecordedRecoveries(t *testing.T) {
	forEachVector(t, "recover", 12, func(t *testing.T, v *vector) {
		pub, err := Recover(Keccak256(v.arg(t, "data")), Signature(v.arg(t, "signature")))
		if err != nil {
			t.Fatalf("vector %d: %v", v.I, err)
		}
		if got, err := pub.Uncompressed(); err != nil || !bytes.Equal(got[:], v.out(t, "uncompressed")) {
			t.Errorf("vector %d: %x, %v", v.I, got, err)
		}
	})
}

// Among the vectors are results with a leading zero byte, negated points and
// malformed keys.
// Spec: 5.primitives-x3dh.1 5.primitives-x3dh.4
func TestRecordedAgreements(t *testing.T) {
	for _, c := range []struct {
		fn, out string
		atLeast int
	}{{"dh", "shared", 34}, {"perform_dh", "shared", 12}, {"shared_secret", "secret", 28}} {
		t.Run(c.fn, func(t *testing.T) {
			forEachVector(t, c.fn, c.atLeast, func(t *testing.T, v *vector) {
				shared, err := agree(v.arg(t, "priv"), v.arg(t, "pub"))
				kind := ErrPrivateKey
				if v.ErrorKind == "invalid_public_key" {
					kind = ErrPublicKey
				}
				if !v.refused(t, err, kind) && !bytes.Equal(shared.Bytes(), v.out(t, c.out)) {
					t.Errorf("vector %d: another result", v.I)
				}
			})
		})
	}
}

// agree takes keys as they stand in a file: the public one in either form.
func agree(private, public []byte) (secret.Key, error) {
	k, err := NewPrivateKey(private)
	if err != nil {
		return secret.Key{}, err
	}
	parse := ParsePublicKey
	if len(public) == UncompressedSize {
		parse = ParseUncompressed
	}
	p, err := parse(public)
	if err != nil {
		return secret.Key{}, err
	}
	return k.DH(p)
}
