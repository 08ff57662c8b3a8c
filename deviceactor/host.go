package deviceactor

import (
	"time"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// Host is what the contacts of a hosted installation ask of it and tell it. All of them
// share one, and call it on their own goroutines: it is safe for concurrent use, and
// nothing in it blocks.
type Host interface {
	// Now is the time in ns since the epoch.
	Now() int64
	// AskBundle takes a question for the bundle actor of the installation.
	AskBundle(question any)
	// AtHand is the bundle that it would answer with, if that is known without asking;
	// else nil, and it is asked.
	AtHand() *bundleactor.Published
	// Publish is that of transport.Transport.
	Publish(e transport.Envelope, accepted func(error))
	// Deliver takes an event, after it is durable.
	Deliver(Event)
	// OwnDevices is told after a change of our own other installations is durable, if
	// the contact is our own identity.
	OwnDevices(own Contact)
	// LeftOver is told when the contact leaves memory with messages that the transport
	// has not taken: somebody has to wake it, or they stay.
	LeftOver(peer x3dh.IdentityPublicKey)
	// Siblings tells whether other installations of ours are to get a copy of what is
	// sent.
	Siblings() bool
	// CopyOut is told that such a copy is durable: the contact that is our own identity
	// has to make a message of it.
	CopyOut(MessageID)
	// Repeated is told that a received message was refused because it was read before.
	// If the store failed after that, it may be in the inbox without having been
	// reported.
	Repeated()
	// Forgotten is told that the contact was forgotten, its messages in the inbox too.
	Forgotten(peer x3dh.IdentityPublicKey)
	// LookUp is told that no message can go to the contact until there is news of its
	// installations.
	LookUp(peer x3dh.IdentityPublicKey)
	// Timed takes how long a message was in a stage, if it has a time since when: see
	// Send.Since and Receive.Since. Of the others it is told nothing.
	Timed(w Way, s Stage, took time.Duration)
}
