package waku

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// recorded is a message that go-waku has made, with the hash that it gives it.
type recorded struct {
	pubsubTopic string
	message     Message
	protobuf    []byte
	hash        [32]byte
}

func loadRecorded(tb testing.TB) []recorded {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "recordings", "transport", "message.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var file struct {
		Messages []struct {
			PubsubTopic  string `json:"pubsub_topic"`
			ContentTopic string `json:"content_topic"`
			Payload      string
			Protobuf     string
			Meta         string
			Hash         string
			Timestamp    string
			Version      uint32
			Ephemeral    *bool
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		tb.Fatal(err)
	}
	if len(file.Messages) != 6 {
		tb.Fatalf("%d messages in the file", len(file.Messages))
	}
	var all []recorded
	for _, m := range file.Messages {
		r := recorded{pubsubTopic: m.PubsubTopic, protobuf: unhex(tb, m.Protobuf), hash: [32]byte(unhex(tb, m.Hash))}
		r.message = Message{Payload: unhex(tb, m.Payload), ContentTopic: m.ContentTopic, Version: m.Version}
		if m.Meta != "" {
			r.message.Meta = unhex(tb, m.Meta)
		}
		if m.Timestamp != "" {
			if r.message.Timestamp, err = strconv.ParseInt(m.Timestamp, 10, 64); err != nil {
				tb.Fatal(err)
			}
		}
		if m.Ephemeral != nil {
			r.message.Ephemeral, r.message.HasEphemeral = *m.Ephemeral, true
		}
		// The file says "" for a field that is not there and for an empty one.
		if bytes.Contains(r.protobuf, []byte{0x5a, 0x00, 0xf8, 0x01, 0x00}) {
			r.message.Meta = []byte{}
		}
		all = append(all, r)
	}
	return all
}

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func sameMessage(a, b Message) bool {
	return bytes.Equal(a.Payload, b.Payload) && a.ContentTopic == b.ContentTopic && a.Version == b.Version &&
		a.Timestamp == b.Timestamp && sameOptional(a.Meta, b.Meta) && sameOptional(a.RateLimitProof, b.RateLimitProof) &&
		a.Ephemeral == b.Ephemeral && a.HasEphemeral == b.HasEphemeral
}

func sameOptional(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func TestRecordedMessagesAreReadAndWrittenByteForByte(t *testing.T) {
	for i, r := range loadRecorded(t) {
		got, err := DecodeMessage(r.protobuf)
		if err != nil {
			t.Errorf("message %d: %v", i, err)
			continue
		}
		if !sameMessage(got, r.message) {
			t.Errorf("message %d: read %+v, want %+v", i, got, r.message)
		}
		written, err := r.message.Encode()
		if err != nil || !bytes.Equal(written, r.protobuf) {
			t.Errorf("message %d: written %x (%v), want %x", i, written, err, r.protobuf)
		}
	}
}

func TestRecordedMessagesHaveTheRecordedHash(t *testing.T) {
	for i, r := range loadRecorded(t) {
		if got := r.message.Hash(r.pubsubTopic); got != r.hash {
			t.Errorf("message %d: hash %x, want %x", i, got, r.hash)
		}
	}
}

// TestHashCoversWhatTheSpecificationSays changes one field at a time.
func TestHashCoversWhatTheSpecificationSays(t *testing.T) {
	const topic = "/waku/2/rs/16/32"
	from := Message{Payload: []byte("payload"), ContentTopic: "/a/1/b/c", Version: 1, Timestamp: 7, Meta: []byte{1}}
	tests := []struct {
		name    string
		change  func(*Message)
		covered bool
	}{
		{"payload", func(m *Message) { m.Payload = []byte("Payload") }, true},
		{"content topic", func(m *Message) { m.ContentTopic = "/a/1/b/d" }, true},
		{"timestamp", func(m *Message) { m.Timestamp = -7 }, true},
		{"meta", func(m *Message) { m.Meta = []byte{2} }, true},
		{"version", func(m *Message) { m.Version = 0 }, false},
		{"ephemeral", func(m *Message) { m.Ephemeral = true }, false},
		{"rate limit proof", func(m *Message) { m.RateLimitProof = []byte{1} }, false},
	}
	for _, test := range tests {
		changed := from
		test.change(&changed)
		if differs := changed.Hash(topic) != from.Hash(topic); differs != test.covered {
			t.Errorf("%s: hash differs: %v, want %v", test.name, differs, test.covered)
		}
	}
	if from.Hash(topic) == from.Hash(topic+"3") {
		t.Error("the pubsub topic is not covered")
	}
	empty, none := from, from
	empty.Meta, none.Meta = []byte{}, nil
	if empty.Hash(topic) != none.Hash(topic) {
		t.Error("an empty meta field counts for the hash")
	}
}

func TestGossipIDIsTheHashOfTheBytes(t *testing.T) {
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, B.1
	if got := GossipID([]byte("abc")); hex.EncodeToString(got[:]) != abc {
		t.Errorf("got %x, want %s", got, abc)
	}
}

func TestEncodeRefusesWhatNodesDoNotCarry(t *testing.T) {
	withPayload := func(n int) Message { return Message{Payload: make([]byte, n), ContentTopic: "/a/1/b/c"} }
	fits := withPayload(MaxSentSize - 14) // tags, lengths and topic
	encoded, err := fits.Encode()
	if err != nil || len(encoded) != MaxSentSize {
		t.Fatalf("%d bytes (%v), want exactly %d", len(encoded), err, MaxSentSize)
	}
	tests := []struct {
		name    string
		message Message
		reason  error
	}{
		{"one byte too long", withPayload(MaxSentSize - 13), ErrTooLarge},
		{"far too long", withPayload(MaxSentSize * 4), ErrTooLarge},
		{"topic too long", Message{ContentTopic: strings.Repeat("x", MaxTopicLength+1)}, ErrTopic},
		{"topic not UTF-8", Message{ContentTopic: "/a\xff"}, ErrTopic},
		{"meta too long", Message{Meta: make([]byte, MaxMetaLength+1)}, ErrMetaLength},
	}
	for _, test := range tests {
		b, err := test.message.Encode()
		var refused *FieldError
		if b != nil || !errors.Is(err, test.reason) || !errors.As(err, &refused) {
			t.Errorf("%s: %d bytes and %v, want %v", test.name, len(b), err, test.reason)
		}
	}
}
