package topic

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/rookery-im/rookery/internal/curve"
)

// Size is the length of a Topic in bytes.
const Size = 4

// Topic is the beginning of the Keccak-256 hash of a name: what stands on the
// wire for it. Names of different identities can have the same one.
type Topic [Size]byte

// topicOf hashes a name.
func topicOf(name []byte) Topic {
	sum := curve.Keccak256(name)
	return Topic(sum[:Size])
}

// String gives the topic as deployed clients write it, such as "0x9c22ff5f".
func (t Topic) String() string { return "0x" + hex.EncodeToString(t[:]) }

// ContentTopic is a topic as Waku nodes see it, such as
// "/waku/1/0x9c22ff5f/rfc26".
type ContentTopic string

// The parts of a content topic are separated by slashes; the first one is empty.
const (
	parts           = 5
	topicPart       = 3
	contentTopicFmt = "/waku/1/%s/rfc26"
)

// ContentTopic gives the content topic.
func (t Topic) ContentTopic() ContentTopic { return ContentTopic(fmt.Sprintf(contentTopicFmt, t)) }

// ParseContentTopic accepts exactly what Topic.ContentTopic gives, lower-case
// digits included: nodes compare content topics byte by byte, so that another
// spelling is another topic, and one that nobody listens to. Anything else gives
// ErrContentTopic.
func ParseContentTopic(s string) (Topic, error) {
	var t Topic
	if n := strings.Count(s, "/") + 1; n != parts {
		return t, fmt.Errorf("%w: %d parts instead of %d", ErrContentTopic, n, parts)
	}
	digits, found := strings.CutPrefix(strings.Split(s, "/")[topicPart], "0x")
	if !found || len(digits) != hex.EncodedLen(Size) {
		return t, fmt.Errorf("%w: part %d is not 0x and %d digits", ErrContentTopic, topicPart, hex.EncodedLen(Size))
	}
	if _, err := hex.Decode(t[:], []byte(digits)); err != nil {
		return Topic{}, fmt.Errorf("%w: part %d: %w", ErrContentTopic, topicPart, err)
	}
	if string(t.ContentTopic()) != s {
		return Topic{}, fmt.Errorf("%w: not of the form %s", ErrContentTopic, contentTopicFmt)
	}
	return t, nil
}

// PubsubTopic is a shard of the Waku network: all content topics on it travel
// together.
type PubsubTopic string

// The shards of deployed clients, in cluster 16.
const (
	// DefaultShard carries 1:1 messages, contact codes and public chats.
	DefaultShard PubsubTopic = "/waku/2/rs/16/32"
	// CommunityShard carries communities that have no shard of their own.
	CommunityShard PubsubTopic = "/waku/2/rs/16/64"
)
