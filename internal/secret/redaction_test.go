package secret

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

// canary has no byte pattern that could turn up by chance.
func canary() Key {
	var b [KeySize]byte
	for i := range b {
		b[i] = byte(0xa7 + 29*i)
	}
	return KeyOf(b)
}

// shownAs names the first form in which six bytes in a row of a secret stand
// in an output, or is empty.
func shownAs(output string, secret []byte) string {
	const window = 6
	for i := 0; i+window <= len(secret); i++ {
		part := secret[i : i+window]
		for name, form := range map[string]string{
			"raw":             string(part),
			"hex":             hex.EncodeToString(part),
			"upper-case hex":  strings.ToUpper(hex.EncodeToString(part)),
			"spaced hex":      fmt.Sprintf("% x", part),
			"decimal list":    strings.Trim(fmt.Sprint(part), "[]"),
			"decimal JSON":    strings.ReplaceAll(strings.Trim(fmt.Sprint(part), "[]"), " ", ","),
			"Go literal":      strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", part), "[]byte{"), "}"),
			"quoted":          strings.Trim(fmt.Sprintf("%q", part), `"`),
			"octal list":      strings.Trim(fmt.Sprintf("%o", part), "[]"),
			"binary list":     strings.Trim(fmt.Sprintf("%b", part), "[]"),
			"base64":          base64.RawStdEncoding.EncodeToString(part[:3]) + base64.RawStdEncoding.EncodeToString(part[3:]),
			"escaped unicode": strings.Trim(fmt.Sprintf("%+q", part), `"`),
		} {
			if strings.Contains(output, form) {
				return name
			}
		}
	}
	return ""
}

func TestLeakDetectorSeesEveryForm(t *testing.T) {
	k := canary()
	raw := k.Bytes()
	for _, verb := range []string{"%s", "%x", "%X", "% x", "%v", "%#v", "%q", "%+q", "%d", "%o", "%b"} {
		if shownAs(fmt.Sprintf(verb, raw), raw) == "" {
			t.Errorf("bytes printed with %s are not noticed", verb)
		}
	}
	if shownAs(base64.StdEncoding.EncodeToString(raw), raw) == "" {
		t.Error("base64 is not noticed")
	}
	list, err := json.Marshal(k.Array())
	if err != nil {
		t.Fatal(err)
	}
	if shownAs(string(list), raw) == "" {
		t.Error("a JSON array is not noticed")
	}
}

// holder carries keys in every way that exported fields allow.
type holder struct {
	Name   string
	Key    Key
	Ptr    *Key
	List   []Key
	Array  [2]Key
	Map    map[string]Key
	Any    any
	Nested struct{ Deep Key }
	Key2   struct{ Key } `json:"embedded"`
}

func newHolder() holder {
	k := canary()
	h := holder{Name: "h", Key: k, Ptr: &k, List: []Key{k}, Array: [2]Key{k, k}, Map: map[string]Key{"k": k}, Any: k}
	h.Nested.Deep = k
	h.Key2.Key = k
	return h
}

// T48: no verb and no flag of fmt prints a key, wherever exported fields hold
// it. Left out are %p of a value and %w of something that is no error: fmt
// reports both as misuse without asking the value how to print itself, and go
// vet refuses both.
func TestNoFormatVerbShowsAKey(t *testing.T) {
	k := canary()
	h := newHolder()
	for name, v := range map[string]any{
		"key": k, "pointer": &k, "struct": h, "pointer to struct": &h, "slice": []Key{k}, "any": []any{k, &k},
	} {
		for verb := 'A'; verb <= 'z'; verb++ {
			if verb > 'Z' && verb < 'a' || verb == 'p' || verb == 'w' {
				continue
			}
			for _, flags := range []string{"", "+", "#", "-", " ", "0", "+#", "40", ".3", "#+ -08.4"} {
				format := "%" + flags + string(verb)
				if form := shownAs(fmt.Sprintf(format, v), k.Bytes()); form != "" {
					t.Errorf("%s with %s shows the key as %s", name, format, form)
				}
			}
		}
	}
	// fmt appends an argument that no verb asks for; the format is a variable
	// since go vet would refuse a constant one.
	extra := "no verb"
	if out := fmt.Sprintf(extra, k); !strings.Contains(out, redacted) || shownAs(out, k.Bytes()) != "" {
		t.Errorf("an extra argument is shown: %s", out)
	}
	if got := fmt.Sprint(k); got != redacted {
		t.Errorf("Sprint gives %q", got)
	}
	if got := k.String() + k.GoString(); got != redacted+redacted {
		t.Errorf("String and GoString give %q", got)
	}
	if got := fmt.Sprintf("%T", k); got != "secret.Key" {
		t.Errorf("%%T gives %q", got)
	}
}

// T48: neither log handler shows a key, at any level.
func TestNoLogHandlerShowsAKey(t *testing.T) {
	k := canary()
	h := newHolder()
	for name, newHandler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler {
			return slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})
		},
		"JSON": func(b *bytes.Buffer) slog.Handler {
			return slog.NewJSONHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})
		},
	} {
		var out bytes.Buffer
		log := slog.New(newHandler(&out))
		log.Debug("m", "key", k, "pointer", &k, "holder", h, "holder pointer", &h, "list", []Key{k})
		log.With("with", k).WithGroup("g").Error("m", slog.Any("any", k), slog.Group("group", "key", k))
		log.Info("m", "error", fmt.Errorf("wrapped %v and %x", k, &k))
		if form := shownAs(out.String(), k.Bytes()); form != "" {
			t.Errorf("%s handler shows the key as %s", name, form)
		}
		if n := strings.Count(out.String(), redacted); n < 15 {
			t.Errorf("%s handler redacts %d values only: the keys did not reach it", name, n)
		}
	}
}

func TestJSONShowsNoKey(t *testing.T) {
	h := newHolder()
	for _, v := range []any{h, &h, h.Key, h.Ptr, h.List, h.Map, map[string]any{"x": h}} {
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if form := shownAs(string(out), h.Key.Bytes()); form != "" {
			t.Errorf("JSON of %T shows the key as %s", v, form)
		}
		if !strings.Contains(string(out), redacted) {
			t.Errorf("JSON of %T does not say that something is left out: %s", v, out)
		}
	}
}
