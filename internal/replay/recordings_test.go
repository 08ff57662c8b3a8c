package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/rookery-im/rookery/proto/wire"
)

var allReports = sync.OnceValues(func() ([]*FileReport, error) {
	paths, err := Find([]string{recordings})
	if err != nil {
		return nil, err
	}
	var reports []*FileReport
	for _, path := range paths {
		report, err := File(path, inMemory)
		if errors.Is(err, ErrNotRecording) {
			continue
		}
		if err != nil {
			return nil, err
		}
		reports = append(reports, report)
	}
	return reports, nil
})

// replayAll gives the reports of all recordings of the project, made once.
func replayAll(t *testing.T) []*FileReport {
	t.Helper()
	reports, err := allReports()
	if err != nil {
		t.Fatal(err)
	}
	return reports
}

// No recording differs in a way that DEVIATIONS.md does not say. The recorded
// cases of T20, T21, T26, T28 to T30, T32 and T35 are among them.
func TestNoRecordingDiffers(t *testing.T) {
	reports := replayAll(t)
	if len(reports) < 71 {
		t.Fatalf("%d recordings", len(reports))
	}
	total := Counts{Equal: map[string]int{}, Explained: map[string]int{}}
	unsupported := 0
	for _, r := range reports {
		total.Add(r.Counts())
		if r.Counts().Differs > 0 {
			var text strings.Builder
			_ = r.WriteText(&text)
			t.Error(text.String())
		}
		for i := range r.Steps {
			if r.Steps[i].modelWrong {
				t.Errorf("%s step %d: the model of the reference foretold something else", r.Path, r.Steps[i].I)
			}
		}
		if r.Schema == schemaTranscript && r.Steps[0].Status == NotSupported {
			unsupported++
		}
	}
	for kind, least := range map[string]int{KindPlaintext: 1950, KindWire: 3150, KindRefusal: 400, KindValue: 25000} {
		if total.Equal[kind] < least {
			t.Errorf("%d equal %s, want at least %d", total.Equal[kind], kind, least)
		}
	}
	if unsupported != 3 {
		t.Errorf("%d transcripts of the hash ratchet, want 3", unsupported)
	}
}

// Each recorded message that we can make has exactly the recorded bytes, also
// where the reference made it for a reason we would not have.
// Spec: 5.encryption.1 5.double-ratchet.1 5.protocol-message.1 5.x3dh-header.1 5.x3dh-header.2
// Spec: 5.dr-header.2 5.dr-header.3 5.dr-header.4 5.dr-header.5 5.dh-header.2 5.payload.2
func TestEveryMessageHasTheRecordedBytes(t *testing.T) {
	for _, r := range replayAll(t) {
		if r.Schema != schemaTranscript || r.Steps[0].Status == NotSupported {
			continue
		}
		tr := readTranscript(t, r.Path)
		for i := range tr.Steps {
			s := &tr.Steps[i]
			if len(s.Expect.Message) == 0 && len(s.Expect.Bundle) == 0 {
				continue
			}
			made := false
			for _, c := range r.Steps[i].Checks {
				made = made || c.Kind == KindWire && (c.Status == Equal || c.Status == Explained)
			}
			if !made {
				t.Errorf("%s step %d %s: not made", r.Path, i, s.Cmd)
			}
		}
	}
}

func readTranscript(t *testing.T, path string) *transcript {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := parseTranscript(data)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// Every first delivery of an untouched message to an installation that it has a
// part for gives its plaintext. Exempt are messages that the sender encrypted
// for nobody: with a prekey that is not the recipient's, or under a session of
// others (the defects that DEVIATIONS.md names), those over the limits of
// skipped keys, and one whose message key its own sender has used for a second
// message before.
func TestFirstDeliveriesGiveThePlaintext(t *testing.T) {
	delivered, undeliverable := 0, map[string]int{}
	for _, r := range replayAll(t) {
		if r.Schema != schemaTranscript || r.Steps[0].Status == NotSupported {
			continue
		}
		tr := readTranscript(t, r.Path)
		d := newDeliveries(tr)
		for i := range tr.Steps {
			s := &tr.Steps[i]
			payload, first := d.first(t, s)
			if !first {
				continue
			}
			got := &r.Steps[i]
			switch {
			case !got.refused && bytes.Equal(got.plaintext, payload):
				delivered++
			case !got.refused:
				t.Errorf("%s step %d: another plaintext", r.Path, i)
			case s.Expect.OK && !d.keyUsedTwice(t, s):
				t.Errorf("%s step %d: the reference decrypts and we do not: %+v", r.Path, i, got.Checks)
			default:
				undeliverable[r.Name]++
			}
		}
	}
	if delivered < 1650 {
		t.Errorf("only %d first deliveries", delivered)
	}
	// Scripts in which the reference cannot read these messages either.
	want := map[string]int{
		"forged_confirmation": 1, "forged_own_bundle": 3, "installation_id_collision_late": 1, "malformed": 1,
		"max_keep": 1, "max_skip_default": 1, "max_skip_small": 3, "random_09": 1,
		"recovery_of_sender": 1, "recovery_same_installation": 3, "tampered_first_x3dh_key": 1, "unsigned_bundle_is_stored": 1,
	}
	for name, n := range undeliverable {
		if want[name] != n {
			t.Errorf("%s: %d first deliveries are refused, want %d", name, n, want[name])
		}
	}
}

// deliveries follows which node has seen which message, and who it was made for.
type deliveries struct {
	steps []step
	seen  map[string]map[int]bool
	nodes map[string]*node
	// used are the message keys that raw messages name, by node.
	used map[string]bool
}

func newDeliveries(tr *transcript) *deliveries {
	return &deliveries{steps: tr.Steps, seen: map[string]map[int]bool{}, nodes: map[string]*node{}, used: map[string]bool{}}
}

// first tells whether the step is the first delivery of an untouched, targeted
// message, and what it says.
func (d *deliveries) first(t *testing.T, s *step) (payload []byte, first bool) {
	t.Helper()
	if s.Cmd == "init" {
		n, err := newNode(s)
		if err != nil {
			t.Fatal(err)
		}
		d.nodes[s.Node], d.seen[s.Node] = n, map[int]bool{}
		return nil, false
	}
	if s.Cmd != "decrypt" {
		return nil, false
	}
	if s.MessageRef == nil {
		if m, err := wire.Decode(s.Message); err == nil && s.Expect.OK {
			for _, e := range m.Entries {
				if e.Part.DR != nil {
					d.used[keyName(s.Node, e.Part.DR)] = true
				}
			}
		}
		return nil, false
	}
	made := &d.steps[*s.MessageRef]
	sender, receiver := d.nodes[made.Node], d.nodes[s.Node]
	m, err := wire.Decode(made.Expect.Message)
	if err != nil || d.seen[s.Node][made.I] {
		return nil, false
	}
	full, err := sender.identity.Public().Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	ours, err := receiver.identity.Public().Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	part, partErr := receiver.part(m, sender.identity.Public())
	targeted := m.HasPublic || made.Cmd != "public" && bytes.Equal(made.To, ours[:]) && part != nil && partErr == nil
	if !targeted || !bytes.Equal(s.From, full[:]) {
		return nil, false
	}
	d.seen[s.Node][made.I] = true
	return made.Payload, true
}

func keyName(node string, h *wire.DRHeader) string {
	name, _ := json.Marshal([]any{node, h.RatchetKey, h.N})
	return string(name)
}

// keyUsedTwice tells whether another message of the same number was accepted.
func (d *deliveries) keyUsedTwice(t *testing.T, s *step) bool {
	t.Helper()
	m, err := wire.Decode(s.Message)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range m.Entries {
		if e.Part.DR != nil && d.used[keyName(s.Node, e.Part.DR)] {
			return true
		}
	}
	return false
}

// A refused message or bundle leaves the hash of everything the node keeps as
// it was (T21, T29).
func TestRefusalsLeaveTheStateUnchanged(t *testing.T) {
	refusals := 0
	for _, r := range replayAll(t) {
		if r.Schema != schemaTranscript {
			continue
		}
		for i := range r.Steps {
			s := &r.Steps[i]
			if !s.refused {
				continue
			}
			refusals++
			unchanged := false
			for _, c := range s.Checks {
				unchanged = unchanged || c.What == "state unchanged" && c.Status == Equal
			}
			if !unchanged {
				t.Errorf("%s step %d: the state was changed, or not looked at", r.Path, s.I)
			}
		}
	}
	if refusals < 250 {
		t.Errorf("only %d refusals", refusals)
	}
}
