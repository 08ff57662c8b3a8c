package ratchet

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

// T48: no public type of this package shows a key, in whatever way it is
// printed, logged or turned into JSON.
func TestNoPublicTypeShowsAKey(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		fresh := alice.state
		sent := alice.sendMany(t, 3)
		next, effects, _, err := bob.state.Decrypt(nil, sent[2], nil, bob.limits)
		if err != nil {
			t.Fatal(err)
		}
		pair := fresh.Self
		secrets := []*secret.Key{}
		for _, s := range []*State{&fresh, &alice.state, &bob.state, &next} {
			for _, k := range keysOf(s) {
				if !k.IsZero() {
					secrets = append(secrets, k)
				}
			}
		}
		for i := range effects.Add {
			secrets = append(secrets, &effects.Add[i].Key)
		}
		if len(secrets) < 15 {
			t.Fatalf("only %d keys to look for", len(secrets))
		}
		set := NewSkipped(effects.Add)
		for _, v := range []any{
			fresh, &fresh, next, &next, bob.state, effects, &effects, effects.Add[0], sent[0], &sent[0], sent[0].Header,
			pair, &pair, next.Recv, set, *set,
			[]State{fresh, next},
			map[string]State{"s": next},
			struct {
				S State
				E Effects
				P *Skipped
			}{next, effects, set},
			fmt.Errorf("wrapped: %v %+v", next, effects),
		} {
			var out bytes.Buffer
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				fmt.Fprintf(&out, verb, v)
			}
			slog.New(slog.NewTextHandler(&out, nil)).Info("m", "value", v)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "value", v)
			if err := json.NewEncoder(&out).Encode(v); err != nil && !strings.Contains(err.Error(), "unsupported type") {
				t.Errorf("JSON of %T: %v", v, err)
			}
			for i, k := range secrets {
				if form := shownAs(out.String(), k.Bytes()); form != "" {
					t.Errorf("%T shows key %d as %s", v, i, form)
				}
			}
		}
	})
}

// T48: an error says where and why, never a key, a plaintext or a ciphertext.
func TestErrorsShowNoContent(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		for _, s := range situations(t, suite) {
			for _, alter := range []func(m *Message){
				func(m *Message) { m.Ciphertext[len(m.Ciphertext)-1] ^= 1 },
				func(m *Message) { m.Ciphertext = m.Ciphertext[:20] },
				func(m *Message) { m.Header.N = maxIndex },
				func(m *Message) { m.Header.Key.b[3] ^= 1 },
			} {
				m := Message{Header: s.m.Header, Ciphertext: bytes.Clone(s.m.Ciphertext)}
				alter(&m)
				text := s.bob.mustRefuse(t, m).Error()
				for _, k := range keysOf(&s.bob.state) {
					if !k.IsZero() && shownAs(text, k.Bytes()) != "" {
						t.Errorf("%q shows a key", text)
					}
				}
				if shownAs(text, s.m.Ciphertext) != "" || strings.Contains(text, string(s.plain)) {
					t.Errorf("%q shows content", text)
				}
			}
		}
	})
}
