package rookery

import (
	"encoding/hex"
	"fmt"
	"log/slog"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// PublicKey is an identity: who somebody is. 33 bytes, compressed.
type PublicKey = x3dh.IdentityPublicKey

// MessageID names one message on all devices of its recipient and over all its
// publications.
type MessageID deviceactor.MessageID

// String gives the id in hexadecimal.
func (id MessageID) String() string { return hex.EncodeToString(id[:]) }

// Event is what the handler gets. The types of this file are all there are;
// docs/events.md says of each what causes it and what to do.
type Event interface {
	// To is the hosted identity it happened to.
	To() *Identity
}

// Message is a received message. It is reported again after a restart until it
// is acknowledged.
type Message struct {
	Identity     *Identity
	ID           MessageID
	Sender       PublicKey
	Installation string // the sender's
	Payload      []byte `json:"-"` // for the application alone, not for its logs
	Received     int64  // ns
	// ForwardSecrecy is false for a message outside any session (DH-only): the
	// first message of somebody who did not know our bundle.
	ForwardSecrecy bool
}

// To implements Event.
func (m Message) To() *Identity { return m.Identity }

// Ack takes the message out of the inbox. It returns at once; if the process
// ends before that is durable, the message is reported once more.
func (m Message) Ack() { m.Identity.ack(m) }

func (m Message) key() messageKey { return messageKey{m.Sender, m.ID} }

func (m Message) payloadSize() int64 { return int64(len(m.Payload)) }

// payloadSize is how many bytes of payload an event has.
func payloadSize(e Event) int64 {
	if m, ok := e.(interface{ payloadSize() int64 }); ok {
		return m.payloadSize()
	}
	return 0
}

// Format implements fmt.Formatter without the payload.
func (m Message) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "message %v from %v, installation %s, %d bytes", m.ID, m.Sender, m.Installation, len(m.Payload))
}

// LogValue implements slog.LogValuer without the payload.
func (m Message) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(m)) }

// ContactRequest is a message of an identity that waits for an answer, if
// Options.Requests is Ask: Identity.Accept, or a message back, or Identity.Deny.
// Until then each of its messages is one.
type ContactRequest struct{ Message }

// SentElsewhere is a message that another installation of our own identity has
// sent, with the ID that it has for everybody. Sender is our own identity.
type SentElsewhere struct {
	Message
	// Recipient is whom it went to; our own identity for a note that only our
	// installations get.
	Recipient PublicKey
}

// PublicMessage is a message in a public chat that the identity has joined. It
// is not encrypted; its sender is who the transport has proved. Nothing in it
// tells a repetition from a duplicate.
type PublicMessage struct {
	Message
	Chat string
}

// InstallationDiscovered is an installation heard of for the first time. One
// that is not enabled gets nothing before Identity.Approve: those of our own
// identity, and those of contacts if Options.Devices is AskFirst.
type InstallationDiscovered struct {
	Identity     *Identity
	Contact      PublicKey
	Installation string
	Enabled      bool
}

// To implements Event.
func (e InstallationDiscovered) To() *Identity { return e.Identity }

// InstallationEnabled is an installation that was approved or disabled.
type InstallationEnabled struct {
	Identity     *Identity
	Contact      PublicKey
	Installation string
	Enabled      bool
}

// To implements Event.
func (e InstallationEnabled) To() *Identity { return e.Identity }

// InstallationStale is an installation that the bundles of its identity have
// left out for 7 days: nothing is sent to it until a bundle comes from itself,
// which is reported with Stale false.
type InstallationStale struct {
	Identity     *Identity
	Contact      PublicKey
	Installation string
	Stale        bool
}

// To implements Event.
func (e InstallationStale) To() *Identity { return e.Identity }

// SessionChanged is a step in the life of one session: established, re-keyed,
// expired or deleted, with its cause. Nothing needs to be done.
type SessionChanged struct {
	Identity     *Identity
	Contact      PublicKey
	Installation string
	Session      sessionactor.ID // among all that ever were; not secret
	Change       sessionactor.Lifecycle
	Cause        sessionactor.Cause
}

// To implements Event.
func (e SessionChanged) To() *Identity { return e.Identity }

// ForwardSecrecyEstablished tells that both sides of a contact have a session:
// what is said from here on stays secret even if keys are lost later.
type ForwardSecrecyEstablished struct {
	Identity *Identity
	Contact  PublicKey
}

// To implements Event.
func (e ForwardSecrecyEstablished) To() *Identity { return e.Identity }

// Refused is a received message that changed nothing. Err says why, see package cause.
type Refused struct {
	Identity     *Identity
	Sender       PublicKey // as the transport proved it
	Installation string    // as the message says; not authenticated
	Err          error
}

// To implements Event.
func (e Refused) To() *Identity { return e.Identity }

// Alarm is something that honest peers do not do, or do rarely. Nothing was
// refused because of it; a user should be told. Err is one of ErrEvicted,
// ErrIgnored, ErrConflict, ErrDowngrade, ErrCloned and ErrCopyLost of package cause.
type Alarm struct {
	Identity     *Identity
	Contact      PublicKey
	Installation string
	Err          error
}

// To implements Event.
func (e Alarm) To() *Identity { return e.Identity }

// Unsent is a message that no network has taken within Options.KeepUnsent. It is not
// published any more, and dropped when the handler has returned: if the process ends
// before, it is reported again.
type Unsent struct {
	Identity *Identity
	Contact  PublicKey // whom it was for; our own identity for copies of what was sent
	ID       MessageID
	Sent     int64 // ns
}

// To implements Event.
func (e Unsent) To() *Identity { return e.Identity }

// Replaced is an installation that has a successor from now on, since the store
// was put back to an older state: see Identity.Successor. It is reported once,
// before anything else of that installation.
type Replaced struct {
	Identity *Identity
}

// To implements Event.
func (e Replaced) To() *Identity { return e.Identity }

func (i *Identity) event(e deviceactor.Event) Event {
	switch e := e.(type) {
	case deviceactor.MessageReceived:
		return i.message(e)
	case deviceactor.InstallationDiscovered:
		return InstallationDiscovered{i, e.Identity, e.Installation, e.Enabled}
	case deviceactor.InstallationEnabled:
		return InstallationEnabled{i, e.Identity, e.Installation, e.Enabled}
	case deviceactor.InstallationStale:
		return InstallationStale{i, e.Identity, e.Installation, e.Stale}
	case deviceactor.SessionChanged:
		return SessionChanged{i, e.Identity, e.Installation, e.Session, e.To, e.Cause}
	case deviceactor.ForwardSecrecyEstablished:
		return ForwardSecrecyEstablished{i, e.Identity}
	case deviceactor.MessageRefused:
		return Refused{i, e.Sender, e.Installation, e.Err}
	case deviceactor.Unsent:
		return Unsent{i, e.Identity, MessageID(e.ID), e.Created}
	case deviceactor.Alarm:
		return Alarm{i, e.Identity, e.Installation, e.Err}
	}
	panic("internal error: unknown event")
}

func (i *Identity) message(e deviceactor.MessageReceived) Event {
	m := Message{i, MessageID(e.ID), e.Sender, e.Installation, e.Payload, e.Received, e.ForwardSecrecy}
	switch {
	case e.Chat != "":
		return PublicMessage{m, e.Chat}
	case e.Request:
		return ContactRequest{m}
	case e.Sender == i.public:
		return SentElsewhere{m, e.Recipient}
	}
	return m
}
