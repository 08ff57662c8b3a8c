package transport

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/rookery-im/rookery/x3dh"
)

// ErrTopic: not a topic that PersonalTopic, ContactCodeTopic or PublicTopic gives.
var ErrTopic = errors.New("transport: malformed topic")

// Kind is what a topic is for. The zero value is no kind.
type Kind uint8

// The kinds of topics, one for each function that names one.
const (
	KindPersonal Kind = iota + 1
	KindContactCode
	KindPublic
)

const (
	personalPrefix    = "personal/"
	contactCodePrefix = "contact-code/"
	publicPrefix      = "public/"
)

// Address is a topic taken apart.
type Address struct {
	Kind Kind
	// Identity is whose topic it is; zeros for a public chat.
	Identity x3dh.IdentityPublicKey
	// Chat is the name of a public chat, else "".
	Chat string
}

// Address takes the topic apart. Anything but exactly what the functions above
// give is ErrTopic, so that one topic has one name.
func (t Topic) Address() (Address, error) {
	if chat, ok := strings.CutPrefix(string(t), publicPrefix); ok {
		return Address{Kind: KindPublic, Chat: chat}, nil
	}
	kind := KindPersonal
	digits, ok := strings.CutPrefix(string(t), personalPrefix)
	if !ok {
		kind = KindContactCode
		if digits, ok = strings.CutPrefix(string(t), contactCodePrefix); !ok {
			return Address{}, fmt.Errorf("%w: unknown prefix", ErrTopic)
		}
	}
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != x3dh.PublicKeySize || hex.EncodeToString(raw) != digits {
		return Address{}, fmt.Errorf("%w: not %d digits in lower case", ErrTopic, hex.EncodedLen(x3dh.PublicKeySize))
	}
	identity, err := x3dh.ParseIdentity(raw)
	if err != nil {
		return Address{}, fmt.Errorf("%w: %w", ErrTopic, err)
	}
	return Address{Kind: kind, Identity: identity}, nil
}
