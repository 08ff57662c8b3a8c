package envelope

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/x3dh"
)

// vector is an envelope that somebody else has made: go-waku's payload package
// (payload_go.json), @waku/message-encryption 0.0.38 (payload_js.json), or
// clients of status-go 2024-10 in a conversation (conversation.json, which
// has only what the tests need of the recording).
type vector struct {
	Note           string
	Kind           string
	SymKey         string `json:"sym_key"`
	RecipientKey   string `json:"recipient_private_key"`
	SignerKey      string `json:"signer_private_key"`
	ExpectedSigner string `json:"expected_signer"` // uncompressed; "" for unsigned ones
	Payload        string
	Wire           string
	// Expect is for altered envelopes: "reject", "accept-empty", "accept:<data>"
	// or "signer!=<key>".
	Expect string
}

type vectorFile struct {
	name               string
	Positive, Negative []vector
}

func loadVectors(tb testing.TB) []vectorFile {
	tb.Helper()
	recordings := filepath.Join("..", "..", "testdata", "recordings", "transport")
	files := []vectorFile{
		{name: filepath.Join(recordings, "payload_go.json")},
		{name: filepath.Join(recordings, "payload_js.json")},
		{name: filepath.Join("testdata", "conversation.json")},
	}
	for i, counts := range [][2]int{{86, 53}, {48, 0}, {20, 0}} {
		f := &files[i]
		text, err := os.ReadFile(f.name)
		if err != nil {
			tb.Fatal(err)
		}
		if err := json.Unmarshal(text, f); err != nil {
			tb.Fatalf("%s: %v", f.name, err)
		}
		if len(f.Positive) != counts[0] || len(f.Negative) != counts[1] {
			tb.Fatalf("%s: %d and %d envelopes, want %v", f.name, len(f.Positive), len(f.Negative), counts)
		}
	}
	return files
}

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func (v *vector) symmetricKey(tb testing.TB) *secret.Key {
	tb.Helper()
	key, err := secret.NewKey(unhex(tb, v.SymKey))
	if err != nil {
		tb.Fatal(err)
	}
	return &key
}

func identity(tb testing.TB, scalar string) *x3dh.IdentityKey {
	tb.Helper()
	key, err := x3dh.NewIdentity(unhex(tb, scalar))
	if err != nil {
		tb.Fatal(err)
	}
	return &key
}

func signerOf(tb testing.TB, uncompressed string) x3dh.IdentityPublicKey {
	tb.Helper()
	key, err := x3dh.ParseIdentity(unhex(tb, uncompressed))
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func (v *vector) open(tb testing.TB) (Opened, error) {
	tb.Helper()
	switch v.Kind {
	case "symmetric":
		return OpenSymmetric(v.symmetricKey(tb), unhex(tb, v.Wire))
	case "asymmetric":
		return OpenWith(identity(tb, v.RecipientKey), unhex(tb, v.Wire))
	}
	tb.Fatalf("an envelope of kind %q", v.Kind)
	return Opened{}, nil
}

// Spec: 5.primitives-transport.1
func TestRecordedEnvelopesOpen(t *testing.T) {
	for _, file := range loadVectors(t) {
		for i, v := range file.Positive {
			got, err := v.open(t)
			var signer x3dh.IdentityPublicKey
			wantErr := ErrUnsigned
			if v.ExpectedSigner != "" {
				signer, wantErr = signerOf(t, v.ExpectedSigner), nil
			}
			if err != wantErr || got.Signer != signer || hex.EncodeToString(got.Data) != v.Payload { //nolint:errorlint // the sentinel itself
				t.Errorf("%s, %d, %s %s: %d bytes of %v and %v, want %d bytes of %v and %v",
					file.name, i, v.Kind, v.Note, len(got.Data), got.Signer, err, len(v.Payload)/2, signer, wantErr)
			}
		}
	}
}

// refusals says by which error the recorded altered envelopes are refused; their
// notes begin so.
var refusals = []struct {
	note   string
	reason error
}{
	{"bit flipped in ephemeral key X", ErrPoint},
	{"prefix 0x04 replaced", ErrPoint},
	{"ephemeral key not on the curve", ErrPoint},
	{"bit flipped", ErrDecrypt},
	{"wrong ", ErrDecrypt},
	{"nonce moved to the front", ErrDecrypt},
	{"truncated by one byte", ErrDecrypt},
	{"truncated to ", ErrMalformed},
	{"only nonce", ErrMalformed},
	{"11 bytes", ErrMalformed},
	{"empty", ErrMalformed},
	{"valid MAC over ", ErrMalformed},
	{"signature v", ErrSignature},
	{"signature r||s all zero", ErrSignature},
	{"signed flag set, total length 6", ErrMalformed},
	{"length field ", ErrMalformed},
	{"3-byte length field but 2 bytes of data", ErrMalformed},
}

func refusalOf(note string) error {
	for _, r := range refusals {
		if strings.HasPrefix(note, r.note) {
			return r.reason
		}
	}
	return nil
}

// T20: among them are the ones that end the process of deployed clients.
func TestRecordedAlteredEnvelopes(t *testing.T) {
	for _, file := range loadVectors(t) {
		for i, v := range file.Negative {
			got, err := v.open(t)
			switch kind, rest, _ := strings.Cut(v.Expect, ":"); {
			case v.Expect == "reject":
				reason := refusalOf(v.Note)
				if reason == nil {
					t.Fatalf("no refusal is known for %q", v.Note)
				}
				if !errors.Is(err, reason) || got.Data != nil || got.Signer != (x3dh.IdentityPublicKey{}) {
					t.Errorf("%d, %s %s: %v, want %v", i, v.Kind, v.Note, err, reason)
				}
			case v.Expect == "accept-empty", kind == "accept":
				if !errors.Is(err, ErrUnsigned) || hex.EncodeToString(got.Data) != rest {
					t.Errorf("%d, %s %s: %x and %v", i, v.Kind, v.Note, got.Data, err)
				}
			case strings.HasPrefix(v.Expect, "signer!="):
				if err != nil || got.Signer == signerOf(t, strings.TrimPrefix(v.Expect, "signer!=")) {
					t.Errorf("%d, %s %s: signer %v and %v", i, v.Kind, v.Note, got.Signer, err)
				}
			default:
				t.Errorf("%d: %q is no expectation", i, v.Expect)
			}
		}
	}
}

// inside decrypts with the means of the standard library and of this package,
// and reads nothing of what is inside.
func (v *vector) inside(tb testing.TB) []byte {
	tb.Helper()
	wire := unhex(tb, v.Wire)
	if v.Kind == "symmetric" {
		block, err := aes.NewCipher(unhex(tb, v.SymKey))
		if err != nil {
			tb.Fatal(err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			tb.Fatal(err)
		}
		inner, err := aead.Open(nil, wire[len(wire)-12:], wire[:len(wire)-12], nil)
		if err != nil {
			tb.Fatal(err)
		}
		return inner
	}
	return decryptReference(tb, unhex(tb, v.RecipientKey), wire)
}

// paddingOf gives what was drawn for an inside.
func paddingOf(inner []byte) []byte {
	size, length := int(inner[0]&3), 0
	for i := range size {
		length |= int(inner[1+i]) << (8 * i)
	}
	return inner[1+size+length : len(inner)-65]
}

// TestRecordedSignedEnvelopesAreMadeByteForByte draws what others have drawn. For
// asymmetric ones the ephemeral key is not known, so only their insides are made.
//
// Spec: 5.encryption.2 5.primitives-transport.1
func TestRecordedSignedEnvelopesAreMadeByteForByte(t *testing.T) {
	made := 0
	for _, file := range loadVectors(t) {
		for i, v := range file.Positive {
			if v.SignerKey == "" { // unsigned, or with another padding than anybody draws
				continue
			}
			inner, wire, data := v.inside(t), unhex(t, v.Wire), unhex(t, v.Payload)
			signer := identity(t, v.SignerKey)
			got, err := wrap(bytes.NewReader(paddingOf(inner)), signer, data, 0)
			if err != nil || !bytes.Equal(got, inner) {
				t.Errorf("%s, %d, %s: another inside (%v)", file.name, i, v.Kind, err)
			}
			if v.Kind == "symmetric" {
				drawn := append(paddingOf(inner), wire[len(wire)-12:]...)
				got, err = SealSymmetric(bytes.NewReader(drawn), v.symmetricKey(t), signer, data)
				if err != nil || !bytes.Equal(got, wire) {
					t.Errorf("%s, %d: another envelope (%v)", file.name, i, err)
				}
			}
			made++
		}
	}
	if made != 90 {
		t.Errorf("%d signed envelopes", made)
	}
}
