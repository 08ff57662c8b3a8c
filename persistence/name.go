package persistence

import (
	"encoding/hex"
	"fmt"
	"math"
	"strings"
)

// Name is the unambiguous name of one record: a Kind byte, then for each part
// its length (2 bytes, big-endian) and its bytes. No two lists of parts share a
// name, and the name of a shorter list is a prefix of every name that goes on
// from it. Names order as strings do. They are written to logs and into errors
// and must never hold a secret.
type Name string

// Kind says what a record is; it is the first byte of its name.
type Kind byte

// The kinds of records. Their numbers are on disk and never change.
const (
	KindIdentity     Kind = 1  // a hosted identity
	KindPrekey       Kind = 2  // an own signed prekey
	KindContact      Kind = 3  // what is known of a peer identity
	KindInstallation Kind = 4  // one installation of a peer, in stores of format 1
	KindSession      Kind = 5  // one ratchet session
	KindSkipped      Kind = 6  // one skipped message key
	KindOutbox       Kind = 7  // a finished message that the transport has not taken yet
	KindInbox        Kind = 8  // a received message that the application has not acknowledged yet
	KindFence        Kind = 9  // an ownership epoch; written by the store alone
	KindSeen         Kind = 10 // the id of a message that was handled
	KindPublication  Kind = 11 // the bundle that an installation published last
	KindCopy         Kind = 12 // a sent message that our own other installations have no copy of yet
	KindHead         Kind = 13 // what a sealed store knows of itself; written by the store alone
	KindTopicKey     Kind = 14 // the symmetric key of a topic of the network
	KindListening    Kind = 15 // how far the messages on a topic of the network were dealt with
	KindCursor       Kind = 16 // how far those on all the others were
	KindEnvelopes    Kind = 17 // which envelopes were dealt with lately
	KindSegment      Kind = 18 // a part of a message that has not come as a whole yet
	KindReceipt      Kind = 19 // what became of a message that was sent under a key of the application's, or that no network has taken
	KindKept         Kind = 20 // a record of the application's own
)

// String gives the kind's name, or its number for a byte that is no kind.
func (k Kind) String() string {
	switch k {
	case KindIdentity:
		return "identity"
	case KindPrekey:
		return "prekey"
	case KindContact:
		return "contact"
	case KindInstallation:
		return "installation"
	case KindSession:
		return "session"
	case KindSkipped:
		return "skipped"
	case KindOutbox:
		return "outbox"
	case KindInbox:
		return "inbox"
	case KindFence:
		return "fence"
	case KindSeen:
		return "seen"
	case KindPublication:
		return "publication"
	case KindCopy:
		return "copy"
	case KindHead:
		return "head"
	case KindTopicKey:
		return "topic-key"
	case KindListening:
		return "listening"
	case KindCursor:
		return "cursor"
	case KindEnvelopes:
		return "envelopes"
	case KindSegment:
		return "segment"
	case KindReceipt:
		return "receipt"
	case KindKept:
		return "kept"
	}
	return fmt.Sprintf("kind-%d", byte(k))
}

func (k Kind) valid() bool {
	return k >= KindIdentity && k <= KindKept
}

// partPrefix is the size of a part's length in bytes.
const partPrefix = 2

// NewName builds the name of a record of one kind from its parts. Parts may be
// empty; one of more than 65,535 bytes is a bug of the caller and panics, since
// whatever comes from a peer was bounded long before it names a record.
func NewName(kind Kind, parts ...[]byte) Name {
	size := 1
	for _, part := range parts {
		size += partPrefix + len(part)
	}
	var name strings.Builder // one allocation for the bytes and the string
	name.Grow(size)
	name.WriteByte(byte(kind))
	for i, part := range parts {
		if len(part) > math.MaxUint16 {
			panic(fmt.Sprintf("persistence: part %d of a %s name has %d bytes, more than %d", i, kind, len(part), math.MaxUint16))
		}
		name.WriteByte(byte(len(part) >> 8)) //nolint:gosec // checked above
		name.WriteByte(byte(len(part)))      //nolint:gosec // its low half
		name.Write(part)
	}
	return Name(name.String())
}

// Kind is the name's first byte, or 0 for the empty name.
func (n Name) Kind() Kind {
	if n == "" {
		return 0
	}
	return Kind(n[0])
}

// subject is what the record is of: the first two parts of its name with their lengths,
// such as an installation of ours and one of its contacts, whatever its kind. It is the
// same for all names below a prefix of two parts. A name of fewer has none.
func (n Name) subject() (subject string, ok bool) {
	end := 1
	for range 2 {
		if len(n) < end+partPrefix {
			return "", false
		}
		end += partPrefix + int(n[end])<<8 + int(n[end+1])
	}
	if n == "" || len(n) < end {
		return "", false
	}
	return string(n[1:end]), true
}

// Parts takes the name apart. Anything but exactly what NewName builds from a
// known kind is a *NameError.
func (n Name) Parts() ([][]byte, error) {
	var parts [][]byte
	if err := n.walk(func(part string) { parts = append(parts, []byte(part)) }); err != nil {
		return nil, err
	}
	return parts, nil
}

// walk visits the parts in order and checks the name on the way.
func (n Name) walk(visit func(part string)) error {
	if n == "" {
		return &NameError{Name: n, Reason: "empty"}
	}
	if !n.Kind().valid() {
		return &NameError{Name: n, Reason: "unknown kind"}
	}
	for rest := string(n[1:]); rest != ""; {
		if len(rest) < partPrefix {
			return &NameError{Name: n, Reason: "cut inside a length"}
		}
		size := int(rest[0])<<8 | int(rest[1])
		rest = rest[partPrefix:]
		if len(rest) < size {
			return &NameError{Name: n, Reason: "cut inside a part"}
		}
		visit(rest[:size])
		rest = rest[size:]
	}
	return nil
}

// String shows the name for diagnostics: the kind, then each part as it is when
// it is short printable text and as hex otherwise, long ones cut. It is for
// people; two names may look alike.
func (n Name) String() string {
	var text strings.Builder
	text.WriteString(n.Kind().String())
	err := n.walk(func(part string) {
		text.WriteByte('/')
		text.WriteString(showPart(part))
	})
	if err != nil {
		return "malformed:" + showPart(string(n))
	}
	return text.String()
}

// showPart keeps one part readable: text up to 40 bytes, hex of up to 8.
func showPart(part string) string {
	const maxText, maxHex = 40, 8
	printable := len(part) <= maxText
	for i := 0; printable && i < len(part); i++ {
		printable = part[i] > ' ' && part[i] <= '~' && part[i] != '/'
	}
	if printable {
		return part
	}
	if len(part) <= maxHex {
		return "x" + hex.EncodeToString([]byte(part))
	}
	return "x" + hex.EncodeToString([]byte(part[:maxHex])) + "..."
}
