package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/rookery-im/rookery/proto/waku"
)

// wakuFile is a file of messages of 14/WAKU2-MESSAGE.
type wakuFile struct {
	origin
	Messages []wakuVector `json:"messages"`
}

type wakuVector struct {
	PubsubTopic  *string     `json:"pubsub_topic"`
	ContentTopic *string     `json:"content_topic"`
	Payload      hexBytes    `json:"payload"`
	Meta         hexBytes    `json:"meta"`
	Timestamp    json.Number `json:"timestamp"`
	Version      uint32      `json:"version"`
	Ephemeral    *bool       `json:"ephemeral"`
	Protobuf     hexBytes    `json:"protobuf"`
	Hash         hexBytes    `json:"hash"`
	Autoshard    string      `json:"autoshard_8_pubsub_topic_cluster1"`
	Note         string      `json:"note"`
}

func replayMessages(data []byte) (*FileReport, error) {
	var f wakuFile
	if err := strictly(data, "messages", &f); err != nil {
		return nil, err
	}
	if len(f.Messages) == 0 {
		return nil, malformed("messages", "no vectors")
	}
	report := &FileReport{Schema: schemaMessages, Name: f.Name}
	for i := range f.Messages {
		rep := Step{I: i, Cmd: "message", Status: Equal}
		if err := f.Messages[i].compare(fmt.Sprintf("message %d", i), &rep); err != nil {
			return nil, err
		}
		report.Steps = append(report.Steps, rep)
	}
	return report, nil
}

// nanoseconds reads a time; no text is time 0.
func nanoseconds(where string, text json.Number) (int64, error) {
	if text == "" {
		return 0, nil
	}
	ns, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0, malformed(where, "timestamp: %w", err)
	}
	return ns, nil
}

func (v *wakuVector) compare(where string, rep *Step) error {
	if v.PubsubTopic == nil || v.ContentTopic == nil {
		return malformed(where, "no topic")
	}
	if err := missing(where, "payload", v.Payload, "protobuf", v.Protobuf, "hash", v.Hash); err != nil {
		return err
	}
	at, err := nanoseconds(where, v.Timestamp)
	if err != nil {
		return err
	}
	got, err := waku.DecodeMessage(v.Protobuf)
	if err != nil {
		rep.differs(KindPlaintext, "protobuf", "ours: %v", err)
		return nil
	}
	if bytes.Equal(got.Payload, v.Payload) {
		rep.equal(KindPlaintext, "payload")
	} else {
		rep.differs(KindPlaintext, "payload", "ours has %d bytes, recorded are %d", len(got.Payload), len(v.Payload))
	}
	rep.value("content_topic", got.ContentTopic == *v.ContentTopic, "ours is %.80q", got.ContentTopic)
	rep.value("version", got.Version == v.Version, "ours is %d", got.Version)
	rep.value("timestamp", got.Timestamp == at, "ours is %d", got.Timestamp)
	rep.value("meta", bytes.Equal(got.Meta, v.Meta), "ours has %d bytes", len(got.Meta))
	rep.value("ephemeral", got.HasEphemeral == (v.Ephemeral != nil) && (v.Ephemeral == nil || got.Ephemeral == *v.Ephemeral),
		"ours is %t, present %t", got.Ephemeral, got.HasEphemeral)

	m := waku.Message{Payload: v.Payload, ContentTopic: *v.ContentTopic, Version: v.Version, Timestamp: at, Meta: v.Meta}
	if len(v.Meta) == 0 {
		// The file says the same of a field that is empty and of one that is not there.
		m.Meta = got.Meta
	}
	if v.Ephemeral != nil {
		m.Ephemeral, m.HasEphemeral = *v.Ephemeral, true
	}
	encoded, err := m.Encode()
	switch {
	case err == nil && bytes.Equal(encoded, v.Protobuf):
		rep.equal(KindWire, "protobuf")
	case err == nil && (got.Version == 0 || got.Timestamp == 0 && v.Timestamp != ""):
		rep.outside(NotChecked, "protobuf", "a zero that is written down, which we never do")
	default:
		rep.differs(KindWire, "protobuf", "ours has %d bytes, recorded are %d (%v)", len(encoded), len(v.Protobuf), err)
	}
	hash, hashRead := m.Hash(*v.PubsubTopic), got.Hash(*v.PubsubTopic)
	rep.value("hash", bytes.Equal(hash[:], v.Hash), "ours is %x", hash)
	rep.value("hash of the protobuf", bytes.Equal(hashRead[:], v.Hash), "ours is %x", hashRead)
	if v.Autoshard != "" {
		rep.outside(NotSupported, "autoshard_8_pubsub_topic_cluster1", whySharding)
	}
	return nil
}
