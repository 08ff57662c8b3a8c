package deviceactor

import (
	"time"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// teller takes messages for an actor, or for a test.
type teller interface{ Tell(message any) }

// nodeHost is a node as its contacts see it, with the bundle actor that it had when the
// contact was started.
type nodeHost struct {
	node   *node
	bundle teller
}

var _ Host = nodeHost{}

func (h nodeHost) Now() int64 { return h.node.now.Load() }

func (h nodeHost) AskBundle(question any) { h.bundle.Tell(question) }

// AtHand knows nothing: the bundle actor is asked.
func (nodeHost) AtHand() *bundleactor.Published { return nil }

func (h nodeHost) Publish(e transport.Envelope, accepted func(error)) {
	h.node.line.Publish(e, accepted)
}

func (h nodeHost) Deliver(e Event) { h.node.deliver(e) }

func (h nodeHost) OwnDevices(own Contact) { h.node.changed(own) }

func (h nodeHost) LeftOver(x3dh.IdentityPublicKey) { h.node.leftOver.Add(1) }

func (h nodeHost) Siblings() bool { return h.node.siblings.Load() }

func (h nodeHost) CopyOut(id MessageID) { h.node.copyOut(id) }

func (h nodeHost) Repeated() { h.node.repeated.Add(1) }

func (h nodeHost) Forgotten(x3dh.IdentityPublicKey) { h.node.forgotten.Add(1) }

func (h nodeHost) LookUp(x3dh.IdentityPublicKey) { h.node.lookedUp.Add(1) }

// Timed is not called: no message of these tests has a time.
func (nodeHost) Timed(Way, Stage, time.Duration) { panic("a message without a time was timed") }
