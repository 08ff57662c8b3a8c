package x3dh

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/proto/wire"
)

// vector is one call recorded with the deployed reference; byte strings are in
// lower-case hexadecimal.
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

func (v *vector) arg(t testing.TB, name string) []byte {
	t.Helper()
	return recordedBytes(t, v.Args, name)
}

func (v *vector) out(t testing.TB, name string) []byte {
	t.Helper()
	return recordedBytes(t, v.Out, name)
}

func (v *vector) identity(t testing.TB, name string) IdentityKey {
	t.Helper()
	k, err := NewIdentity(v.arg(t, name))
	if err != nil {
		t.Fatalf("vector %d: %s: %v", v.I, name, err)
	}
	return k
}

// forEachVector runs check on every recorded call of one function, of which
// there have to be at least the given number.
func forEachVector(t testing.TB, fn string, atLeast int, check func(v *vector)) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "testdata", "recordings", "primitives.json"))
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
			check(&file.Vectors[i])
			n++
		}
	}
	if n < atLeast {
		t.Errorf("%d vectors of %s, want at least %d", n, fn, atLeast)
	}
}

// fields calls use with each field of an encoded message: these vectors hold
// bundles without a signature and with ids that package wire refuses.
func fields(t testing.TB, b []byte, use func(num protowire.Number, content []byte, number uint64)) {
	t.Helper()
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		var content []byte
		var number uint64
		if typ == protowire.BytesType {
			content, n = protowire.ConsumeBytes(b)
		} else {
			number, n = protowire.ConsumeVarint(b)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		use(num, content, number)
	}
}

// recordedBundle reads a bundle without any of the rules of package wire; it is
// false if the signature has not 65 bytes.
func recordedBundle(t testing.TB, b []byte) (bundle wire.Bundle, signed bool) {
	t.Helper()
	fields(t, b, func(num protowire.Number, content []byte, number uint64) {
		switch num {
		case 1:
			copy(bundle.Identity[:], content)
		case 2:
			var k wire.SignedPreKey
			fields(t, content, func(num protowire.Number, content []byte, _ uint64) {
				if num == 1 {
					k.InstallationID = string(content)
					return
				}
				fields(t, content, func(num protowire.Number, content []byte, number uint64) {
					switch num {
					case 1:
						copy(k.Key[:], content)
					case 2:
						k.Version = uint32(number)
					case 3:
						k.ProtocolVersion = uint32(number)
					}
				})
			})
			bundle.PreKeys = append(bundle.PreKeys, k)
		case 4:
			signed = copy(bundle.Signature[:], content) == len(bundle.Signature) && len(content) == len(bundle.Signature)
		case 5:
			bundle.Timestamp = int64(number)
		}
	})
	return bundle, signed
}

// Spec: 5.primitives-x3dh.1 5.primitives-x3dh.2 5.primitives-x3dh.4 5.x3dh.1 5.x3dh.2
func TestRecordedAgreementsOfTheInitiator(t *testing.T) {
	forEachVector(t, "x3dh_active", 12, func(v *vector) {
		own := v.identity(t, "identity_priv")
		peer, prekey := IdentityPublicKey(v.arg(t, "their_identity")), PreKeyPublic(v.arg(t, "their_signed_prekey"))
		scalar := v.arg(t, "ephemeral_priv")
		sk, ephemeral, err := Initiate(&own, peer, prekey, bytes.NewReader(scalar))
		if err != nil || !bytes.Equal(sk.Bytes(), v.out(t, "sk")) {
			t.Errorf("vector %d: %v or another SK", v.I, err)
		}
		eph, err := curve.NewPrivateKey(scalar)
		if err != nil || EphemeralPublic(eph.Public()) != ephemeral {
			t.Errorf("vector %d: ephemeral key %x, %v", v.I, ephemeral, err)
		}
		checkTerms(t, v, agreement{&own.key, curve.PublicKey(prekey)}, agreement{&eph, curve.PublicKey(peer)}, agreement{&eph, curve.PublicKey(prekey)})
	})
}

// Spec: 5.primitives-x3dh.1 5.primitives-x3dh.2 5.primitives-x3dh.4 5.x3dh.1 5.x3dh.2
func TestRecordedAgreementsOfTheResponder(t *testing.T) {
	forEachVector(t, "x3dh_passive", 12, func(v *vector) {
		own := v.identity(t, "identity_priv")
		prekey, err := NewPreKey(v.arg(t, "signed_prekey_priv"))
		if err != nil {
			t.Fatalf("vector %d: %v", v.I, err)
		}
		peer, ephemeral := IdentityPublicKey(v.arg(t, "their_identity")), EphemeralPublic(v.arg(t, "their_ephemeral"))
		sk, err := Respond(&own, &prekey, peer, ephemeral)
		if err != nil || !bytes.Equal(sk.Bytes(), v.out(t, "sk")) {
			t.Errorf("vector %d: %v or another SK", v.I, err)
		}
		checkTerms(t, v, agreement{&prekey.key, curve.PublicKey(peer)}, agreement{&own.key, curve.PublicKey(ephemeral)}, agreement{&prekey.key, curve.PublicKey(ephemeral)})
	})
}

// agreement is one Diffie-Hellman of X3DH.
type agreement struct {
	private *curve.PrivateKey
	public  curve.PublicKey
}

func checkTerms(t *testing.T, v *vector, terms ...agreement) {
	t.Helper()
	for i, name := range []string{"dh1", "dh2", "dh3"} {
		shared, err := terms[i].private.DH(terms[i].public)
		if err != nil || !bytes.Equal(shared.Bytes(), v.out(t, name)) {
			t.Errorf("vector %d: %v or another %s", v.I, err, name)
		}
	}
}

// Spec: 5.primitives-x3dh.2 5.bundle-signature.1 5.bundle-signature.2
func TestRecordedSignatureMaterial(t *testing.T) {
	forEachVector(t, "bundle_signature_material", 23, func(v *vector) {
		b, _ := recordedBundle(t, v.arg(t, "bundle"))
		material := signatureMaterial(&b)
		digest := curve.Keccak256(material)
		if !bytes.Equal(material, v.out(t, "material")) || !bytes.Equal(digest[:], v.out(t, "hash")) {
			t.Errorf("vector %d (%s): %q", v.I, v.Comment, material)
		}
	})
}

// Spec: 5.primitives-x3dh.3 5.prekeys.3 5.bundle-signature.2
func TestRecordedBundleSignatures(t *testing.T) {
	forEachVector(t, "sign_bundle", 38, func(v *vector) {
		b, _ := recordedBundle(t, v.arg(t, "bundle"))
		own := v.identity(t, "identity_priv")
		named := b.Identity
		if err := SignBundle(&own, &b); err != nil {
			t.Fatalf("vector %d: %v", v.I, err)
		}
		if b.Identity != wire.PublicKey(own.Public()) {
			t.Errorf("vector %d (%s): signed under another identity", v.I, v.Comment)
		}
		b.Identity = named // the reference also signs for others and leaves it
		if !bytes.Equal(b.Signature[:], v.out(t, "signature")) {
			t.Errorf("vector %d (%s): signature %x", v.I, v.Comment, b.Signature)
		}
		if !bytes.Equal(wire.EncodeBundle(b), v.out(t, "bundle")) {
			t.Errorf("vector %d (%s): another encoding", v.I, v.Comment)
		}
	})
}

// The signature alone is judged as the reference judges it. Whether a bundle
// may be believed is our own policy: no recorded bundle that the reference
// refuses is believed, and of those it accepts, the ones without a prekey, with
// an impossible timestamp or with ids that leave their signed bytes open.
// Spec: 5.primitives-x3dh.3
func TestRecordedBundleVerifications(t *testing.T) {
	believed, refused := 0, map[error]int{}
	forEachVector(t, "verify_bundle", 54, func(v *vector) {
		b, signed := recordedBundle(t, v.arg(t, "bundle"))
		err := VerifySignature(&b)
		if (err == nil) != (v.ErrorKind == "") || err != nil && !errors.Is(err, ErrBundleSignature) {
			t.Errorf("vector %d (%s): %v, recorded %q", v.I, v.Comment, err, v.ErrorKind)
		}
		if signed == (v.ErrorKind == "bundle_signature_malformed") {
			t.Errorf("vector %d (%s): has a signature: %v, recorded %q", v.I, v.Comment, signed, v.ErrorKind)
		}
		if v.ErrorKind == "" {
			if identity, err := IdentityPublicKey(b.Identity).Uncompressed(); err != nil || !bytes.Equal(identity[:], v.out(t, "identity")) {
				t.Errorf("vector %d (%s): identity %x, %v", v.I, v.Comment, identity, err)
			}
		}
		const then = 1729728000000000000 + 86_400_000_000_000
		err = CheckBundle(&b, then)
		switch {
		case err == nil && v.ErrorKind != "":
			t.Errorf("vector %d (%s) is believed", v.I, v.Comment)
		case err == nil:
			believed++
		case v.ErrorKind == "":
			for _, reason := range []error{ErrBundleEmpty, ErrBundleTimestamp, ErrBundleAmbiguous} {
				if errors.Is(err, reason) {
					refused[reason]++
				}
			}
		}
	})
	if believed < 3 || refused[ErrBundleEmpty] < 4 || refused[ErrBundleTimestamp] < 9 || refused[ErrBundleAmbiguous] < 2 {
		t.Errorf("%d believed, refused for our own reasons: %v", believed, refused)
	}
}

// Spec: 5.payload.2
func TestRecordedSymmetricEncryptions(t *testing.T) {
	forEachVector(t, "encrypt_symmetric", 8, func(v *vector) {
		key, ok := symmetricKey(t, v)
		if !ok {
			return
		}
		got, err := SealSymmetric(&key, v.arg(t, "plaintext"), bytes.NewReader(v.arg(t, "nonce")))
		if err != nil || !bytes.Equal(got, v.out(t, "ciphertext")) {
			t.Errorf("vector %d (%s): %x, %v", v.I, v.Comment, got, err)
		}
	})
}

func TestRecordedSymmetricDecryptions(t *testing.T) {
	forEachVector(t, "decrypt_symmetric", 28, func(v *vector) {
		key, ok := symmetricKey(t, v)
		if !ok {
			return
		}
		got, err := OpenSymmetric(&key, v.arg(t, "ciphertext"))
		if v.ErrorKind != "" {
			if !errors.Is(err, ErrDecrypt) || got != nil {
				t.Errorf("vector %d (%s): %v", v.I, v.Comment, err)
			}
			return
		}
		if err != nil || !bytes.Equal(got, v.out(t, "plaintext")) {
			t.Errorf("vector %d (%s): %x, %v", v.I, v.Comment, got, err)
		}
	})
}

// symmetricKey is false for the few vectors with a key of 16, 20 or 24 bytes, which
// no agreement gives and the key type refuses.
func symmetricKey(t *testing.T, v *vector) (secret.Key, bool) {
	t.Helper()
	raw := v.arg(t, "key")
	key, err := secret.NewKey(raw)
	if (err == nil) != (len(raw) == secret.KeySize) {
		t.Errorf("vector %d (%s): key of %d bytes: %v", v.I, v.Comment, len(raw), err)
	}
	return key, err == nil
}
