package topic

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

// shownAs names the form in which sixteen bytes in a row of a secret text stand
// in an output, or is empty. Names of kinds, which are public, are shorter.
func shownAs(output string, text []byte) string {
	const window = 16
	for i := 0; i+window <= len(text); i++ {
		part := text[i : i+window]
		list := strings.Trim(fmt.Sprint(part), "[]")
		switch {
		case strings.Contains(output, string(part)):
			return "text"
		case strings.Contains(strings.ToLower(output), hex.EncodeToString(part)):
			return "hex"
		case strings.Contains(output, list), strings.Contains(output, strings.ReplaceAll(list, " ", ",")):
			return "a decimal list"
		case strings.Contains(output, base64.RawStdEncoding.EncodeToString(part[:window-1])):
			return "base64"
		}
	}
	return ""
}

// T48: no name shows its text, in whatever way it is printed, logged or turned
// into JSON; of a negotiated one that is the secret of two identities.
func TestNoNameIsShown(t *testing.T) {
	own, peer := identityKey(t, strings.Repeat("11", 32)), identityKey(t, strings.Repeat("22", 32))
	for _, n := range []Name{
		must(t)(Negotiated(own, peer.Public())),
		must(t)(PublicChat("a chat that few people know")),
		must(t)(ContactCode(own.Public())),
	} {
		var out bytes.Buffer
		for _, v := range []any{
			n, &n,
			[]Name{n},
			map[string]Name{"n": n},
			struct{ N Name }{n},
			fmt.Errorf("wrapped: %v %+v", n, &n),
		} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%5.3s"} {
				fmt.Fprintf(&out, verb, v)
			}
			slog.New(slog.NewTextHandler(&out, nil)).Info("m", "value", v)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "value", v)
			if err := json.NewEncoder(&out).Encode(v); err != nil {
				t.Errorf("JSON of %T: %v", v, err)
			}
		}
		if form := shownAs(out.String(), n.text); form != "" {
			t.Errorf("%s is shown as %s", n, form)
		}
		want := n.Kind().String() + " " + n.Topic().String()
		if got := fmt.Sprint(n); got != want || n.String() != want || n.GoString() != want {
			t.Errorf("printed as %q, want %q", got, want)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s does not stand in the output: the names did not reach it", want)
		}
		if shownAs(string(n.text), n.text) == "" || shownAs(fmt.Sprint(n.text), n.text) == "" || shownAs(fmt.Sprintf("%x", n.text), n.text) == "" {
			t.Error("the detector does not see what it looks for")
		}
	}
}

// T48: neither do keys that are held.
func TestKeysShowNeitherKeysNorNames(t *testing.T) {
	keys, name := newKeys(newShelf(), Options{}, derived), must(t)(PublicChat("a chat that few people know"))
	key, err := keys.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		fmt.Fprintf(&out, verb, keys)
	}
	if form := shownAs(out.String(), key.Bytes()); form != "" {
		t.Errorf("the key is shown as %s", form)
	}
	if got := fmt.Sprint(keys); got != "1 keys of topics, 0 being looked for" {
		t.Errorf("printed as %q", got)
	}
}
