package deviceactor

import (
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/sessionactor"
)

// An initial message names a signed prekey of ours, which the bundle actor has to look
// up, and perhaps to read from the store before that. What comes after it waits for its
// turn, although it may name none: of the sender's messages that were under way at the
// same time some are in a session that we have started. So all are received in the order
// in which the network has delivered them.

// arrival is a message that waits for our prekey, or for those before it that do.
type arrival struct {
	message Receive
	reading Reading
	prekey  *bundleactor.Found // nil if it names none that we have
	err     error              // of looking that up
	ready   bool               // nothing is missing but its turn
}

// waitsForTurn keeps a message that cannot be received yet.
func (a *Actor) waitsForTurn(m Receive, r Reading) bool {
	prekey, initial := r.PreKey()
	if !initial && len(a.arrivals) == 0 {
		return false
	}
	n := &arrival{message: m, reading: r, ready: !initial}
	a.arrivals = append(a.arrivals, n)
	if initial {
		a.pending++
		self := a.self
		a.config.Host.AskBundle(bundleactor.FindPreKey{
			Public: prekey,
			Reply: actors.ReplyFunc(func(k *bundleactor.Found, err error) {
				self.Tell(gotPreKey{n, k, err})
			}),
		})
	}
	return true
}

// gotPreKey makes a message ready. One of an earlier incarnation goes before all of this.
func (a *Actor) gotPreKey(m gotPreKey) {
	n := m.of
	n.prekey, n.err, n.ready = m.prekey, m.err, true
	if !slices.Contains(a.arrivals, n) {
		a.arrivals = slices.Insert(a.arrivals, 0, n)
	}
	a.arrived(n)
}

// arrived receives a message if it is its turn. The next one is a message to ourselves:
// one that panics costs itself.
func (a *Actor) arrived(n *arrival) {
	if len(a.arrivals) == 0 || a.arrivals[0] != n {
		return // later, or the incarnation that has ended has answered it
	}
	a.arrivals[0] = nil
	a.arrivals = a.arrivals[1:]
	if len(a.arrivals) > 0 && a.arrivals[0].ready {
		a.self.Tell(inTurn{a.arrivals[0]})
	}
	if n.err != nil {
		n.message.Fail(fmt.Errorf("%w: signed prekey: %w", sessionactor.ErrUnavailable, n.err))
		return
	}
	if err := a.contact.lets(a.config.View, n.message.Chat); err != nil {
		a.refuse(n.message.Reply, n.message.Message, err) // it was denied or blocked meanwhile
		return
	}
	a.read(n.message, n.reading, n.prekey)
}

// endArrivals answers those that only wait for their turn. Of the others the answer of
// the bundle actor comes to the next incarnation.
func (a *Actor) endArrivals(end error) {
	for _, n := range a.arrivals {
		if n.ready {
			n.message.Fail(end)
		}
	}
	a.arrivals = nil
}
