package replay

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The list in the code and the sections of DEVIATIONS.md are the same, in the
// same order.
func TestDeviationsAreThoseOfTheDocument(t *testing.T) {
	document, err := os.ReadFile("../../DEVIATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	var written, listed []string
	for _, m := range regexp.MustCompile(`(?m)^### (D-[a-z0-9-]+): (.+)$`).FindAllStringSubmatch(string(document), -1) {
		written = append(written, m[1]+": "+m[2])
	}
	for _, d := range Deviations() {
		listed = append(listed, d.ID+": "+d.Summary)
	}
	if !slices.Equal(written, listed) {
		t.Errorf("DEVIATIONS.md has\n%s\nthe code has\n%s", strings.Join(written, "\n"), strings.Join(listed, "\n"))
	}
}

// Every deviation that a recording can show is shown by the recordings of the
// project, where it belongs and with what we do instead.
func TestDeviationsAreShownByRecordings(t *testing.T) {
	// The steps of one recording that a deviation explains, and whether we refuse
	// there what the reference accepts.
	for _, c := range []struct {
		id, recording string
		steps         []int
		refused       bool
	}{
		{devReplay, "duplicates", []int{15, 30}, true},
		{devReplay, "malformed", []int{20}, true}, // T26, and T42 seen from the receiver
		{devSkippedLimits, "max_message_keys", []int{15}, false},
		{devSessionIdentity, "installation_id_collision", []int{10}, false},      // T35
		{devSessionIdentity, "installation_id_collision_late", []int{10}, false}, // T35
		{devSessionIdentity, "recovery_of_sender", []int{15}, false},
		{devSessionStored, "tampered_first_x3dh_key", []int{7, 9}, false}, // T28
		{devSessionStored, "tampered_first_payload", []int{7, 8}, false},
		{devBundleVerified, "unsigned_bundle_is_stored", []int{12}, false}, // T29
		{devBundlePolicy, "bundle_verification", []int{8, 14}, true},       // T30
		{devBundlePolicy, "signature_material_ambiguity", []int{4}, true},  // T30
		{devBundleKept, "account_recovery", []int{}, false},
		{devOwnBundle, "forged_own_bundle_mild", []int{11, 15}, false},
		{devPreKeyOwner, "signed_prekey_claimed", []int{6}, false},
		{devNewestBundle, "bundle_versions_out_of_order", []int{}, false}, // T32
		{devHeaderUntilReply, "forged_confirmation", []int{6}, false},     // T28
		{devStrictDecoding, "bundle_verification", []int{15, 16}, true},
		{devTypedRefusal, "malformed", []int{8, 9, 10, 16, 17, 18, 30}, true}, // T20
	} {
		t.Run(c.id+"/"+c.recording, func(t *testing.T) {
			var found []int
			for _, r := range replayAll(t) {
				if r.Name != c.recording {
					continue
				}
				for i := range r.Steps {
					s := &r.Steps[i]
					shown := slices.ContainsFunc(s.Checks, func(x Check) bool { return x.Deviation == c.id })
					if !shown || s.Cmd == "state" || s.Cmd == "final_state" {
						continue
					}
					found = append(found, s.I)
					if slices.Contains(c.steps, s.I) && s.Cmd != "encrypt" && s.refused != c.refused {
						t.Errorf("step %d: refused %t, want %t", s.I, s.refused, c.refused)
					}
				}
			}
			if len(found) == 0 {
				t.Error("not shown")
			}
			for _, i := range c.steps {
				if !slices.Contains(found, i) {
					t.Errorf("not shown at step %d, but at %v", i, found)
				}
			}
		})
	}
}

// An answer that the reference cannot have given is not explained, whichever
// deviations the recording shows elsewhere.
func TestForgedAnswersAreNotExplained(t *testing.T) {
	answers := []refusal{
		refusedKeyDeleted, refusedKeyDeletedPrev, refusedMAC, refusedMACSkipped, refusedSession, refusedTooMany,
		panicked("[:-%d]", 32),
		{kindOther, "invalid signature"},
	}
	forged := 0
	for _, name := range []string{"duplicates", "installation_id_collision_late", "tampered_first_x3dh_key", "malformed", "max_message_keys"} {
		path := recordings + "/sessions/" + name + ".json"
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		v := parseLoose(t, data)
		untouched := replayed(t, v)
		steps := v.(map[string]any)["steps"].([]any)
		for i := range steps {
			s := steps[i].(map[string]any)
			if s["cmd"] != "decrypt" || untouched.Steps[i].Status != Equal {
				continue
			}
			recorded := s["expect"]
			accepted := recorded.(map[string]any)["ok"] == true
			lies := []map[string]any{{"ok": true, "plaintext": "00"}, {"ok": true}}
			if accepted {
				lies = nil
				for _, a := range answers {
					lies = append(lies, map[string]any{"ok": false, "error": a.text, "error_kind": a.kind, "panic": a.kind == kindPanic})
				}
			}
			for _, lie := range lies {
				s["expect"] = lie
				forged++
				if r := replayed(t, v); r == nil || r.Steps[i].Status != Differs || r.Rules[i].Status != Differs {
					t.Errorf("%s step %d: %v instead of %v is taken", name, i, lie, recorded)
				}
			}
			s["expect"] = recorded
		}
	}
	if forged < 200 {
		t.Errorf("only %d forged answers", forged)
	}
}
