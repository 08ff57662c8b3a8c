package hmacsha256

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// shownAs names the first form in which six bytes in a row of a secret stand
// in an output, or is empty.
func shownAs(output string, secret []byte) string {
	const window = 6
	lower := strings.ToLower(output)
	for i := 0; i+window <= len(secret); i++ {
		part := secret[i : i+window]
		list := strings.Trim(fmt.Sprint(part), "[]")
		switch {
		case strings.Contains(output, string(part)):
			return "raw bytes"
		case strings.Contains(lower, hex.EncodeToString(part)):
			return "hex"
		case strings.Contains(output, list), strings.Contains(output, strings.ReplaceAll(list, " ", ",")):
			return "a decimal list"
		case strings.Contains(output, strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", part), "[]byte{"), "}")):
			return "a Go literal"
		case strings.Contains(output, base64.RawStdEncoding.EncodeToString(part)):
			return "base64"
		}
	}
	return ""
}

// T48: no key shows its states, in whatever way it is printed, logged or turned
// into JSON.
func TestNoKeyIsShown(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		key := [Size]byte(drawn(seeded("shown"), Size))
		var k Key
		k.Init(&key)
		for _, v := range []any{
			k, &k,
			[]Key{k},
			map[string]Key{"k": k},
			struct{ K Key }{k},
			fmt.Errorf("wrapped: %v %+v", k, &k),
		} {
			var out bytes.Buffer
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b"} {
				fmt.Fprintf(&out, verb, v)
			}
			slog.New(slog.NewTextHandler(&out, nil)).Info("m", "value", v)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "value", v)
			if err := json.NewEncoder(&out).Encode(v); err != nil {
				t.Errorf("JSON of %T: %v", v, err)
			}
			for name, secret := range map[string][]byte{"key": key[:], "inner state": k.inner[:], "outer state": k.outer[:]} {
				if form := shownAs(out.String(), secret); form != "" {
					t.Errorf("%T shows the %s as %s", v, name, form)
				}
			}
		}
		if got := fmt.Sprint(k) + k.String() + k.GoString(); got != strings.Repeat(redacted, 3) {
			t.Errorf("printed: %q", got)
		}
	})
}

func TestLeakDetectorSeesEveryForm(t *testing.T) {
	secret := drawn(seeded("detector"), Size)
	list, err := json.Marshal([Size]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{
		string(secret), fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), fmt.Sprint(secret),
		fmt.Sprintf("%#v", secret), string(list), base64.StdEncoding.EncodeToString(secret),
	} {
		if shownAs(shown, secret) == "" {
			t.Errorf("not noticed: %q", shown)
		}
	}
}
