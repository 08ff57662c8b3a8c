package topic

import "fmt"

// Kind is what a topic is for.
type Kind uint8

// The zero value is no kind.
const (
	// KindContactCode is where an identity publishes its bundle.
	KindContactCode Kind = iota + 1
	// KindPartitioned is where an identity gets messages from whoever has no
	// negotiated topic with it. Others share it, one identity in 5000.
	KindPartitioned
	// KindPersonal is the topic of one identity alone. Deployed clients use it for
	// push notifications and backups.
	KindPersonal
	// KindNegotiated is the topic of two identities, known to them alone.
	KindNegotiated
	// KindPublicChat is the topic of everybody who knows the name of the chat.
	KindPublicChat
)

// Symmetric tells how envelopes on topics of this kind are sealed: under a key
// that is derived of the name, or else to the identity key of the recipient.
func (k Kind) Symmetric() bool {
	switch k {
	case KindContactCode, KindNegotiated, KindPublicChat:
		return true
	default:
		return false
	}
}

// String names the kind.
func (k Kind) String() string {
	switch k {
	case KindContactCode:
		return "contact-code"
	case KindPartitioned:
		return "partitioned"
	case KindPersonal:
		return "personal"
	case KindNegotiated:
		return "negotiated"
	case KindPublicChat:
		return "public-chat"
	default:
		return fmt.Sprintf("kind %d", uint8(k))
	}
}
