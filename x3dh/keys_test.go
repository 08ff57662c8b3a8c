package x3dh

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/internal/curve"
)

func TestIdentitiesAreReadInBothForms(t *testing.T) {
	k := newIdentity(t, "alice")
	compressed := k.Public()
	uncompressed, err := compressed.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range [][]byte{compressed[:], uncompressed[:]} {
		if got, err := ParseIdentity(form); err != nil || got != compressed {
			t.Errorf("%d bytes: %s, %v", len(form), got, err)
		}
	}
	for name, b := range map[string][]byte{
		"empty":              nil,
		"short":              compressed[:32],
		"long":               append(bytes.Clone(compressed[:]), 0),
		"x and y only":       uncompressed[1:],
		"hybrid form":        append([]byte{6}, uncompressed[1:]...),
		"y changed":          append(bytes.Clone(uncompressed[:64]), uncompressed[64]^1),
		"compressed, zero":   make([]byte, 33),
		"uncompressed, zero": append([]byte{4}, make([]byte, 64)...),
	} {
		if got, err := ParseIdentity(b); !errors.Is(err, ErrKey) || got != (IdentityPublicKey{}) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	for name, p := range invalidPoints() {
		if _, err := IdentityPublicKey(p).Uncompressed(); !errors.Is(err, curve.ErrPublicKey) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := ParseIdentity(p[:]); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if want := hex.EncodeToString(compressed[:]); compressed.String() != want || PreKeyPublic(compressed).String() != want {
		t.Errorf("printed as %s", compressed)
	}
}

// Spec: 5.prekeys.1 5.prekeys.2
func TestScalarsMakeTheSameKeysAgain(t *testing.T) {
	identity, prekey := newIdentity(t, "alice"), newPreKey(t, "prekey")
	i, err1 := NewIdentity(identity.Scalar())
	p, err2 := NewPreKey(prekey.Scalar())
	if err := errors.Join(err1, err2); err != nil || i.Public() != identity.Public() || p.Public() != prekey.Public() {
		t.Errorf("%v or other keys", err)
	}
	pair := prekey.Pair()
	if curve.PublicKey(prekey.Public()) != pair.Public() || !bytes.Equal(pair.Scalar.Bytes(), prekey.Scalar()) {
		t.Error("the pair is another key")
	}
	for name, b := range map[string][]byte{
		"zero": make([]byte, 32), "2^256-1": bytes.Repeat([]byte{0xff}, 32), "short": make([]byte, 31), "long": make([]byte, 33),
	} {
		if _, err := NewIdentity(b); !errors.Is(err, curve.ErrPrivateKey) {
			t.Errorf("identity, %s: %v", name, err)
		}
		if _, err := NewPreKey(b); !errors.Is(err, curve.ErrPrivateKey) {
			t.Errorf("prekey, %s: %v", name, err)
		}
	}
}

func TestSharedSecretIsTheSameOnBothSides(t *testing.T) {
	alice, bob, carol := newIdentity(t, "alice"), newIdentity(t, "bob"), newIdentity(t, "carol")
	ab, err1 := alice.SharedSecret(bob.Public())
	ba, err2 := bob.SharedSecret(alice.Public())
	ac, err3 := alice.SharedSecret(carol.Public())
	if err := errors.Join(err1, err2, err3); err != nil || ab != ba || ab == ac {
		t.Errorf("%v or wrong secrets", err)
	}
	for name, p := range invalidPoints() {
		if s, err := alice.SharedSecret(IdentityPublicKey(p)); !errors.Is(err, ErrKey) || s != ([32]byte{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Spec: 5.security-considerations.4
func TestWipedKeysHoldNothing(t *testing.T) {
	identity, prekey := newIdentity(t, "alice"), newPreKey(t, "prekey")
	identity.Wipe()
	prekey.Wipe()
	zero := make([]byte, 32)
	if !bytes.Equal(identity.Scalar(), zero) || !bytes.Equal(prekey.Scalar(), zero) {
		t.Error("a scalar is left")
	}
	bob := newIdentity(t, "bob")
	if _, err := identity.SharedSecret(bob.Public()); !errors.Is(err, curve.ErrPrivateKey) {
		t.Errorf("a wiped key computes: %v", err)
	}
}

// T48: private keys print their public half, in every verb, log and JSON, also
// inside other values.
func TestPrivateKeysPrintTheirPublicHalf(t *testing.T) {
	identity, prekey := newIdentity(t, "alice"), newPreKey(t, "prekey")
	var out bytes.Buffer
	text, jsonLog := slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))
	type holder struct {
		I IdentityKey
		P *PreKey
		L []any
	}
	for _, v := range []any{identity, &identity, prekey, &prekey, holder{identity, &prekey, []any{identity, prekey}}, map[string]PreKey{"k": prekey}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		text.Info("m", "value", v)
		jsonLog.Info("m", "value", v)
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Errorf("JSON of %T: %v", v, err)
		}
	}
	for name, scalar := range map[string][]byte{"identity": identity.Scalar(), "prekey": prekey.Scalar()} {
		for i := range len(scalar) - 5 {
			part := scalar[i : i+6]
			list := strings.Trim(fmt.Sprint(part), "[]")
			for _, form := range []string{
				string(part), hex.EncodeToString(part), strings.ToUpper(hex.EncodeToString(part)),
				list, strings.ReplaceAll(list, " ", ","), base64.RawStdEncoding.EncodeToString(part),
				strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", part), "[]byte{"), "}"),
			} {
				if strings.Contains(out.String(), form) {
					t.Fatalf("the %s key is printed", name)
				}
			}
		}
	}
	for _, want := range []string{"identity key of " + identity.Public().String(), "prekey of " + prekey.Public().String()} {
		if strings.Count(out.String(), want) < 20 {
			t.Errorf("%q is hardly printed", want)
		}
	}
}

// A stored prekey is taken as it is, and can be checked.
func TestRestoredPreKeyIsCheckedOnDemand(t *testing.T) {
	prekey, other := newPreKey(t, "prekey"), newPreKey(t, "other")
	same, err := RestorePreKey(prekey.Scalar(), prekey.Public())
	if err != nil || same.Check() != nil || same.Public() != prekey.Public() {
		t.Errorf("got %v, %v", same, err)
	}
	mixed, err := RestorePreKey(prekey.Scalar(), other.Public())
	if err != nil || !errors.Is(mixed.Check(), curve.ErrMismatch) {
		t.Errorf("halves of two keys: %v, %v", mixed, err)
	}
}
