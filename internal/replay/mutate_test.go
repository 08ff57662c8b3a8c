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

// kind is the path without numbers, so that values of the same meaning fall
// together.
func (l *leaf) kind() string { return numbers.ReplaceAllString(l.path, ".#") }

var numbers = regexp.MustCompile(`\.[0-9]+\b`)

// leaves lists every text, number and truth value below v.
func leaves(v any, path string, set func(any), list *[]leaf) {
	switch v := v.(type) {
	case map[string]any:
		for key, x := range v {
			leaves(x, path+"."+key, func(y any) { v[key] = y }, list)
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
	regexp.MustCompile(`message_keys\.#\.message_key$`),
	regexp.MustCompile(`state\.(ratchet_info|bundles|installations|secrets)\.`),
	regexp.MustCompile(`sessions\.#\.step$`),
	regexp.MustCompile(`\.delete_mk\.`),
}

// expectations tells which values are the reference's answers.
var expectations = regexp.MustCompile(`\.expect\.|^final_state\.|^vectors\.#\.\w+\.(out|error|error_kind|panic)|^scripts\.#\.(ops\.#\.encrypt\.(header|ciphertext)|ops\.#\.\w+\.(plaintext|error|generated_keys)|bob_ratchet_pub|alice)`)

// judgements tells what the reference made of a message.
var judgements = regexp.MustCompile(`\.decrypt\.expect\.(ok|plaintext|error|error_kind)$`)

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

// trim keeps of the vectors two for each function, size of the symmetric key and
// kind of error, and of the ratchet scripts the scripted ones, to keep the test short.
func trim(v any) {
	file := v.(map[string]any)
	if vectors, ok := file["vectors"].([]any); ok {
		count := map[string]int{}
		var kept []any
		for _, x := range vectors {
			vector := x.(map[string]any)
			kind := fmt.Sprint(vector["fn"], vector["error_kind"])
			if fn, _ := vector["fn"].(string); strings.HasSuffix(fn, "_symmetric") {
				key, _ := vector["args"].(map[string]any)["key"].(string)
				kind += fmt.Sprint(len(key))
			}
			if count[kind]++; count[kind] <= 2 {
				vector["i"] = json.Number(fmt.Sprint(len(kept)))
				kept = append(kept, vector)
			}
		}
		file["vectors"] = kept
	}
	if scripts, ok := file["scripts"].([]any); ok {
		file["scripts"] = scripts[:min(4, len(scripts))]
	}
}

// replayed replays a recording that was altered; nil if it was refused as
// malformed.
func replayed(t testing.TB, v any) *FileReport {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Data(data, inMemory)
	if err != nil && !errors.Is(err, ErrMalformed) {
		t.Fatalf("not a typed error: %v", err)
	}
	return report
}

func (f *FileReport) explained() (sum int) {
	for _, n := range f.Counts().Explained {
		sum += n
	}
	return sum
}

// unsupported tells whether a value belongs to a step of the group hash ratchet.
func (f *FileReport) unsupported(l *leaf) bool {
	var i int
	if _, err := fmt.Sscanf(l.path, "steps.%d.", &i); err != nil {
		if _, err = fmt.Sscanf(l.path, "vectors.%d.", &i); err != nil {
			return false
		}
	}
	return f.Steps[i].Status == NotSupported || slices.ContainsFunc(f.Steps[i].Checks, func(c Check) bool { return c.Status == NotSupported })
}

// Every kind of value that is checked makes the replay fail when one character
// of it is altered. To repeat: go test ./internal/replay -run Altered
func TestEveryAlteredExpectationIsReported(t *testing.T) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, seed))
	// Values of messages and bundles mean the same in every recording: a few are
	// enough. Judgements are altered in each.
	tried := map[string]int{}
	enough := func(kind string) bool { return tried[kind] >= 3 && !judgements.MatchString(kind) }
	for _, name := range []string{
		"primitives", "doubleratchet",
		"sessions/account_recovery", "sessions/bundle_verification", "sessions/bundle_versions_out_of_order",
		"sessions/duplicates", "sessions/forged_own_bundle", "sessions/installation_id_collision_late",
		"sessions/malformed", "sessions/max_message_keys", "sessions/no_bundle_dh", "sessions/not_targeted",
		"sessions/own_bundle_returns", "sessions/pairing_and_disable", "sessions/public_message",
		"sessions/shared_secret", "sessions/signed_prekey_claimed", "sessions/tampered_first_x3dh_key",
		"sessions/unsigned_bundle_is_stored",
	} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(recordings, name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			v := parseLoose(t, data)
			trim(v)
			untouched := replayed(t, v)
			if untouched == nil || untouched.Counts().Differs > 0 {
				t.Fatal("the recording differs before anything is altered")
			}
			var list []leaf
			leaves(v, "", nil, &list)
			slices.SortFunc(list, func(a, b leaf) int { return strings.Compare(a.path, b.path) })
			byKind := map[string][]leaf{}
			var kinds []string
			for _, l := range list {
				kind := l.kind()
				if !expectations.MatchString(kind) || untouched.unsupported(&l) || slices.ContainsFunc(notChecked, func(e *regexp.Regexp) bool { return e.MatchString(kind) }) {
					continue
				}
				if byKind[kind] == nil {
					kinds = append(kinds, kind)
				}
				byKind[kind] = append(byKind[kind], l)
			}
			for _, kind := range kinds {
				same := byKind[kind]
				r.Shuffle(len(same), func(i, j int) { same[i], same[j] = same[j], same[i] })
				for _, l := range same[:min(2, len(same))] {
					other, ok := altered(l.get, r)
					if !ok || enough(kind) {
						continue
					}
					tried[kind]++
					l.set(other)
					// Altering the reference's side of an explained difference into our
					// own value leaves nothing to explain; everything else must differ.
					report := replayed(t, v)
					if report != nil && report.Counts().Differs == 0 && report.explained() >= untouched.explained() {
						t.Errorf("seed %d: %s: altered from %.60v to %.60v, not reported", seed, l.path, l.get, other)
					}
					l.set(l.get)
				}
			}
		})
	}
}

// The keys of skipped messages that the reference stores are ours, byte by byte.
func TestEveryAlteredSkippedKeyIsReported(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(recordings, "sessions", "x3dh_header_until_reply.json"))
	if err != nil {
		t.Fatal(err)
	}
	v := parseLoose(t, data)
	want := 0
	for _, s := range replayed(t, v).Steps {
		for _, c := range s.Checks {
			if strings.HasPrefix(c.What, "message_keys[") && c.Status == Equal {
				want++
			}
		}
	}
	var list []leaf
	leaves(v, "", nil, &list)
	r := rand.New(rand.NewPCG(2, 2))
	got := 0
	for _, l := range list {
		if strings.HasSuffix(l.path, ".message_key") {
			other, _ := altered(l.get, r)
			l.set(other)
			got += replayed(t, v).Counts().Differs
			l.set(l.get)
		}
	}
	if want == 0 || got != want {
		t.Errorf("%d altered keys are reported, want %d", got, want)
	}
}
