package topic

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"unicode/utf8"

	"github.com/rookery-im/rookery/x3dh"
)

const (
	contactCodeSuffix = "-contact-code"
	discoveryPrefix   = "contact-discovery-"
	// partitions is how many partitioned topics there are. 57/STATUS-SIMPLE-SCALING
	// has another number, which nobody uses.
	partitions = 5000
	// MaxChatName is how long the name of a public chat may be, in bytes.
	MaxChatName = 256
)

// Name is the name of a topic, from which everything else about it is derived.
// The zero value is no name. Copies share the text.
type Name struct {
	kind  Kind
	topic Topic
	text  []byte
}

func newName(kind Kind, text []byte) Name {
	return Name{kind: kind, topic: topicOf(text), text: text}
}

// ContactCode is where an identity publishes its bundle. ErrIdentity if the
// key is not on the curve.
func ContactCode(identity x3dh.IdentityPublicKey) (Name, error) {
	key, err := uncompressedHex(identity)
	if err != nil {
		return Name{}, err
	}
	return newName(KindContactCode, []byte("0x"+key+contactCodeSuffix)), nil
}

// Partitioned is where messages to an identity go that has agreed on nothing
// with their sender.
func Partitioned(identity x3dh.IdentityPublicKey) Name {
	return newName(KindPartitioned, strconv.AppendUint([]byte(discoveryPrefix), partition(identity), 10))
}

// Personal is the topic of one identity alone. ErrIdentity if the key is not
// on the curve.
func Personal(identity x3dh.IdentityPublicKey) (Name, error) {
	key, err := uncompressedHex(identity)
	if err != nil {
		return Name{}, err
	}
	return newName(KindPersonal, []byte(discoveryPrefix+key)), nil
}

// Negotiated is the topic of an identity and a peer, or of the installations
// of the identity itself if it is its own peer. It is the same for both, and as
// long as the two exist. ErrIdentity if the peer's key is not on the curve.
func Negotiated(own *x3dh.IdentityKey, peer x3dh.IdentityPublicKey) (Name, error) {
	z, err := own.SharedSecret(peer)
	if err != nil {
		return Name{}, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	text := hex.AppendEncode(nil, z[:])
	clear(z[:])
	return newName(KindNegotiated, text), nil
}

// PublicChat is the topic of a public chat. Its name is 1 to MaxChatName
// bytes of UTF-8; otherwise ErrChat.
func PublicChat(chat string) (Name, error) {
	if chat == "" || len(chat) > MaxChatName {
		return Name{}, fmt.Errorf("%w: %d bytes", ErrChat, len(chat))
	}
	if !utf8.ValidString(chat) {
		return Name{}, fmt.Errorf("%w: not UTF-8", ErrChat)
	}
	return newName(KindPublicChat, []byte(chat)), nil
}

// uncompressedHex is how names contain an identity key.
func uncompressedHex(identity x3dh.IdentityPublicKey) (string, error) {
	key, err := identity.Uncompressed()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	return hex.EncodeToString(key[:]), nil
}

// partition takes the x coordinate, not the whole key, modulo the number of
// partitions.
func partition(identity x3dh.IdentityPublicKey) uint64 {
	rest := uint64(0)
	for _, digit := range identity[1:] {
		rest = (rest<<8 | uint64(digit)) % partitions
	}
	return rest
}

// Kind tells what the topic is for.
func (n Name) Kind() Kind { return n.kind }

// Topic gives what stands on the wire.
func (n Name) Topic() Topic { return n.topic }

// Wipe overwrites the text of the name and of all its copies.
func (n *Name) Wipe() {
	clear(n.text)
	*n = Name{}
}

// clone has a text of its own.
func (n Name) clone() Name {
	n.text = bytes.Clone(n.text)
	return n
}

// Digest stands for a name where the name itself must not be written, such as
// among the names of records.
type Digest [sha256.Size]byte

// digestDomain keeps these hashes apart from others of the same names.
const digestDomain = "rookery topic name 1\x00"

// Digest hashes the name without a key. That gives nothing away of a negotiated
// name, which nobody can guess. Somebody who sees it can recognise the other
// ones: contact codes by the public key, public chats by trying their names.
func (n Name) Digest() Digest {
	h := sha256.New()
	h.Write([]byte(digestDomain))
	h.Write(n.text)
	return Digest(h.Sum(nil))
}

// String implements fmt.Stringer without the text of the name.
func (n Name) String() string {
	if n.kind == 0 {
		return "no topic"
	}
	return n.kind.String() + " " + n.topic.String()
}

// GoString implements fmt.GoStringer without the text of the name.
func (n Name) GoString() string { return n.String() }

// Format implements fmt.Formatter so that no verb, %x included, prints the text
// of the name.
func (n Name) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, n.String()) }

// LogValue implements slog.LogValuer without the text of the name.
func (n Name) LogValue() slog.Value { return slog.StringValue(n.String()) }

// MarshalText implements encoding.TextMarshaler (and so JSON) without the text of
// the name.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.String()), nil }
