package rookery

import (
	"encoding/hex"
	"fmt"
	"log/slog"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/x3dh"
)

// PublicKey is an identity: who somebody is. 33 bytes, compressed.
type PublicKey = x3dh.IdentityPublicKey

// MessageID names one message on all devices of its recipient and over all its
// publications.
type MessageID deviceactor.MessageID

// String gives the id in hexadecimal.
func (id MessageID) String() string { return hex.EncodeToString(id[:]) }

// Event is what the handler gets: a Message, an InstallationDiscovered or a
// Refused.
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
	Payload      []byte
	Received     int64 // ns
	// ForwardSecrecy is false for a message outside any session (DH-only): the
	// first message of somebody who did not know our bundle.
	ForwardSecrecy bool
}

// To implements Event.
func (m Message) To() *Identity { return m.Identity }

// Ack takes the message out of the inbox. It returns at once; if the process
// ends before that is durable, the message is reported once more.
func (m Message) Ack() { m.Identity.ack(m) }

// Format implements fmt.Formatter without the payload.
func (m Message) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "message %v from %v, installation %s, %d bytes", m.ID, m.Sender, m.Installation, len(m.Payload))
}

// LogValue implements slog.LogValuer without the payload.
func (m Message) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(m)) }

// InstallationDiscovered is an installation heard of for the first time. One
// of our own identity waits for Identity.Approve.
type InstallationDiscovered struct {
	Identity     *Identity
	Contact      PublicKey
	Installation string
	Enabled      bool
}

// To implements Event.
func (e InstallationDiscovered) To() *Identity { return e.Identity }

// Refused is a received message that changed nothing.
type Refused struct {
	Identity     *Identity
	Sender       PublicKey // as the transport proved it
	Installation string    // as the message says; not authenticated
	Err          error
}

// To implements Event.
func (e Refused) To() *Identity { return e.Identity }

func (i *Identity) event(e deviceactor.Event) Event {
	switch e := e.(type) {
	case deviceactor.MessageReceived:
		return Message{i, MessageID(e.ID), e.Sender, e.Installation, e.Payload, e.Received, e.ForwardSecrecy}
	case deviceactor.InstallationDiscovered:
		return InstallationDiscovered{i, e.Identity, e.Installation, e.Enabled}
	case deviceactor.MessageRefused:
		return Refused{i, e.Sender, e.Installation, e.Err}
	}
	panic("internal error: unknown event")
}
