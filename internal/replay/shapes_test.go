package replay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// vectorsOf reads a file of transport vectors, to be altered.
func vectorsOf(t *testing.T, name string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(recordings, "transport", name))
	if err != nil {
		t.Fatal(err)
	}
	return parseLoose(t, data).(map[string]any)
}

// What is compared of each file, so that nothing falls out of it unnoticed. Each
// message of the conversation is on the topic on which our engine and courier
// would send it, and everybody listens where ours would.
//
// Spec: 5.transport.2
func TestTransportVectorsAreCompared(t *testing.T) {
	type counts struct {
		schema                              string
		steps                               int
		plaintexts, wire, refusals, values  int
		notSupported, notChecked, explained int
	}
	want := map[string]counts{
		"payload_go.json":   {schemaEnvelopes, 139, 94, 44, 156, 821, 0, 52, 2},
		"payload_js.json":   {schemaEnvelopes, 48, 48, 26, 0, 378, 0, 22, 0},
		"topics.json":       {schemaTopics, 23, 0, 0, 0, 288, 7, 0, 0},
		"message.json":      {schemaMessages, 6, 6, 6, 0, 42, 6, 0, 0},
		"layers.json":       {schemaLayers, 15, 15, 51, 0, 26, 13, 0, 0},
		"conversation.json": {schemaConversation, 81, 65, 31, 0, 915, 0, 30, 0},
	}
	for _, r := range replayAll(t) {
		if filepath.Base(filepath.Dir(r.Path)) != "transport" {
			continue
		}
		c, name := r.Counts(), filepath.Base(r.Path)
		got := counts{
			r.Schema, len(r.Steps), c.Equal[KindPlaintext], c.Equal[KindWire], c.Equal[KindRefusal], c.Equal[KindValue],
			c.NotSupported, c.NotChecked, r.explained(),
		}
		if got != want[name] || c.Differs != 0 {
			t.Errorf("%s: %+v, want %+v; %d differ", name, got, want[name], c.Differs)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("not replayed: %v", want)
	}
}

// Transport vectors are told by their fields, under any name.
func TestShapeDecidesNotTheName(t *testing.T) {
	for name, schema := range map[string]string{"message.json": schemaMessages, "layers.json": schemaLayers} {
		data, err := os.ReadFile(filepath.Join(recordings, "transport", name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "payload_go.json")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		report, err := File(path, inMemory)
		if err != nil || report.Schema != schema || report.Counts().Differs > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// T20: every altered envelope is refused or opened as expected, those included
// that end the process of deployed clients.
func TestEveryNegativeEnvelopeIsRefused(t *testing.T) {
	v := vectorsOf(t, "payload_go.json")
	negative := v["negative"].([]any)
	delete(v, "positive")
	report := replayed(t, v)
	rejected, opened := 0, 0
	for i, raw := range negative {
		vector, s := raw.(map[string]any), &report.Steps[i]
		if s.Status == Differs || s.refused != (vector["expect"] == "reject") {
			t.Errorf("%d, %s: refused %t, %+v", i, vector["note"], s.refused, s.Checks)
		}
		if s.refused {
			rejected++
			vector["expect"] = "accept-empty"
		} else {
			opened++
			vector["expect"] = "reject"
		}
	}
	if rejected != 41 || opened != 12 {
		t.Errorf("%d refused, %d opened", rejected, opened)
	}
	for i, s := range replayed(t, v).Steps {
		if s.Status != Differs {
			t.Errorf("%d: the opposite is expected, and not reported", i)
		}
	}
}

// untold are the values of transport vectors that no altering can show, as
// docs/conformance.md lists them.
var untold = []*regexp.Regexp{
	regexp.MustCompile(`(^|\.)(note|producer|generator|autoshard_8_pubsub_topic_cluster1)$`),
	regexp.MustCompile(`_result\.error$`),
	regexp.MustCompile(`^negative\.#\.(wire|sym_key|recipient_private_key)$`),
	regexp.MustCompile(`^mvds\.|mvds_one_to_one_group_id$`),
	regexp.MustCompile(`wire\.#\.ephemeral$`),
	regexp.MustCompile(`^bundles\.\w+\.#\.timestamp$`), // in a test of its own
}

// everyAlteration holds that each kind of value makes the replay fail when one
// character of it is altered.
//
// Couriers wait for a moment before they listen; in the bubble nobody does.
func everyAlteration(t *testing.T, v map[string]any, skip func(path string) bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { alterEach(t, v, skip) })
}

func alterEach(t *testing.T, v map[string]any, skip func(path string) bool) {
	t.Helper()
	const seed = 3
	r := rand.New(rand.NewPCG(seed, seed))
	if report := replayed(t, v); report == nil || report.Counts().Differs > 0 {
		t.Fatal("differs before anything is altered")
	}
	var list []leaf
	leaves(v, "", nil, &list)
	slices.SortFunc(list, func(a, b leaf) int { return strings.Compare(a.path, b.path) })
	tried := map[string]bool{}
	people := regexp.MustCompile(`\.(alice|bob|carol)\b`)
	for _, l := range list {
		kind := people.ReplaceAllString(l.kind(), ".somebody")
		if tried[kind] || skip != nil && skip(l.path) || slices.ContainsFunc(untold, func(e *regexp.Regexp) bool { return e.MatchString(l.kind()) }) {
			continue
		}
		other, ok := altered(l.get, r)
		if !ok {
			continue
		}
		tried[kind] = true
		l.set(other)
		if report := replayed(t, v); report != nil && report.Counts().Differs == 0 {
			t.Errorf("seed %d: %s: altered from %.60v to %.60v, not reported", seed, l.path, l.get, other)
		}
		l.set(l.get)
	}
	if len(tried) < 4 {
		t.Errorf("only %d kinds of values", len(tried))
	}
}

// To repeat: go test ./internal/replay -run AlteredEnvelope
func TestEveryAlteredEnvelopeValueIsReported(t *testing.T) {
	for _, name := range []string{"payload_go.json", "payload_js.json"} {
		v := vectorsOf(t, name)
		seen := map[string]bool{}
		for _, part := range []string{"positive", "negative"} {
			var kept []any
			for _, raw := range v[part].([]any) {
				x := raw.(map[string]any)
				expect, _ := x["expect"].(string)
				kind := part + x["kind"].(string) + expect[:min(6, len(expect))]
				if x["expected_signer"] != nil {
					kind += "signed"
				}
				if !seen[kind] && agreed(x) && len(x["wire"].(string)) < 2000 {
					seen[kind] = true
					kept = append(kept, x)
				}
			}
			v[part] = kept
		}
		everyAlteration(t, v, nil)
	}
}

// agreed tells whether all implementations have given the same kind of answer.
func agreed(vector map[string]any) bool {
	failed, all := 0, 0
	for name, x := range vector {
		if answer, ok := x.(map[string]any); ok && strings.HasSuffix(name, answerSuffix) {
			all++
			if answer["error"] != nil {
				failed++
			}
		}
	}
	return failed == 0 || failed == all
}

// To repeat: go test ./internal/replay -run AlteredTopic
func TestEveryAlteredTopicValueIsReported(t *testing.T) {
	v := vectorsOf(t, "topics.json")
	// One by one: a symmetric key costs time.
	for _, part := range []string{"identities", "pairs", "named"} {
		everyAlteration(t, map[string]any{part: v[part].([]any)[:1]}, nil)
	}
	everyAlteration(t, map[string]any{"installed_filters": v["installed_filters"]}, nil)
}

// To repeat: go test ./internal/replay -run AlteredMessage
func TestEveryAlteredMessageValueIsReported(t *testing.T) {
	everyAlteration(t, vectorsOf(t, "message.json"), nil)
}

// To repeat: go test ./internal/replay -run AlteredLayer
func TestEveryAlteredLayerValueIsReported(t *testing.T) {
	// The first whole is not cut, and need not be in larger segments either.
	everyAlteration(t, vectorsOf(t, "layers.json"), func(path string) bool { return path == "segments.0.segment_size" })
}

// fewSteps leaves of the conversation the contact code, the first message, its
// answer, and a message without a session with its answer.
func fewSteps(t *testing.T) map[string]any {
	t.Helper()
	v := vectorsOf(t, "conversation.json")
	steps, bundles := v["steps"].([]any), v["bundles"].(map[string]any)
	v["steps"] = []any{steps[0], steps[1], steps[3], steps[6], steps[7]}
	bundles["bob"] = bundles["bob"].([]any)[:2]
	bundles["carol"] = bundles["carol"].([]any)[:1]
	return v
}

// To repeat: go test ./internal/replay -run AlteredConversation
func TestEveryAlteredConversationValueIsReported(t *testing.T) {
	unread := regexp.MustCompile(`^steps\.2\.(decoded_by_status_go\.alice\.\d+\.(appSig|type|payload|id|datasyncAcks)|api_results\.)`)
	everyAlteration(t, fewSteps(t), unread.MatchString)
}

// The whole conversation: what cannot be had in a few steps.
func TestAlteredConversationIsReported(t *testing.T) {
	differs := func(t *testing.T, v map[string]any) bool {
		t.Helper()
		report := replayed(t, v)
		return report == nil || report.Counts().Differs > 0
	}
	t.Run("time of a bundle", func(t *testing.T) {
		v := fewSteps(t)
		row := v["bundles"].(map[string]any)["alice"].([]any)[0].(map[string]any)
		row["timestamp"] = 1795228948399784800
		if !differs(t, v) {
			t.Error("not reported")
		}
	})
	t.Run("partitioned topic after an agreement", func(t *testing.T) {
		v := fewSteps(t)
		steps := v["steps"].([]any)
		second := vectorsOf(t, "conversation.json")["steps"].([]any)[2] // before the answer, as it was
		v["steps"] = append(steps[:3:3], append([]any{second}, steps[3:]...)...)
		var found []string
		for _, s := range replayed(t, v).Steps {
			for _, c := range s.Checks {
				if c.Status == Differs {
					found = append(found, fmt.Sprintf("step %d: %s", s.I, c.What))
				}
			}
		}
		if want := []string{"step 3: topic taken"}; !slices.Equal(found, want) {
			t.Errorf("reported %q, want %q", found, want)
		}
	})
	t.Run("segments", func(t *testing.T) {
		v := vectorsOf(t, "conversation.json")
		v["steps"] = v["steps"].([]any)[8:9]
		delete(v, "bundles")
		delete(v, "filters_at_end")
		step := v["steps"].([]any)[0].(map[string]any)
		// Nobody has heard of anybody in this part: the first message is nowhere else.
		if !differs(t, v) {
			t.Error("a negotiated topic without an agreement is not reported")
		}
		received := step["decoded_by_status_go"].(map[string]any)["bob"].([]any)
		before := replayed(t, v).Counts().Differs
		received[0].(map[string]any)["err"] = segmentLate
		if after := replayed(t, v).Counts().Differs; after != before+1 {
			t.Errorf("%d differences, then %d", before, after)
		}
		received[0].(map[string]any)["err"] = "something else"
		if replayed(t, v) != nil {
			t.Error("an unknown err is not refused")
		}
	})
}

// What is not understood is refused, never passed over.
func TestMalformedTransportVectorsAreRefused(t *testing.T) {
	const (
		key  = "1111111111111111111111111111111111111111111111111111111111111111"
		good = `"kind":"symmetric","sym_key":"` + key + `","wire":"00"`
		who  = `"identities":{"a":{"private_key":"` + key + `","public_key":"0x00","installation_id":"a"}}`
	)
	sent := func(transport string) string {
		return `{` + who + `,"steps":[{"wire":[{"payload":"00","transport":` + transport + `}]}]}`
	}
	received := func(receipt string) string {
		return `{` + who + `,"steps":[{"decoded_by_status_go":{"a":[` + receipt + `]}}]}`
	}
	for _, c := range []struct{ name, data string }{
		{"no shape", `{"vectors":[]}`},
		{"a schema beside a shape", `{"schema":"x","positive":[]}`},
		{"fields of two shapes", `{"positive":[],"messages":[]}`},
		{"no envelopes", `{"positive":[],"negative":[]}`},
		{"envelopes of the wrong type", `{"positive":{}}`},
		{"an envelope that is none", `{"positive":[1]}`},
		{"unknown field", `{"negative":[{` + good + `,"expect":"reject","more":1}]}`},
		{"unknown kind", `{"negative":[{` + strings.Replace(good, "symmetric", "x", 1) + `,"expect":"reject"}]}`},
		{"no key", `{"negative":[{"kind":"symmetric","wire":"00","expect":"reject"}]}`},
		{"short key", `{"negative":[{` + strings.Replace(good, "11", "", 1) + `,"expect":"reject"}]}`},
		{"two keys", `{"negative":[{` + good + `,"recipient_private_key":"` + key + `","expect":"reject"}]}`},
		{"no recipient", `{"negative":[{"kind":"asymmetric","wire":"00","expect":"reject"}]}`},
		{"no wire", `{"negative":[{"kind":"symmetric","sym_key":"` + key + `","expect":"reject"}]}`},
		{"upper-case hex", `{"negative":[{` + strings.Replace(good, `"00"`, `"0A"`, 1) + `,"expect":"reject"}]}`},
		{"no expect", `{"negative":[{` + good + `}]}`},
		{"unknown expect", `{"negative":[{` + good + `,"expect":"maybe"}]}`},
		{"expect without hex", `{"negative":[{` + good + `,"expect":"accept:x"}]}`},
		{"expect of no signer", `{"negative":[{` + good + `,"expect":"signer!=00"}]}`},
		{"payload of an altered one", `{"negative":[{` + good + `,"expect":"reject","payload":""}]}`},
		{"no payload", `{"positive":[{` + good + `}]}`},
		{"expect of a good one", `{"positive":[{` + good + `,"payload":"","expect":"reject"}]}`},
		{"key of no signer", `{"positive":[{` + good + `,"payload":"","signer_private_key":"` + key + `"}]}`},
		{"answer without one", `{"positive":[{` + good + `,"payload":"","x_result":{}}]}`},
		{"answer with both", `{"positive":[{` + good + `,"payload":"","x_result":{"data":"","error":"x"}}]}`},
		{"answer with more", `{"positive":[{` + good + `,"payload":"","x_result":{"data":"","more":1}}]}`},
		{"no topics", `{"identities":[],"pairs":[]}`},
		{"identities without steps", `{` + who + `}`},
		{"identity without a key", `{"identities":[{"partition":1}]}`},
		{"identity without a partition", `{"identities":[{"private_key":"` + key + `"}]}`},
		{"identity without topics", `{"identities":[{"partition":1,"private_key":"` + key + `"}]}`},
		{"pair without keys", `{"pairs":[{}]}`},
		{"chat without a name", `{"named":[{}]}`},
		{"chat without a topic", `{"named":[{"name":"a"}]}`},
		{"chat without a key", `{"named":[{"name":"a","topic":"00"}]}`},
		{"filters of nobody", `{"installed_filters":{}}`},
		{"filters with an unknown key", `{"installed_filters":{"self_private_key":"` + key + `","subscriptions_in_order":[{"key":"x"}]}}`},
		{"no messages", `{"messages":[]}`},
		{"message without topics", `{"messages":[{}]}`},
		{"message without a hash", `{"messages":[{"pubsub_topic":"","content_topic":"","payload":"","protobuf":""}]}`},
		{"message of no time", `{"messages":[{"pubsub_topic":"","content_topic":"","payload":"","protobuf":"","hash":"","timestamp":"1.5"}]}`},
		{"unknown field of a message", `{"messages":[{"proof":""}]}`},
		{"no layers", `{"mvds":[]}`},
		{"frame without anything", `{"application_metadata":[{}]}`},
		{"mvds without anything", `{"mvds":[{}]}`},
		{"segments without a size", `{"segments":[{"payload":"00","wire_payloads":["00"]}]}`},
		{"segments of nothing", `{"segments":[{"payload":"00","segment_size":1}]}`},
		{"talk of nobody", `{"steps":[{}]}`},
		{"talk without steps", `{` + who + `,"steps":[]}`},
		{"talker without a key", `{"identities":{"a":{}},"steps":[{}]}`},
		{"talker without an installation", strings.Replace(received(``), `"installation_id":"a"`, `"installation_id":""`, 1)},
		{"message without a reading", sent(`null`)},
		{"message of nobody", sent(`{"payload":"","signer_name":"b"}`)},
		{"message on an unknown kind of topic", sent(`{"payload":"","signer_name":"a","topic_kind":"x of a"}`)},
		{"message on a topic of nobody", sent(`{"payload":"","signer_name":"a","topic_kind":"partitioned of b"}`)},
		{"message in an unknown encryption", sent(`{"payload":"","signer_name":"a","topic_kind":"partitioned of a","encryption":"x"}`)},
		{"receipt without a hash", received(`{}`)},
		{"receipt with an unknown field", received(`{"more":1}`)},
		{"receipt of nobody", `{` + who + `,"steps":[{"decoded_by_status_go":{"b":[{}]}}]}`},
		{"result that is none", `{` + who + `,"steps":[{"api_results":[1]}]}`},
		{"bundle of nobody", `{` + who + `,"steps":[{}],"bundles":{"b":[]}}`},
		{"bundle of no identity", `{` + who + `,"steps":[{}],"bundles":{"a":[{}]}}`},
		{"filter of nobody", `{` + who + `,"steps":[{}],"filters_at_end":{"b":[]}}`},
		{"filter of a stranger", `{` + who + `,"steps":[{}],"filters_at_end":{"a":[{"chatId":"contact-discovery-1"}]}}`},
		{"filter of no key", `{` + who + `,"steps":[{}],"filters_at_end":{"a":[{"chatId":"0x-contact-code"}]}}`},
	} {
		report, err := Data([]byte(c.data), inMemory)
		if !errors.Is(err, ErrMalformed) || report != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
