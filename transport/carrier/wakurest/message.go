package wakurest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// maxMessage bounds a message in an answer (bytes): 150 KiB in base64 are 200 kB.
const maxMessage = 512 << 10

// checkTopic gives carrier.ErrMessage for topics that cannot be named in a request:
// lists are separated by commas, and nodes decode what they are asked twice.
func checkTopic(t carrier.Topic) error {
	if err := t.Check(); err != nil {
		return err
	}
	if strings.ContainsAny(string(t), ",%+") {
		return fmt.Errorf("%w: a node cannot be asked for topic %q", carrier.ErrMessage, string(t))
	}
	return nil
}

func checkTopics(topics []carrier.Topic) error {
	for _, t := range topics {
		if err := checkTopic(t); err != nil {
			return err
		}
	}
	return nil
}

// outgoing is a message as both kinds of node take it: version and timestamp are
// there, base64 is that of RFC 4648 section 4 with padding.
type outgoing struct {
	Payload      []byte        `json:"payload"`
	ContentTopic carrier.Topic `json:"contentTopic"`
	Version      int           `json:"version"`
	Timestamp    int64         `json:"timestamp"`
	Ephemeral    bool          `json:"ephemeral"`
}

func outgoingOf(m *carrier.Message) *outgoing {
	return &outgoing{Payload: m.Payload, ContentTopic: m.Topic, Version: 1, Timestamp: m.Time, Ephemeral: m.Ephemeral}
}

// incoming is a message as one of them gives it.
type incoming struct {
	Payload      octets        `json:"payload"`
	ContentTopic carrier.Topic `json:"contentTopic"`
	// SnakeTopic is in what go-waku hands on from another node's store.
	SnakeTopic carrier.Topic `json:"content_topic"`
	Timestamp  decimal       `json:"timestamp"`
	Ephemeral  bool          `json:"ephemeral"`
}

// received is a message if it is one: others cannot be carried, and nobody who is
// served here sends them.
func (m *incoming) received(now time.Time) (carrier.Received, bool) {
	topic := m.ContentTopic
	if topic == "" {
		topic = m.SnakeTopic
	}
	made := carrier.Message{Topic: topic, Payload: m.Payload, Time: int64(m.Timestamp), Ephemeral: m.Ephemeral}
	// A store sorts by the sender's clock. One that is ahead must not put what comes
	// after it out of sight.
	return carrier.Received{Message: made, At: min(made.Time, now.UnixNano())}, made.Check() == nil
}

// octets are base64 of either alphabet, with or without padding.
type octets []byte

// UnmarshalJSON implements json.Unmarshaler.
func (o *octets) UnmarshalJSON(text []byte) error {
	var err error
	if *o, err = standardOctets(text); err == nil {
		return nil
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(toStandard.Replace(s), "="))
	if err != nil {
		return err
	}
	*o = decoded
	return nil
}

// standardOctets is what all nodes write, in one go: payloads are most of what is read.
func standardOctets(text []byte) ([]byte, error) {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return nil, errShape
	}
	text = text[1 : len(text)-1]
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(decoded, text) // no escape is in the alphabet
	return decoded[:n], err
}

var (
	toStandard = strings.NewReplacer("-", "+", "_", "/")
	toURLSafe  = strings.NewReplacer("+", "-", "/", "_")
)

// decimal is a number, perhaps in quotes, that is not rounded.
type decimal int64

// UnmarshalJSON implements json.Unmarshaler.
func (d *decimal) UnmarshalJSON(text []byte) error {
	if bytes.Equal(text, []byte("null")) {
		return nil
	}
	n, err := strconv.ParseInt(strings.Trim(string(text), `"`), 10, 64)
	if err != nil {
		return fmt.Errorf("number %q: %w", printable(text), errShape)
	}
	*d = decimal(n)
	return nil
}

// list reads a list of up to most messages, and gives those that are ones to each.
// It tells how many elements there were, and whether there was a list.
func list(r *reply, d *json.Decoder, most int, each func(element json.RawMessage)) (count int, isList bool, err error) {
	start, err := d.Token()
	if err != nil || start == nil {
		return 0, false, err
	}
	if start != json.Delim('[') {
		return 0, false, fmt.Errorf("%s: %w", r.what, errShape)
	}
	for {
		r.allow(maxMessage)
		if !d.More() {
			break
		}
		if count++; count > most {
			return count, true, fmt.Errorf("%s: %w", r.what, errTooLong)
		}
		var element json.RawMessage
		if err := d.Decode(&element); err != nil {
			return count, true, err
		}
		each(element)
	}
	_, err = d.Token()
	return count, true, err
}
