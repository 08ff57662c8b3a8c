package replay

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	goodInit = `{"i":0,"cmd":"init","node":"A1","identity_priv":"0101010101010101010101010101010101010101010101010101010101010101","installation_id":"a","expect":{}}`
	goodHead = `{"schema":"` + schemaTranscript + `","steps":[`
)

// What is no recording is refused with a typed error and without a panic.
func TestMalformedRecordingsAreRefused(t *testing.T) {
	for _, c := range []struct{ name, data string }{
		{"empty", ``},
		{"not JSON", `{`},
		{"not an object", `[]`},
		{"no schema", `{}`},
		{"unknown schema", `{"schema":"x/1"}`},
		{"no steps", goodHead + `]}`},
		{"steps of the wrong type", `{"schema":"` + schemaTranscript + `","steps":{}}`},
		{"wrong number", goodHead + strings.Replace(goodInit, `"i":0`, `"i":1`, 1) + `]}`},
		{"no cmd", goodHead + `{"i":0,"node":"A1"}]}`},
		{"no node", goodHead + `{"i":0,"cmd":"init"}]}`},
		{"negative limit", goodHead + strings.Replace(goodInit, `"expect"`, `"config":{"max_message_keys_per_session":-1},"expect"`, 1) + `]}`},
		{"limit for hours", goodHead + strings.Replace(goodInit, `"expect"`, `"config":{"max_skip":4294967295},"expect"`, 1) + `]}`},
		{"no identity", goodHead + `{"i":0,"cmd":"init","node":"A1"}]}`},
		{"identity zero", goodHead + strings.ReplaceAll(goodInit, "01", "00") + `]}`},
		{"upper-case hex", goodHead + strings.Replace(goodInit, "0101", "0A01", 1) + `]}`},
		{"odd hex", goodHead + strings.Replace(goodInit, "0101", "010", 1) + `]}`},
		{"node without init", goodHead + `{"i":0,"cmd":"restart","node":"A1"}]}`},
		{"unknown cmd", goodHead + goodInit + `,{"i":1,"cmd":"fly","node":"A1"}]}`},
		{"ref to itself", goodHead + goodInit + `,{"i":1,"cmd":"decrypt","node":"A1","message_ref":1}]}`},
		{"negative ref", goodHead + goodInit + `,{"i":1,"cmd":"decrypt","node":"A1","message_ref":-1}]}`},
		{"bundle ref too far", goodHead + goodInit + `,{"i":1,"cmd":"process_bundle","node":"A1","bundle_ref":7}]}`},
		{"no sender", goodHead + goodInit + `,{"i":1,"cmd":"decrypt","node":"A1"}]}`},
		{"no recipient", goodHead + goodInit + `,{"i":1,"cmd":"encrypt","node":"A1"}]}`},
		{"no state", goodHead + goodInit + `,{"i":1,"cmd":"state","node":"A1"}]}`},
		{"final state of nobody", goodHead + goodInit + `],"final_state":[{"node":"B1"}]}`},
		{"final state without state", goodHead + goodInit + `],"final_state":[{"node":"A1"}]}`},
		{"no vectors", `{"schema":"` + schemaPrimitives + `"}`},
		{"unknown fn", `{"schema":"` + schemaPrimitives + `","vectors":[{"i":0,"fn":"x"}]}`},
		{"no argument", `{"schema":"` + schemaPrimitives + `","vectors":[{"i":0,"fn":"kdf_ck"}]}`},
		{"argument of the wrong type", `{"schema":"` + schemaPrimitives + `","vectors":[{"i":0,"fn":"keccak256","args":{"data":1}}]}`},
		{"no scripts", `{"schema":"` + schemaDoubleRatchet + `"}`},
		{"empty private key", goodHead + drawn(`"generated_keys":[{"purpose":"dr_ratchet","priv":"","pub":""}]`) + `]}`},
		{"short private key", goodHead + drawn(`"generated_keys":[{"purpose":"dr_ratchet","priv":"0101"}]`) + `]}`},
		{"long private key", goodHead + drawn(`"generated_keys":[{"purpose":"dr_ratchet","priv":"`+strings.Repeat("01", 33)+`"}]`) + `]}`},
		{"empty nonce", goodHead + drawn(`"nonces":[""]`) + `]}`},
		{"short nonce", goodHead + drawn(`"nonces":["`+strings.Repeat("01", 11)+`"]`) + `]}`},
		{"unknown group cmd", goodHead + goodInit + `,{"i":1,"cmd":"hr_x","node":"A1"}]}`},
		{"unknown group cmd with a message", goodHead + goodInit + `,{"i":1,"cmd":"hr_x","node":"A1","expect":{"message":"00"}}]}`},
		{"script with an empty key", `{"schema":"` + schemaDoubleRatchet + `","scripts":[{"name":"x","sk":"` + strings.Repeat("01", 32) + `","bob_ratchet_priv":"` +
			strings.Repeat("01", 32) + `","alice_initial_generated_keys":[{"purpose":"dr_ratchet","priv":""}]}]}`},
		{"script without keys", `{"schema":"` + schemaDoubleRatchet + `","scripts":[{"name":"x"}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.json")
			if err := os.WriteFile(path, []byte(c.data), 0o600); err != nil {
				t.Fatal(err)
			}
			report, err := File(path, inMemory)
			if !errors.Is(err, ErrMalformed) || report != nil {
				t.Errorf("%v", err)
			}
		})
	}
}

// drawn is a step that needs no key, with something drawn.
func drawn(what string) string {
	return goodInit + `,{"i":1,"cmd":"bundle","node":"A1","expect":{"ok":true,` + what + `}}`
}

// A source of randomness that is used up fails; it does not give nothing forever.
func TestUsedUpKeyIsAnError(t *testing.T) {
	for _, size := range []int{0, 1, 31, 32} {
		source := &oneKey{take: func() (hexBytes, error) { return make(hexBytes, size), nil }}
		_, err := io.ReadFull(source, make([]byte, 33))
		if err == nil || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	failing := &oneKey{take: func() (hexBytes, error) { return nil, errNotRecorded }}
	if _, err := io.ReadFull(failing, make([]byte, 1)); !errors.Is(err, errNotRecorded) {
		t.Error(err)
	}
}

// JSON that is no object is named so.
func TestOnlyAnObjectIsARecording(t *testing.T) {
	for _, data := range []string{"", " \n", "[]", "null", "1", `"x"`, "true", "x"} {
		_, err := Data([]byte(data), inMemory)
		if !errors.Is(err, ErrMalformed) || !strings.HasSuffix(err.Error(), ": not a JSON object") {
			t.Errorf("%q: %v", data, err)
		}
	}
}

// Only regular files are read, at most up to the limit.
func TestOnlyRegularFilesAreRead(t *testing.T) {
	directory := t.TempDir()
	for _, path := range []string{directory, os.DevNull} {
		if _, err := File(path, inMemory); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", path, err)
		}
	}
	path := filepath.Join(directory, "x.json")
	if err := os.WriteFile(path, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(path, 99); !errors.Is(err, ErrMalformed) {
		t.Errorf("over the limit: %v", err)
	}
	if data, err := read(path, 100); err != nil || len(data) != 100 {
		t.Errorf("at the limit: %d bytes, %v", len(data), err)
	}
}

// An index beside recordings is recognised by its content.
func TestIndexIsNotARecording(t *testing.T) {
	if _, err := File(recordings+"/INDEX.json", inMemory); !errors.Is(err, ErrNotRecording) {
		t.Error(err)
	}
}

// Files are told apart by their content: the same under another name.
func TestContentDecidesNotTheName(t *testing.T) {
	for name, schema := range map[string]string{
		"primitives.json": schemaPrimitives, "doubleratchet.json": schemaDoubleRatchet, "sessions/restart.json": schemaTranscript,
	} {
		data, err := os.ReadFile(filepath.Join(recordings, name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "INDEX.json")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		report, err := File(path, inMemory)
		if err != nil || report.Schema != schema || len(report.Steps) < 10 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzTranscript puts anything in the place of up to two values of a small
// transcript: a report or a typed error, never a panic.
func FuzzTranscript(f *testing.F) {
	names := []string{"third_party_bundle", "signed_prekey_claimed", "not_targeted", "bundle_verification"}
	var seeds [][]byte
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(recordings, "sessions", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, data)
	}
	f.Add(uint8(0), uint16(3), `-1`, uint16(9), `null`)
	f.Add(uint8(1), uint16(40), `18446744073709551615`, uint16(2), `"decrypt"`)
	f.Add(uint8(2), uint16(100), `""`, uint16(101), `[]`)
	f.Add(uint8(3), uint16(60), `"02"`, uint16(61), `{}`)
	f.Fuzz(func(t *testing.T, which uint8, first uint16, one string, second uint16, other string) {
		v := parseLoose(t, seeds[int(which)%len(seeds)])
		var list []leaf
		leaves(v, "", nil, &list)
		slices.SortFunc(list, func(a, b leaf) int { return strings.Compare(a.path, b.path) })
		for place, text := range map[uint16]string{first: one, second: other} {
			var value any
			if json.Unmarshal([]byte(text), &value) != nil {
				value = text
			}
			list[int(place)%len(list)].set(value)
		}
		if report := replayed(t, v); report != nil {
			if _, err := json.Marshal(report); err != nil {
				t.Error(err)
			}
		}
	})
}

// FuzzData gives any bytes to the replay.
func FuzzData(f *testing.F) {
	f.Add([]byte(goodHead + goodInit + `]}`))
	f.Add([]byte(`{"schema":"` + schemaPrimitives + `","vectors":[{"i":0,"fn":"keccak256","args":{"data":""},"out":{"hash":""}}]}`))
	f.Add([]byte(`{"schema":"` + schemaDoubleRatchet + `","scripts":[{"name":"x"}]}`))
	f.Add([]byte(`{"negative":[{"kind":"symmetric","sym_key":"` + strings.Repeat("11", 32) + `","wire":"00","expect":"reject"}]}`))
	f.Add([]byte(`{"messages":[{"pubsub_topic":"","content_topic":"","payload":"","protobuf":"","hash":""}]}`))
	f.Add([]byte(`{"segments":[{"payload":"0000","segment_size":1,"wire_payloads":["00","00"]}],"application_metadata":[]}`))
	f.Add([]byte(`{"named":[{"name":"a","topic":"00","sym_key":""}]}`))
	f.Add([]byte(`{"identities":{"a":{"private_key":"` + strings.Repeat("11", 32) + `","installation_id":"a"}},"steps":[{"wire":[{"payload":"00",` +
		`"transport":{"payload":"","signer_name":"a","topic_kind":"negotiated a/a","encryption":"symmetric","sym_key":""}}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := Data(data, inMemory)
		if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNotRecording) {
			t.Errorf("not a typed error: %v", err)
		}
	})
}
