package throughput

import (
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// sleeperHost is a sleeper as its contact sees it. Nothing is kept back, nobody has other
// devices, and the network hands an envelope to the other side at once.
type sleeperHost struct {
	*sleeper
	bundle actors.Ref
}

// Now implements deviceactor.Host.
func (h sleeperHost) Now() int64 { return h.now.Load() }

// AskBundle implements deviceactor.Host.
func (h sleeperHost) AskBundle(question any) { h.bundle.Tell(question) }

// Publish implements deviceactor.Host.
func (h sleeperHost) Publish(e transport.Envelope, accepted func(error)) {
	accepted(nil)
	m, err := wire.Decode(e.Payload)
	if err != nil {
		h.pair.arrived <- err
		return
	}
	go func() { // as a wake must not hold up a sender
		h.other.wake().Tell(deviceactor.Receive{
			Reply:   actors.ReplyFunc(func(_ struct{}, err error) { h.pair.arrived <- err }),
			Message: m, Encoded: e.Payload,
		})
	}()
}

// Deliver implements deviceactor.Host: it acknowledges a message.
func (h sleeperHost) Deliver(e deviceactor.Event) {
	m, ok := e.(deviceactor.MessageReceived)
	if !ok {
		return
	}
	h.committer.NewStream(persistence.Fence{Owner: h.owner}).Commit([]persistence.Record{
		{Name: deviceactor.InboxName(h.owner, m.Sender, m.ID), Delete: true},
	}, func(error) {})
}

func (sleeperHost) AtHand() *bundleactor.Published                          { return nil }
func (sleeperHost) OwnDevices(deviceactor.Contact)                          {}
func (sleeperHost) LeftOver(x3dh.IdentityPublicKey)                         {}
func (sleeperHost) Siblings() bool                                          { return false }
func (sleeperHost) CopyOut(deviceactor.MessageID)                           {}
func (sleeperHost) Repeated()                                               {}
func (sleeperHost) Forgotten(x3dh.IdentityPublicKey)                        {}
func (sleeperHost) LookUp(x3dh.IdentityPublicKey)                           {}
func (sleeperHost) Timed(deviceactor.Way, deviceactor.Stage, time.Duration) {}
