package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/persistence/cell/celltest"
)

// holder prints what it holds without being asked how: fmt calls no method of
// what lies in an unexported field.
type holder struct {
	Shown  any
	hidden any
}

// TestNothingPublicShowsASecret prints everything that callers get in every way
// that Go prints.
func TestNothingPublicShowsASecret(t *testing.T) {
	const text = "Zyx.Qwertz!Uiop#Asdf%Ghjk"
	p := newKeyFile(t)
	k := mustCreate(t, p, onDisk(celltest.NewDisk(), 1))
	mustBegin(t, k)
	aead := mustAEAD(t, k, 1)
	secrets := map[string][]byte{"the passphrase": []byte(text), "the key of the file": k.key.Bytes()}
	for id, key := range keys(k) {
		secrets[fmt.Sprintf("the key of epoch %d", id)] = bytes.Clone(key[:])
	}
	_, wrong := Open(ringName, Passphrase(text), k.options)
	forbidden := make(map[string]string)
	for what, value := range secrets {
		for form, how := range formsOf(value) {
			forbidden[form] = what + " " + how
		}
	}
	for name, public := range map[string]any{
		"keyring": k, "AEAD": aead, "epochs": k.Epochs(), "options": k.options,
		"passphrase": Passphrase(text), "key file": p, "error": wrong,
	} {
		for form, output := range printed(t, public) {
			for shown, what := range forbidden {
				if strings.Contains(output, shown) {
					t.Errorf("%s as %s shows %s: %.200s", name, form, what, output)
					break
				}
			}
		}
	}
	if shown := fmt.Sprintf("%+v", holder{hidden: struct{ b []byte }{[]byte(text)}}); !slices.ContainsFunc(slices.Collect(maps.Keys(forbidden)),
		func(form string) bool { return strings.Contains(shown, form) }) {
		t.Errorf("nobody would see a secret in %s", shown)
	}
	if got := fmt.Sprint(p); !strings.HasPrefix(got, "[key file ") {
		t.Errorf("a key file prints as %s", got)
	}
	if got := fmt.Sprintf("%+v", k); got != "[keyring keyring]" {
		t.Errorf("a keyring prints as %s", got)
	}
}

func printed(t *testing.T, public any) map[string]string {
	t.Helper()
	forms := make(map[string]string)
	for place, value := range map[string]any{"itself": public, "a part": holder{public, public}, "a part behind a pointer": &holder{public, public}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U"} {
			forms[place+" "+verb] = fmt.Sprintf(verb, value)
		}
		if b, err := json.Marshal(value); err == nil {
			forms[place+" JSON"] = string(b)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("text", "value", value)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("JSON", "value", value)
		forms[place+" log"] = log.String()
	}
	return forms
}

// formsOf gives the forms in which six bytes in a row of a secret can be printed.
func formsOf(value []byte) map[string]string {
	forms := make(map[string]string)
	for i := 0; i+6 <= len(value); i++ {
		part := value[i : i+6]
		decimal := strings.Trim(fmt.Sprint(part), "[]")
		forms[string(part)] = "raw"
		forms[hex.EncodeToString(part)] = "in hex"
		forms[strings.ToUpper(hex.EncodeToString(part))] = "in upper-case hex"
		forms[decimal] = "in decimal"
		forms[strings.ReplaceAll(decimal, " ", ",")] = "in decimal JSON"
		forms[strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", part), "[]byte{"), "}")] = "as a Go literal"
		forms[strings.Trim(fmt.Sprintf("%o", part), "[]")] = "in octal"
		forms[strings.Trim(fmt.Sprintf("%b", part), "[]")] = "in binary"
		forms[base64.StdEncoding.EncodeToString(part)] = "in base64"
	}
	return forms
}
