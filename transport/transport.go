package transport

import (
	"context"
	"errors"

	"github.com/rookery-im/rookery/x3dh"
)

var (
	// ErrClosed: the transport is closed.
	ErrClosed = errors.New("transport: closed")
	// ErrNotHosted: the sender of an envelope is no identity that lives here.
	ErrNotHosted = errors.New("transport: sender is not hosted here")
)

// Topic is where an envelope is published and looked for.
type Topic string

// PersonalTopic is where messages to an identity go.
func PersonalTopic(identity x3dh.IdentityPublicKey) Topic {
	return Topic(personalPrefix + identity.String())
}

// ContactCodeTopic is where an identity publishes its bundle
// (5/SECURE-TRANSPORT, Bundle Retrieval).
func ContactCodeTopic(identity x3dh.IdentityPublicKey) Topic {
	return Topic(contactCodePrefix + identity.String())
}

// PublicTopic is where the messages of a public chat are.
func PublicTopic(chat string) Topic { return Topic(publicPrefix + chat) }

// Envelope is one message of the network.
type Envelope struct {
	Topic Topic
	// Sender is the identity key that signed the envelope. Implementations
	// hand up only senders they have verified.
	Sender x3dh.IdentityPublicKey
	// Payload is an encoded ProtocolMessage. Nobody changes it after Publish.
	Payload []byte
	// Agreed says that every installation which the envelope is for is known to read
	// what is published under the secret that the two identities share
	// (54/WAKU2-X3DH-SESSIONS, Negotiated Topic). Of a received one it says nothing.
	Agreed bool
}

// Deliver takes one envelope of a subscription, see Transport.Subscribe.
type Deliver func(e Envelope, done func(error))

// Transport carries envelopes. All methods are safe for concurrent use.
//
// Publish, Subscribe and Host take no context, since they wait for nothing: an engine
// opens, and takes messages to be sent, while there is no network, so none of them may
// depend on one. What they ask for is done later, and again until it is done.
type Transport interface {
	// Publish hands an envelope to the network and returns at once. accepted
	// is called exactly once, from any goroutine and possibly before Publish
	// returns: with nil when the network has taken the envelope. It must be
	// quick.
	Publish(e Envelope, accepted func(error))
	// Subscribe calls deliver for each envelope on the topic until cancel is
	// called, from any goroutine, perhaps before it returns. deliver must be quick; it or whoever it
	// passes done to calls done exactly once: with nil when the envelope was
	// dealt with for good, its message durable or refused, and with an error
	// when it has to be delivered again later.
	Subscribe(topic Topic, deliver Deliver) (cancel func(), err error)
	// Host says that an identity lives here, until leave is called: it signs what the
	// identity publishes, and opens what is for it alone. The key stays the caller's
	// and is not used any more when leave returns. Several installations of one
	// identity host it several times. Publish for a Sender that is not hosted gives
	// ErrNotHosted, of a transport that signs.
	Host(identity *x3dh.IdentityKey) (leave func(), err error)
	// Forget deletes for good what is kept of an identity that does not live here any
	// more, and of topics that nobody listens to any more: it cannot be told for whom
	// that was. It returns when that is durable. Of an identity that is hosted it
	// deletes nothing. It can be called again after an error.
	Forget(ctx context.Context, identity x3dh.IdentityPublicKey) error
	// Close ends every subscription; later calls give ErrClosed.
	Close() error
}
