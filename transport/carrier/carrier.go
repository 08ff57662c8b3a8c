package carrier

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Topic is a content topic: what networks tell messages apart by. Printable ASCII
// without spaces, 1 to MaxTopic bytes, such as "/waku/1/0x9c22ff5f/rfc26".
type Topic string

// MaxTopic is how long a topic may be, in bytes.
const MaxTopic = 255

// MaxPayload is how long a payload may be, in bytes: what every network takes, with
// room for its own fields. Deployed nodes refuse messages over 150,000 bytes.
const MaxPayload = 149_000

// Message is what is carried.
type Message struct {
	Topic Topic
	// Payload is 1 to MaxPayload bytes. Nobody changes it after Publish or Deliver.
	Payload []byte
	// Time is when the sender has made it, by his clock (ns since the epoch).
	Time int64
	// Ephemeral messages are kept in no history.
	Ephemeral bool
}

// Hash tells messages apart: two of the same hash are one, delivered twice.
type Hash [sha256.Size]byte

// Hash is that of topic, payload and time.
func (m *Message) Hash() Hash {
	h := sha256.New()
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(m.Topic)))
	h.Write(n[:])
	h.Write([]byte(m.Topic))
	binary.BigEndian.PutUint64(n[:], uint64(m.Time)) //nolint:gosec // all 64 bits
	h.Write(n[:])
	h.Write(m.Payload)
	return Hash(h.Sum(nil))
}

// Received is a message that a carrier hands up.
type Received struct {
	Message
	// At is its place in the history, by the clock of who keeps it (ns since the
	// epoch): History from there on has it, and what came after it.
	At int64
}

// Receiver takes what a carrier hands up. A carrier calls Deliver from one or
// several goroutines, and waits for it: a receiver that has no room holds up the
// carrier, whose network then keeps or drops messages in its own way.
type Receiver interface {
	// Deliver takes a message of a subscribed topic, at least once each; also those
	// that this process has published itself. Foreign ones may come too.
	Deliver(r Received)
	// Gap says that messages since a point in time (ns since the epoch, the clock of
	// Received.At) may have been missed and are to be looked for in the history. It
	// must be quick.
	Gap(since int64)
}

// Carrier carries messages. All methods are safe for concurrent use.
type Carrier interface {
	// Publish hands a message to the network and returns at once. accepted is
	// called exactly once, from any goroutine and possibly before Publish returns:
	// with nil when the network has taken the message, as far as it says so. It must
	// be quick. A Message that is out of bounds gives ErrMessage.
	// Errors that Retriable tells of may pass; the network may have taken the message
	// all the same. Receivers and accepted may call Publish.
	Publish(m Message, accepted func(error))
	// Receive names who takes what comes, once, before the first Subscribe.
	Receive(r Receiver)
	// Subscribe adds topics to those that are delivered, until Unsubscribe or Close;
	// one that is there already stays once. It returns when messages published from
	// then on are delivered, or will be, if the network is not reachable now. ctx
	// bounds how long it waits for the network's answer, not what it subscribes to.
	// Nothing is subscribed on an error, which is that of ctx if it ends first.
	Subscribe(ctx context.Context, topics ...Topic) error
	// Unsubscribe takes topics away; those that are not there are passed over. It
	// waits for nothing: the network may be told later.
	Unsubscribe(topics ...Topic)
	// History calls each for the kept messages of the topics from since up to, not
	// including, until (ns since the epoch, the clock of Received.At), oldest first,
	// until there are no more or each gives an error, which it returns. It asks page
	// by page: its memory does not grow with the history. ErrNoHistory if the network
	// keeps none; ErrHistory if what it answers makes no sense; ErrUnreachable if it
	// cannot be asked now. each may call the carrier, and may be given a message twice.
	History(ctx context.Context, topics []Topic, since, until int64, each func(Received) error) error
	// Health tells how the carrier is now, without asking the network.
	Health() Health
	// Close ends everything and waits until nothing is delivered any more; what is
	// being published gets ErrClosed before it returns. It may be called again. It must
	// not be called by a Receiver.
	Close() error
}

// Health is how a carrier is.
type Health struct {
	// Ready: messages can be published, and are delivered.
	Ready bool
	// Peers is how many others it is connected to, or 1 if there is one server.
	Peers int
	// Since is when Ready has changed last.
	Since time.Time
	// Err is what it fails with, nil if it does not.
	Err error
}
