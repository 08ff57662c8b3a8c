package waku

import (
	"crypto/sha256"
	"encoding/binary"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rookery-im/rookery/proto/internal/fields"
)

const messageName = "WakuMessage"

// Field numbers of waku.proto's WakuMessage.
const (
	fieldPayload        protowire.Number = 1
	fieldContentTopic   protowire.Number = 2
	fieldVersion        protowire.Number = 3
	fieldTimestamp      protowire.Number = 10
	fieldMeta           protowire.Number = 11
	fieldRateLimitProof protowire.Number = 21
	fieldEphemeral      protowire.Number = 31
)

// VersionEnvelope is the version of messages whose payload is an envelope of
// 26/WAKU2-PAYLOAD; 0 stands for a payload that is encrypted by other means or
// not at all.
const VersionEnvelope = 1

// Message is a WakuMessage. The zero value is the empty message.
type Message struct {
	Payload      []byte
	ContentTopic string
	Version      uint32
	// Timestamp is when it was sent, in nanoseconds since the epoch; 0 if it does
	// not say.
	Timestamp int64
	// Meta is nil if it is not there. Deployed clients send it empty, which is
	// something else on the wire and the same for the hash.
	Meta []byte
	// RateLimitProof is opaque; nil if it is not there.
	RateLimitProof []byte
	// Ephemeral asks nodes not to store the message. HasEphemeral is true if the
	// message says which; deployed clients always do.
	Ephemeral, HasEphemeral bool
}

// DecodeMessage reads a WakuMessage of at most MaxReceivedSize bytes. Every
// error is a *FieldError.
//
// It is stricter than a protobuf library: no field may come twice, and a known
// field must have its type. Unknown fields are skipped. What refers to bytes in
// the result aliases b.
func DecodeMessage(b []byte) (Message, error) {
	var m Message
	s := fields.Scan(messageName, b, MaxReceivedSize, refuse)
	for s.Next() {
		switch s.Num {
		case fieldPayload:
			m.Payload = s.Bytes("payload")
		case fieldContentTopic:
			topic := s.Bytes("content_topic")
			if !validTopic(topic) {
				s.Fail("content_topic", ErrTopic)
				continue
			}
			m.ContentTopic = string(topic)
		case fieldVersion:
			m.Version = s.Uint32("version")
		case fieldTimestamp:
			m.Timestamp = protowire.DecodeZigZag(s.Uint64("timestamp"))
		case fieldMeta:
			m.Meta = s.Bytes("meta")
			if len(m.Meta) > MaxMetaLength {
				s.Fail("meta", ErrMetaLength)
			}
		case fieldRateLimitProof:
			m.RateLimitProof = s.Bytes("rate_limit_proof")
		case fieldEphemeral:
			m.Ephemeral, m.HasEphemeral = s.Uint64("ephemeral") != 0, true
		}
	}
	if s.Err != nil {
		return Message{}, s.Err
	}
	return m, nil
}

func validTopic[T []byte | string](topic T) bool {
	return len(topic) <= MaxTopicLength && utf8.ValidString(string(topic))
}

// Encode writes the message, fields in the order of their numbers: the same
// message always gives the same bytes, those that a protobuf library writes. A
// message that nodes would not carry is refused with a *FieldError: ErrTooLarge
// (see MaxSentSize), ErrTopic or ErrMetaLength.
func (m *Message) Encode() ([]byte, error) {
	switch {
	case !validTopic(m.ContentTopic):
		return nil, &FieldError{Field: messageName + ".content_topic", Reason: ErrTopic}
	case len(m.Meta) > MaxMetaLength:
		return nil, &FieldError{Field: messageName + ".meta", Reason: ErrMetaLength}
	}
	const room = 48 // for all that is not bytes
	b := make([]byte, 0, room+len(m.Payload)+len(m.ContentTopic)+len(m.Meta)+len(m.RateLimitProof))
	b = appendBytes(b, fieldPayload, m.Payload)
	if m.ContentTopic != "" {
		b = protowire.AppendString(protowire.AppendTag(b, fieldContentTopic, protowire.BytesType), m.ContentTopic)
	}
	b = appendNumber(b, fieldVersion, uint64(m.Version))
	b = appendNumber(b, fieldTimestamp, protowire.EncodeZigZag(m.Timestamp))
	b = appendOptional(b, fieldMeta, m.Meta)
	b = appendOptional(b, fieldRateLimitProof, m.RateLimitProof)
	if m.Ephemeral || m.HasEphemeral {
		b = protowire.AppendTag(b, fieldEphemeral, protowire.VarintType)
		b = protowire.AppendVarint(b, protowire.EncodeBool(m.Ephemeral))
	}
	if len(b) > MaxSentSize {
		return nil, &FieldError{Field: messageName, Reason: ErrTooLarge}
	}
	return b, nil
}

// Hash is the deterministic message hash of 14/WAKU2-MESSAGE on a pubsub topic,
// under which stores know the message. Version, proof and ephemeral are not
// covered; a message without timestamp counts as one of time 0.
func (m *Message) Hash(pubsubTopic string) [sha256.Size]byte {
	b := make([]byte, 0, len(pubsubTopic)+len(m.Payload)+len(m.ContentTopic)+len(m.Meta)+8)
	b = append(b, pubsubTopic...)
	b = append(b, m.Payload...)
	b = append(b, m.ContentTopic...)
	b = append(b, m.Meta...)
	b = binary.BigEndian.AppendUint64(b, uint64(m.Timestamp)) //nolint:gosec // two's complement, as the specification has it
	return sha256.Sum256(b)
}

// GossipID is the id under which the relay protocol knows an encoded message.
func GossipID(encoded []byte) [sha256.Size]byte { return sha256.Sum256(encoded) }
