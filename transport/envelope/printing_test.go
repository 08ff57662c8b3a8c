package envelope

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/internal/secret"
)

// T48: neither what was in an envelope nor its keys are shown, in whatever way they
// are printed, logged or turned into JSON.
func TestNothingInsideIsShown(t *testing.T) {
	said := []byte("what somebody says in a public chat")
	opened := Opened{Data: said, Signer: someone(t, "s").Public()}
	shared := secret.KeyOf([32]byte{1, 2, 3})
	keys := expand(&shared)
	var out bytes.Buffer
	for _, v := range []any{opened, &opened, []Opened{opened}, map[string]Opened{"o": opened}, struct{ O Opened }{opened}, keys, &keys} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%5.3s"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "value", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "value", v)
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Errorf("JSON of %T: %v", v, err)
		}
	}
	for _, hidden := range [][]byte{said, keys.encryption[:], keys.mac[:]} {
		for form, text := range map[string]string{
			"raw":       string(hidden),
			"hex":       hex.EncodeToString(hidden[:8]),
			"capitals":  strings.ToUpper(hex.EncodeToString(hidden[:8])),
			"separated": fmt.Sprintf("% x", hidden[:8]),
			"decimal":   strings.Trim(fmt.Sprint(hidden[:8]), "[]"),
			"base64":    base64.StdEncoding.EncodeToString(hidden[:9]),
		} {
			if strings.Contains(out.String(), text) {
				t.Errorf("shown: %s", form)
			}
		}
	}
	if want := opened.Signer.String(); strings.Count(out.String(), want) < 20 {
		t.Errorf("who has signed is not shown: %s", out.String())
	}
}
