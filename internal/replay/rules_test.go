package replay

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
)

func inMemory() persistence.Store { return memory.New() }

// Every recorded step runs through the full rules as recorded, or has a name.
// Whether a name is granted rightly is shown by the tests below.
func TestEveryStepAgreesWithTheRulesOrIsNamed(t *testing.T) {
	total := RuleCounts{Otherwise: map[string]int{}}
	for _, r := range replayAll(t) {
		total.Add(r.RuleCounts())
		if r.RuleCounts().Differs > 0 {
			var text strings.Builder
			_ = r.WriteRules(&text)
			t.Error(text.String())
		}
		if r.Schema == schemaTranscript && len(r.Rules) != len(readTranscript(t, r.Path).Steps) {
			t.Errorf("%s: %d steps", r.Path, len(r.Rules))
		}
	}
	if total.Agreed < 5500 || total.NotApplicable > 400 {
		t.Errorf("%s", total)
	}
}

// Every message that the reference decrypts gives the recorded plaintext under
// the full rules, but for the refusals that have a name: replays, our own
// messages that come back, and unencrypted ones outside of a chat.
func TestRulesGiveTheRecordedPlaintexts(t *testing.T) {
	equal, refused := 0, map[string]int{}
	for _, r := range replayAll(t) {
		if r.Schema != schemaTranscript || r.Steps[0].Status == NotSupported {
			continue
		}
		tr := readTranscript(t, r.Path)
		for i := range tr.Steps {
			s, got := &tr.Steps[i], &r.Rules[i]
			if s.Cmd != "decrypt" || !s.Expect.OK || got.Status == NotSupported {
				continue
			}
			switch {
			case !got.refused && bytes.Equal(got.plaintext, s.Expect.Plaintext):
				equal++
			case !got.refused:
				t.Errorf("%s step %d: another plaintext", r.Path, i)
			default:
				refused[named(got)[0]]++
			}
		}
	}
	if equal < 1500 {
		t.Errorf("only %d equal plaintexts", equal)
	}
	for id := range refused {
		if !slices.Contains([]string{devReplay, ruleOwnEcho, rulePublicChat, ruleDHOnce}, id) {
			t.Errorf("%d messages are refused for %s", refused[id], id)
		}
	}
}

// named are the names that stand in a step.
func named(s *Step) []string {
	var ids []string
	for _, c := range s.Checks {
		if c.Status == Explained {
			ids = append(ids, c.Deviation)
		}
	}
	return ids
}

// Each rule that chooses otherwise is shown by a recording, at the step where it
// does so first.
func TestRulesAreShownByRecordings(t *testing.T) {
	for _, c := range []struct {
		id, recording string
		step          int
	}{
		{ruleSmallerKey, "simultaneous", 24},
		{ruleMadeWith, "simultaneous_lost_then_healed", 16},
		{ruleStartedOver, "recovery_of_sender", 16},
		{ruleNewerPreKey, "rekey_higher_version", 34},
		{ruleOwnRotation, "own_bundle_expires", 13},
		{ruleActiveFirst, "device_cap", 13},
		{ruleOwnCap, "device_cap", 40},
		{ruleNoTarget, "pairing_and_disable", 7}, // T40
		{ruleOwnWrapper, "pairing_and_disable", 19},
		{ruleKnownOnly, "pairing_and_disable", 35},
		{ruleCopies, "fan_out_three_devices", 33},
		{ruleSameID, "same_installation_id_as_ours", 4},
		{ruleOwnEcho, "own_bundle_returns", 7},
		{rulePublicChat, "public_message", 3},
		{ruleDHOnce, "no_bundle_dh", 7}, // T26
		{ruleEmptyMessage, "public_message", 9},
		{devSessionStored, "tampered_first_payload", 7}, // T28
		{devHeaderUntilReply, "forged_confirmation", 6}, // T28
	} {
		t.Run(c.id, func(t *testing.T) {
			for _, r := range replayAll(t) {
				if r.Name != c.recording {
					continue
				}
				first := slices.IndexFunc(r.Rules, func(s Step) bool { return slices.Contains(named(&s), c.id) })
				if first != c.step {
					t.Errorf("first shown at step %d of %s, want %d", first, c.recording, c.step)
				}
			}
		})
	}
}

// The list in the code and the table of docs/conformance.md are the same.
func TestRulesAreThoseOfTheDocument(t *testing.T) {
	document, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	var written, inCode []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(R-[a-z0-9-]+)` \\| (.+?) \\|").FindAllStringSubmatch(string(document), -1) {
		written = append(written, m[1]+": "+m[2])
	}
	for _, r := range Rules() {
		inCode = append(inCode, r.ID+": "+r.Summary)
	}
	if !slices.Equal(written, inCode) {
		t.Errorf("docs/conformance.md has\n%s\nthe code has\n%s", strings.Join(written, "\n"), strings.Join(inCode, "\n"))
	}
}

// A name is granted for its cause only: without what was seen before, the step
// is a difference.
func TestNamesOfRulesNeedTheirCause(t *testing.T) {
	for _, c := range []struct {
		id, recording string
		forget        func(*hosted)
	}{
		{ruleSmallerKey, "simultaneous", func(h *hosted) { clear(h.causes) }},
		{ruleStartedOver, "recovery_of_sender", func(h *hosted) { clear(h.causes) }},
		{ruleOwnCap, "device_cap", func(h *hosted) { h.capped = false }},
		{devBundleKept, "recovery_same_installation", func(h *hosted) { h.missed = nil }},
	} {
		t.Run(c.id, func(t *testing.T) {
			for _, remembered := range []bool{true, false} {
				tr := readTranscript(t, filepath.Join(recordings, "sessions", c.recording+".json"))
				d := &driver{transcript: tr, nodes: map[string]*installed{}}
				full := &hosts{stores: inMemory, nodes: map[string]*hosted{}}
				var report FileReport
				for i := range tr.Steps {
					s := &tr.Steps[i]
					first := Step{Status: Equal}
					if err := d.step(s, &first); err != nil {
						t.Fatal(err)
					}
					if h := full.nodes[s.Node]; h != nil && !remembered {
						c.forget(h)
					}
					ruled, err := full.step(d.nodes[s.Node], s, &first)
					if err != nil {
						t.Fatal(err)
					}
					report.Rules = append(report.Rules, ruled)
				}
				if counts := report.RuleCounts(); (counts.Differs == 0) != remembered || remembered && counts.Otherwise[c.id] == 0 {
					t.Errorf("remembered %t: %s", remembered, counts)
				}
			}
		})
	}
}

// checkedByRules are the values that the second pass compares or draws itself.
var checkedByRules = regexp.MustCompile(`^steps\.#\.(decrypt\.expect\.(ok|plaintext)|encrypt\.expect\.(ok|message|targets\.#)|advertise\.expect\.message|bundle\.expect\.bundle|process_bundle\.expect\.ok|encrypt\.expect\.generated_keys\.#\.priv)$`)

// The second pass notices by itself when one character of what it compares is
// altered, wherever it agreed before. To repeat: go test ./internal/replay -run NoticedByTheRules
func TestAlteredRecordingIsNoticedByTheRules(t *testing.T) {
	const seed = 4
	r := rand.New(rand.NewPCG(seed, seed))
	tried := map[string]int{}
	for _, name := range []string{"account_recovery", "simultaneous", "ping_pong", "fan_out_three_devices", "own_bundle_expires", "tampered", "no_bundle_dh"} {
		data, err := os.ReadFile(filepath.Join(recordings, "sessions", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		v := parseLoose(t, data)
		var list []leaf
		leaves(v, "", nil, &list)
		slices.SortFunc(list, func(a, b leaf) int { return strings.Compare(a.path, b.path) })
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		here := map[string]int{}
		for _, l := range list {
			kind := l.kind()
			other, ok := altered(l.get, r)
			if !ok || !checkedByRules.MatchString(kind) || here[kind] == 2 {
				continue
			}
			here[kind]++
			tried[kind]++
			l.set(other)
			if report := replayed(t, v); report != nil && report.RuleCounts().Differs == 0 {
				t.Errorf("seed %d: %s: %s altered from %.60v to %.60v, not noticed", seed, name, l.path, l.get, other)
			}
			l.set(l.get)
		}
	}
	if len(tried) < 9 {
		t.Errorf("only %v were altered", tried)
	}
}
