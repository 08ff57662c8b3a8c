package deviceactor

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// MessageID names one message on all devices of its recipient and over all its
// publications (docs/adr/0004).
type MessageID [32]byte

// Send asks to encrypt a payload for the contact and to make the message
// durable. Publishing follows the answer.
type Send struct {
	actors.Reply[Receipt]
	Payload []byte
	// Since is when the sender has handed it in, if it is timed; else zero. See
	// Host.Timed.
	Since  time.Time
	Once   *Once      // if it is sent under a key of the application's
	copyOf *MessageID // the payload is the copy of that message
}

// Receipt says what became of a payload when its message was durable.
type Receipt struct {
	ID MessageID
	// Installations are those it was encrypted for; "none" stands for a DH-only
	// message that any device of the contact can read.
	Installations []string
	// Failed are installations it could not be encrypted for.
	Failed []InstallationError
	// ForwardSecrecy is false for a DH-only message.
	ForwardSecrecy bool
	// Started is how many new ratchet sessions the message starts.
	Started int
}

// InstallationError is why one installation was left out of a message.
type InstallationError struct {
	Installation string
	Err          error
}

// Receive hands in a decoded message of the contact, whose identity the
// envelope has proved. The answer comes when the message is durable, or with
// the cause of its refusal.
type Receive struct {
	actors.Reply[struct{}]
	Message *wire.Message
	Chat    string // the public chat that it was published in, or ""
	Encoded []byte // the message as it came
	// Since is when the transport has handed it in, if it is timed; else zero.
	Since time.Time
}

// QuarantineID names the message if handling it panics.
func (m Receive) QuarantineID() [32]byte { return sha256.Sum256(m.Encoded) }

// TakeBundle hands in a bundle of the contact that came by another way than a
// message (a contact code, a QR code). It is verified here.
type TakeBundle struct {
	actors.Reply[struct{}]
	Bundle wire.Bundle
	Sender string // the installation that published it, "" if that is not known
	ByHand bool   // by the user, who so accepts the contact
}

// SetEnabled approves an installation of ours, or stops sending to one.
type SetEnabled struct {
	actors.Reply[struct{}]
	Installation string
	Enabled      bool
}

// Accept answers the request of the contact; ErrNoRequest if there is none, unless
// the contact is to be accepted Unasked.
type Accept struct {
	actors.Reply[struct{}]
	Unasked bool
}

// Deny forgets everything of the contact: its request, its sessions, and what
// waits in inbox and outbox. Its next message is that of an unknown identity.
type Deny struct {
	actors.Reply[struct{}]
}

// MakeCopy asks the contact that is our own identity for the message by which
// our other installations get a copy of what was sent.
type MakeCopy struct {
	ID MessageID
}

// Expire asks to delete what has expired long enough ago. An actor in memory
// does it by itself.
type Expire struct{}

// GetContact asks what is known of the contact.
type GetContact struct {
	actors.Reply[Contact]
}

// Republish asks to publish what the transport has not taken, and to make the copies that
// are still to be made, without waiting for the next sweep.
type Republish struct{}

// ForgetBundle says that our bundle has changed: the next message asks for it.
type ForgetBundle struct{}

// The messages an Actor tells itself.
type (
	gotBundle struct {
		published bundleactor.Published
		err       error
	}
	gotAdvertisement struct {
		published bundleactor.Published
		err       error
	}
	gotPreKey struct {
		of     *arrival
		prekey *bundleactor.Found
		err    error
	}
	inTurn    struct{ *arrival }
	gotUsable struct {
		usable []x3dh.PreKeyPublic
		err    error
	}
	swept struct {
		of           *work
		installation string
		records      []persistence.Record
		transitions  []sessionactor.Transition
		err          error
	}
	copied struct {
		by  *Actor // the incarnation that made it
		id  MessageID
		err error
	}
	encrypted struct{ *share }
	decrypted struct{ *incoming }
	committed struct {
		by  *Actor // the incarnation that committed it
		of  []*work
		err error
	}
	published struct {
		id    MessageID
		since time.Time // it was handed to the transport, if it is timed
		err   error
	}
)

// Fail answers the message that the key was looked up for, if nobody is left to
// go on with it.
func (m gotPreKey) Fail(err error) { m.of.message.Fail(err) }

// QuarantineID names that message.
func (m gotPreKey) QuarantineID() [32]byte { return m.of.message.QuarantineID() }

// Fail answers the message whose turn it was.
func (m inTurn) Fail(err error) { m.message.Fail(err) }

// QuarantineID names that message.
func (m inTurn) QuarantineID() [32]byte { return m.message.QuarantineID() }

// Fail answers the work that was committed, if nobody is left to finish it. What
// is durable shows again with the next start.
func (m *committed) Fail(err error) {
	for _, w := range m.of {
		w.task.finish(nil, fmt.Errorf("%w: %w", actors.ErrStopped, err))
	}
}
