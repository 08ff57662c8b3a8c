package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const recordings = "../../testdata/recordings"

// leaf is one recorded value: where it is and how to change it.
type leaf struct {
	path string // e.g. steps.4.encrypt.expect.message
	set  func(any)
	get  any
}

// kind is the path without numbers and installation ids, so that values of the same meaning
// fall together.
func (l *leaf) kind() string { return numbers.ReplaceAllString(l.path, ".#") }

var numbers = regexp.MustCompile(`\.[0-9]+\b`)

// leaves lists every text, number and truth value below v.
func leaves(v any, path string, set func(any), list *[]leaf) {
	switch v := v.(type) {
	case map[string]any:
		for key, x := range v {
			name := key
			if s, ok := x.(map[string]any); ok && key == "expect" {
				_ = s
			}
			leaves(x, path+"."+name, func(y any) { v[key] = y }, list)
		}
	case []any:
		for i, x := range v {
			name := fmt.Sprint(i)
			if s, ok := x.(map[string]any); ok {
				for _, label := range []string{"cmd", "fn", "op"} {
					if text, ok := s[label].(string); ok {
						name += "." + text
					}
				}
			}
			leaves(x, path+"."+name, func(y any) { v[i] = y }, list)
		}
	case nil:
	default:
		*list = append(*list, leaf{strings.TrimPrefix(path, "."), set, v})
	}
}

// altered changes one character of a text or digit, or turns a truth value.
func altered(v any, r *rand.Rand) (any, bool) {
	switch v := v.(type) {
	case bool:
		return !v, true
	case json.Number:
		if v == "0" {
			return json.Number("1"), true
		}
		b := []byte(v)
		i := r.IntN(len(b))
		if b[i] == '-' {
			return nil, false
		}
		b[i] = '1' + (b[i]-'0')%9
		return json.Number(b), true
	case string:
		if v == "" {
			return nil, false
		}
		b := []byte(v)
		i := r.IntN(len(b))
		switch c := b[i]; {
		case c >= '0' && c <= '8', c >= 'a' && c <= 'e':
			b[i]++
		case c == '9':
			b[i] = 'a'
		case c == 'f':
			b[i] = '0'
		default:
			b[i] ^= 1
		}
		return string(b), true
	}
	return nil, false
}

// notChecked are the values that no altering can show, as docs/conformance.md
// lists them.
var notChecked = []*regexp.Regexp{
	regexp.MustCompile(`^(set|name|description|reference)$`),
	regexp.MustCompile(`\.(comment|seed|time|name|description)$`),
	regexp.MustCompile(`(should_advertise|unconfirmed)\.expect\.`),
	regexp.MustCompile(`state\.(ratchet_info|bundles|installations|secrets)\.`),
	regexp.MustCompile(`sessions\.#\.step$`),
	regexp.MustCompile(`\.delete_mk\.`),
}

// expectations tells which values are the reference's answers.
var expectations = regexp.MustCompile(`\.expect\.|^final_state\.|^vectors\.#\.\w+\.(out|error|error_kind|panic)|^scripts\.#\.(ops\.#\.\w+\.(header|ciphertext|plaintext|error|generated_keys)|bob_ratchet_pub|alice)`)

func parseLoose(t testing.TB, data []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// detected tells whether a recording is reported as differing or refused.
func detected(t testing.TB, v any) bool {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Data(data)
	if err != nil {
		if !errors.Is(err, ErrMalformed) {
			t.Fatalf("not a typed error: %v", err)
		}
		return true
	}
	return report.Counts().Differs > 0
}

// Every kind of value that is checked makes the replay fail when one character
// of it is altered.
func TestEveryAlteredExpectationIsReported(t *testing.T) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, seed))
	for _, name := range []string{
		"primitives", "doubleratchet",
		"sessions/ping_pong", "sessions/duplicates", "sessions/tampered", "sessions/malformed", "sessions/no_bundle_dh",
		"sessions/bundle_verification", "sessions/bundle_versions_out_of_order", "sessions/device_cap",
		"sessions/forged_own_bundle", "sessions/forged_own_bundle_mild", "sessions/forged_confirmation",
		"sessions/installation_id_collision_late", "sessions/max_message_keys", "sessions/not_targeted",
		"sessions/pairing_and_disable", "sessions/public_message", "sessions/recovery_of_sender",
		"sessions/account_recovery", "sessions/shared_secret", "sessions/signature_material_ambiguity",
		"sessions/signed_prekey_claimed", "sessions/tampered_first_payload", "sessions/tampered_first_x3dh_key",
		"sessions/third_party_bundle", "sessions/unsigned_bundle_is_stored", "sessions/x3dh_header_until_reply",
		"sessions/random_02",
	} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(recordings, name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			v := parseLoose(t, data)
			if detected(t, v) {
				t.Fatal("the recording differs before anything is altered")
			}
			var list []leaf
			leaves(v, "", nil, &list)
			slices.SortFunc(list, func(a, b leaf) int { return strings.Compare(a.path, b.path) })
			byKind := map[string][]leaf{}
			var kinds []string
			for _, l := range list {
				kind := l.kind()
				if !expectations.MatchString(kind) || slices.ContainsFunc(notChecked, func(e *regexp.Regexp) bool { return e.MatchString(kind) }) {
					continue
				}
				if byKind[kind] == nil {
					kinds = append(kinds, kind)
				}
				byKind[kind] = append(byKind[kind], l)
			}
			samples := 3
			if os.Getenv("ALL") != "" {
				samples = 100
			}
			for _, kind := range kinds {
				same := byKind[kind]
				r.Shuffle(len(same), func(i, j int) { same[i], same[j] = same[j], same[i] })
				for _, l := range same[:min(samples, len(same))] {
					other, ok := altered(l.get, r)
					if !ok {
						continue
					}
					l.set(other)
					if !detected(t, v) {
						t.Errorf("%s: altered from %.60v to %.60v, not reported", l.path, l.get, other)
					}
					l.set(l.get)
				}
			}
		})
	}
}
