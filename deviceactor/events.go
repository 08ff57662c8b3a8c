package deviceactor

import (
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// Event is what a contact tells the application about, after what it reports
// is durable. The types of this file are all there are.
type Event interface{ event() }

// MessageReceived is a message that is readable. It stays in the inbox, and is
// reported again after a restart, until it is acknowledged.
type MessageReceived struct {
	ID     MessageID
	Sender x3dh.IdentityPublicKey
	// Recipient is whom it was sent to: us, or, for the copy that another
	// installation of ours made, the contact that got it. Zero in a public chat.
	Recipient      x3dh.IdentityPublicKey
	Installation   string // the sender's
	Payload        []byte
	Received       int64 // ns
	ForwardSecrecy bool  // false: DH-only or public, sender authenticated by the envelope alone
	// Request is set while the contact waits for an answer to its request.
	Request bool
	// Chat is the public chat that it was published in, "" otherwise.
	Chat string
}

// InstallationDiscovered is an installation heard of for the first time.
type InstallationDiscovered struct {
	Identity     x3dh.IdentityPublicKey
	Installation string
	Enabled      bool // false: it waits for approval
}

// InstallationEnabled is an installation that was approved or disabled.
type InstallationEnabled struct {
	Identity     x3dh.IdentityPublicKey
	Installation string
	Enabled      bool
}

// InstallationStale is an installation that nothing is sent to any more: its
// identity's bundles have left it out for 7 days and none came from itself. A
// bundle of its own brings it back, reported with Stale false.
type InstallationStale struct {
	Identity     x3dh.IdentityPublicKey
	Installation string
	Stale        bool
}

// SessionChanged is a step in the life of a session with one installation.
type SessionChanged struct {
	Identity     x3dh.IdentityPublicKey
	Installation string
	sessionactor.Transition
}

// ForwardSecrecyEstablished is the first message of a contact that came through
// a ratchet session: from here on both sides have one.
type ForwardSecrecyEstablished struct {
	Identity x3dh.IdentityPublicKey
}

// MessageRefused is a message that changed nothing, with the cause.
type MessageRefused struct {
	Sender       x3dh.IdentityPublicKey
	Installation string
	Err          error
}

// Alarm is something that honest peers do not do, or do rarely: the application
// should tell the user. Nothing is refused because of it.
type Alarm struct {
	Identity     x3dh.IdentityPublicKey
	Installation string
	Err          error // one of ErrEvicted, ErrIgnored, ErrConflict, ErrDowngrade, sessionactor.ErrCloned, ErrCopyLost
}

func (MessageReceived) event()           {}
func (InstallationDiscovered) event()    {}
func (InstallationEnabled) event()       {}
func (InstallationStale) event()         {}
func (SessionChanged) event()            {}
func (ForwardSecrecyEstablished) event() {}
func (MessageRefused) event()            {}
func (Alarm) event()                     {}
