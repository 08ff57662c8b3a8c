package ratchet

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/internal/secret"
)

// vector is one call recorded with the deployed reference: byte strings in
// lower-case hexadecimal, and numbers.
type vector struct {
	I         int
	Fn        string
	Comment   string
	Args, Out map[string]json.RawMessage
	ErrorKind string `json:"error_kind"`
}

func recordedBytes(t testing.TB, fields map[string]json.RawMessage, name string) []byte {
	t.Helper()
	var text string
	if err := json.Unmarshal(fields[name], &text); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

func (v *vector) arg(t *testing.T, name string) []byte {
	t.Helper()
	return recordedBytes(t, v.Args, name)
}

func (v *vector) out(t *testing.T, name string) []byte {
	t.Helper()
	return recordedBytes(t, v.Out, name)
}

func (v *vector) keyArg(t *testing.T, name string) secret.Key {
	t.Helper()
	k, err := secret.NewKey(v.arg(t, name))
	if err != nil {
		t.Fatalf("vector %d: %s: %v", v.I, name, err)
	}
	return k
}

// recording reads one of the files of recorded calls.
func recording(t testing.TB, name string, into any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "testdata", "recordings", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}

// forEachVector runs check on every recorded call of one function, of which
// there have to be at least the given number.
func forEachVector(t *testing.T, fn string, atLeast int, check func(t *testing.T, v *vector)) {
	t.Helper()
	var file struct{ Vectors []vector }
	recording(t, "primitives.json", &file)
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

// Spec: 5.primitives-ratchet.5
func TestRecordedRootSteps(t *testing.T) {
	forEachVector(t, "kdf_rk", 13, func(t *testing.T, v *vector) {
		root, dh := v.keyArg(t, "rk"), v.keyArg(t, "dh")
		next, chain, header := KDFRoot(&root, &dh)
		for name, got := range map[string]secret.Key{"root_key": next, "chain_key": chain, "header_key": header} {
			if !bytes.Equal(got.Bytes(), v.out(t, name)) {
				t.Errorf("vector %d: another %s", v.I, name)
			}
		}
	})
}

func TestRecordedChainSteps(t *testing.T) {
	forEachVector(t, "kdf_ck", 13, func(t *testing.T, v *vector) {
		chain := v.keyArg(t, "ck")
		next, message := KDFChain(&chain)
		if !bytes.Equal(next.Bytes(), v.out(t, "chain_key")) || !bytes.Equal(message.Bytes(), v.out(t, "message_key")) {
			t.Errorf("vector %d: another result", v.I)
		}
		// A primed chain gives the same keys in the same order.
		plain, primed := Chain{Key: chain}, Chain{Key: chain}
		primed.prime()
		for n := range uint32(3) {
			var a, b secret.Key
			plain.step(&a)
			primed.step(&b)
			if !a.Equal(&b) || primed.N != n+1 || plain.N != n+1 {
				t.Errorf("vector %d: key %d of a primed chain differs", v.I, n)
			}
		}
	})
}

// Spec: 5.primitives-ratchet.4
func TestRecordedMessageKeyExpansions(t *testing.T) {
	forEachVector(t, "derive_enc_keys", 13, func(t *testing.T, v *vector) {
		mk := v.keyArg(t, "mk")
		enc, auth, iv := KDFMessage(&mk)
		if !bytes.Equal(enc.Bytes(), v.out(t, "enc_key")) || !bytes.Equal(auth.Bytes(), v.out(t, "auth_key")) ||
			!bytes.Equal(iv[:], v.out(t, "iv")) {
			t.Errorf("vector %d: another result", v.I)
		}
	})
}

func TestRecordedHeaders(t *testing.T) {
	forEachVector(t, "dr_header", 14, func(t *testing.T, v *vector) {
		var h Header
		if err := errors.Join(json.Unmarshal(v.Args["n"], &h.N), json.Unmarshal(v.Args["pn"], &h.PN)); err != nil {
			t.Fatalf("vector %d: %v", v.I, err)
		}
		if dh := v.arg(t, "dh"); len(dh) > 0 {
			var err error
			if h.Key, err = NewPublicKey(dh); err != nil {
				t.Fatalf("vector %d: %v", v.I, err)
			}
		}
		if !bytes.Equal(h.Encode(), v.out(t, "encoded")) {
			t.Errorf("vector %d: %x", v.I, h.Encode())
		}
	})
}

// Spec: 5.primitives-ratchet.3
func TestRecordedEncryptions(t *testing.T) {
	forEachVector(t, "dr_encrypt", 15, func(t *testing.T, v *vector) {
		mk := v.keyArg(t, "mk")
		got, err := SealWith(&mk, v.arg(t, "plaintext"), v.arg(t, "ad"))
		if err != nil || !bytes.Equal(got, v.out(t, "ciphertext")) {
			t.Errorf("vector %d: %x, %v", v.I, got, err)
		}
	})
}

// T20: where the reference panics on a short ciphertext, it is refused here.
func TestRecordedDecryptions(t *testing.T) {
	panics := 0
	forEachVector(t, "dr_decrypt", 80, func(t *testing.T, v *vector) {
		mk, ciphertext := v.keyArg(t, "mk"), v.arg(t, "ciphertext")
		got, err := OpenWith(&mk, ciphertext, v.arg(t, "ad"))
		want := ErrMAC
		if len(ciphertext) < Overhead {
			want = ErrCiphertext
		}
		switch {
		case v.ErrorKind == "panic":
			panics++
			fallthrough
		case v.ErrorKind != "":
			if !errors.Is(err, want) || got != nil {
				t.Errorf("vector %d (%s): %v, want %v", v.I, v.Comment, err, want)
			}
		case err != nil || !bytes.Equal(got, v.out(t, "plaintext")):
			t.Errorf("vector %d (%s): %x, %v", v.I, v.Comment, got, err)
		}
	})
	if panics == 0 {
		t.Error("no vector of a panic of the reference")
	}
}

// script is a recorded conversation of the ratchet alone.
type script struct {
	Name string
	SK   string `json:"sk"`
	Ops  []struct {
		Op, Who, Plaintext, Ciphertext string
		Header                         struct {
			DH    string `json:"dh"`
			N, PN uint32
		}
	}
}

func recordedScripts(t testing.TB) []script {
	t.Helper()
	var file struct{ Scripts []script }
	recording(t, "doubleratchet.json", &file)
	if len(file.Scripts) == 0 {
		t.Fatal("no scripts")
	}
	return file.Scripts
}

// The recorded conversations are replayed by the replay command; here only
// their form is checked, since fuzzing starts from them.
func TestRecordedMessagesHaveTheFormOfOurs(t *testing.T) {
	n := 0
	for _, s := range recordedScripts(t) {
		for _, op := range s.Ops {
			if op.Op != "encrypt" {
				continue
			}
			n++
			if len(op.Ciphertext) != len(op.Plaintext)+2*Overhead || !strings.HasPrefix(op.Header.DH, "0") || len(op.Header.DH) != 66 {
				t.Errorf("%s: a message of another form", s.Name)
			}
		}
	}
	if n < 50 {
		t.Errorf("%d recorded messages", n)
	}
}
