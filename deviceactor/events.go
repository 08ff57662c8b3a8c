package deviceactor

import "github.com/rookery-im/rookery/x3dh"

// Event is what a contact tells the application about, after what it reports
// is durable: one of MessageReceived, InstallationDiscovered and
// MessageRefused.
type Event interface{ event() }

// MessageReceived is a decrypted message. It stays in the inbox, and is
// reported again after a restart, until it is acknowledged.
type MessageReceived struct {
	ID             MessageID
	Sender         x3dh.IdentityPublicKey
	Installation   string
	Payload        []byte
	Received       int64 // ns
	ForwardSecrecy bool  // false: DH-only, sender authenticated by the envelope alone
}

// InstallationDiscovered is an installation heard of for the first time.
type InstallationDiscovered struct {
	Identity     x3dh.IdentityPublicKey
	Installation string
	Enabled      bool // false: one of ours, waiting for approval
}

// MessageRefused is a message that changed nothing, with the cause.
type MessageRefused struct {
	Sender       x3dh.IdentityPublicKey
	Installation string
	Err          error
}

func (MessageReceived) event()        {}
func (InstallationDiscovered) event() {}
func (MessageRefused) event()         {}
