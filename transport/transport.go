package transport

import (
	"errors"

	"github.com/rookery-im/rookery/x3dh"
)

// ErrClosed: the transport is closed.
var ErrClosed = errors.New("transport: closed")

// Topic is where an envelope is published and looked for.
type Topic string

// PersonalTopic is where messages to an identity go.
func PersonalTopic(identity x3dh.IdentityPublicKey) Topic {
	return Topic("personal/" + identity.String())
}

// ContactCodeTopic is where an identity publishes its bundle
// (5/SECURE-TRANSPORT, Bundle Retrieval).
func ContactCodeTopic(identity x3dh.IdentityPublicKey) Topic {
	return Topic("contact-code/" + identity.String())
}

// PublicTopic is where the messages of a public chat are.
func PublicTopic(chat string) Topic { return Topic("public/" + chat) }

// Envelope is one message of the network.
type Envelope struct {
	Topic Topic
	// Sender is the identity key that signed the envelope. Implementations
	// hand up only senders they have verified.
	Sender x3dh.IdentityPublicKey
	// Payload is an encoded ProtocolMessage. Nobody changes it after Publish.
	Payload []byte
}

// Deliver takes one envelope of a subscription, see Transport.Subscribe.
type Deliver func(e Envelope, done func(error))

// Transport carries envelopes. All methods are safe for concurrent use.
type Transport interface {
	// Publish hands an envelope to the network and returns at once. accepted
	// is called exactly once, from any goroutine and possibly before Publish
	// returns: with nil when the network has taken the envelope. It must be
	// quick.
	Publish(e Envelope, accepted func(error))
	// Subscribe calls deliver for each envelope on the topic until cancel is
	// called, from any goroutine. deliver must be quick; it or whoever it
	// passes done to calls done exactly once: with nil when the envelope was
	// dealt with for good, its message durable or refused, and with an error
	// when it has to be delivered again later.
	Subscribe(topic Topic, deliver Deliver) (cancel func(), err error)
	// Close ends every subscription; later calls give ErrClosed.
	Close() error
}
