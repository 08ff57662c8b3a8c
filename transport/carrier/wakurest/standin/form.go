package standin

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// gowakuMessage is a message as go-waku writes and reads it.
type gowakuMessage struct {
	gowakuFields
	Payload lenient `json:"payload"` // read in more forms than it is written
}

// gowakuFields are a message as go-waku writes it.
type gowakuFields struct {
	Payload      []byte  `json:"payload"`
	ContentTopic string  `json:"contentTopic"`
	Version      *uint32 `json:"version,omitempty"`
	Timestamp    *int64  `json:"timestamp,omitempty"`
	Meta         []byte  `json:"meta,omitempty"`
	Ephemeral    *bool   `json:"ephemeral"`
}

// lenient is base64 of either alphabet, with or without padding.
type lenient []byte

func (l *lenient) UnmarshalJSON(text []byte) error {
	if n := len(text); n > 2 && text[0] == '"' {
		decoded := make([]byte, base64.StdEncoding.DecodedLen(n-2))
		if size, err := base64.StdEncoding.Decode(decoded, text[1:n-1]); err == nil {
			*l = decoded[:size]
			return nil
		}
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	s = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(s), "=")
	decoded, err := base64.RawStdEncoding.DecodeString(s)
	*l = decoded
	return err
}

func (m *message) gowaku() gowakuFields {
	return gowakuFields{
		Payload: m.payload, ContentTopic: m.topic, Version: m.version, Timestamp: m.timestamp, Meta: m.meta, Ephemeral: m.ephemeral,
	}
}

// nwakuMessage is a message as nwaku writes it.
type nwakuMessage struct {
	Payload      []byte `json:"payload"`
	ContentTopic string `json:"contentTopic"`
	Version      uint32 `json:"version"`
	Timestamp    int64  `json:"timestamp"`
	Meta         []byte `json:"meta,omitempty"`
	Ephemeral    bool   `json:"ephemeral"`
}

func (m *message) nwaku() nwakuMessage {
	out := nwakuMessage{Payload: m.payload, ContentTopic: m.topic, Timestamp: m.time(), Meta: m.meta, Ephemeral: m.isEphemeral()}
	if m.version != nil {
		out.Version = *m.version
	}
	return out
}

// written is how a node gives messages that it has gathered.
func (n *Node) written(messages []*message) any {
	if n.o.Flavour == Nwaku {
		list := make([]nwakuMessage, len(messages))
		for i, m := range messages {
			list[i] = m.nwaku()
		}
		return list
	}
	var list []gowakuFields // null if there are none
	for _, m := range messages {
		list = append(list, m.gowaku())
	}
	return list
}

var (
	errNoMessage   = errors.New("waku message is required")
	errNoPayload   = errors.New("missing Payload field")
	errNoTopic     = errors.New("missing ContentTopic field")
	errMeta        = errors.New("invalid length for Meta field")
	errUndecodable = errors.New("Invalid content body, could not decode.") //nolint:revive,staticcheck // as nwaku says it
)

// parse reads a message as the node does.
func (n *Node) parse(text []byte, pubsub string) (*message, error) {
	if n.o.Flavour == Nwaku {
		return n.parseNwaku(text, pubsub)
	}
	var in *gowakuMessage
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	switch {
	case in == nil:
		return nil, errNoMessage
	case len(in.Payload) == 0:
		return nil, errNoPayload
	case in.ContentTopic == "":
		return nil, errNoTopic
	case len(in.Meta) > 64:
		return nil, errMeta
	}
	m := &message{
		pubsub: pubsub, payload: in.Payload, topic: in.ContentTopic, version: in.Version, timestamp: in.Timestamp, meta: in.Meta, ephemeral: in.Ephemeral,
	}
	return m.finish(), nil
}

func (n *Node) parseNwaku(text []byte, pubsub string) (*message, error) {
	var in struct {
		Payload      *string `json:"payload"`
		ContentTopic *string `json:"contentTopic"`
		Version      uint32  `json:"version"`
		Timestamp    int64   `json:"timestamp"`
		Meta         []byte  `json:"meta"`
		Ephemeral    bool    `json:"ephemeral"`
	}
	if json.Unmarshal(text, &in) != nil || in.Payload == nil || in.ContentTopic == nil || *in.ContentTopic == "" {
		return nil, errUndecodable
	}
	payload, err := base64.StdEncoding.DecodeString(*in.Payload)
	if err != nil || len(payload) == 0 {
		return nil, errUndecodable
	}
	if in.Timestamp == 0 {
		in.Timestamp = n.o.Now().UnixNano() / int64(time.Microsecond) * int64(time.Microsecond)
	}
	m := &message{
		pubsub: pubsub, payload: payload, topic: *in.ContentTopic, version: &in.Version, timestamp: &in.Timestamp, meta: in.Meta, ephemeral: &in.Ephemeral,
	}
	return m.finish(), nil
}
