package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rookery-im/rookery/transport"
)

// Faults of the network, in 1,000 envelopes.
const (
	refusals   = 15 // not accepted; the outbox has to try again
	duplicates = 60 // delivered once more, sooner or later
	delays     = 200
	holds      = 80 // kept back until a later life

	maxDelay  = 25 * time.Millisecond
	redeliver = 5 * time.Millisecond // after a delivery was refused
)

// network keeps what was published until the other side has dealt with it,
// whatever happens to the child. One goroutine at a time.
type network struct {
	dice      *dice
	faultless bool
	number    uint64
	parcels   map[uint64]*parcel
	listeners map[transport.Topic]uint64 // subscriptions of the present life
}

// parcel is an envelope on its way.
type parcel struct {
	envelope transport.Envelope
	due      time.Time
	held     bool // until a later life
	inFlight bool // the child has it and has not answered
}

func newNetwork(d *dice) *network {
	return &network{dice: d, parcels: make(map[uint64]*parcel), listeners: make(map[transport.Topic]uint64)}
}

// publish takes an envelope, or does not.
func (n *network) publish(e transport.Envelope, now time.Time) (accepted bool) {
	if !n.faultless && n.dice.chance(refusals) {
		return false
	}
	n.carry(e, now)
	return true
}

// carry takes an envelope.
func (n *network) carry(e transport.Envelope, now time.Time) {
	n.add(e, now)
	if !n.faultless && n.dice.chance(duplicates) {
		n.add(e, now)
	}
}

func (n *network) add(e transport.Envelope, now time.Time) {
	if _, listens := n.listeners[e.Topic]; !listens && !personal(e.Topic) {
		return // as any network would
	}
	p := &parcel{envelope: e, due: now}
	switch fate := n.dice.below(1000); {
	case n.faultless:
	case fate < delays:
		p.due = now.Add(n.dice.within(maxDelay))
	case fate < delays+holds:
		p.held = true
	}
	n.number++
	n.parcels[n.number] = p
}

func personal(t transport.Topic) bool { return strings.HasPrefix(string(t), "personal/") }

// begin is a new life of the child, which listens to nothing and has
// acknowledged nothing yet. Half of what was held back may come now.
func (n *network) begin(now time.Time) {
	clear(n.listeners)
	maps.DeleteFunc(n.parcels, func(_ uint64, p *parcel) bool { return !personal(p.envelope.Topic) })
	for _, number := range slices.Sorted(maps.Keys(n.parcels)) {
		p := n.parcels[number]
		p.inFlight = false
		if p.held && n.dice.chance(500) {
			p.held, p.due = false, now.Add(n.dice.within(maxDelay))
		}
	}
}

// calm ends all faults: everything is due now.
func (n *network) calm(now time.Time) {
	n.faultless = true
	for _, p := range n.parcels {
		p.held, p.due = false, now
	}
}

// storm lets faults happen again.
func (n *network) storm() { n.faultless = false }

// flush gives the deliveries that are due, and when it has to be asked again
// at the latest; zero for not before something happens.
func (n *network) flush(now time.Time) (due []frame, next time.Time) {
	for _, number := range slices.Sorted(maps.Keys(n.parcels)) {
		p := n.parcels[number]
		listener, listens := n.listeners[p.envelope.Topic]
		switch {
		case p.held || p.inFlight || !listens:
		case p.due.After(now):
			if next.IsZero() || p.due.Before(next) {
				next = p.due
			}
		default:
			p.inFlight = true
			due = append(due, frame{Kind: doDeliver, Number: number, Target: listener, Envelope: framed(p.envelope)})
		}
	}
	return due, next
}

// done takes the child's answer to a delivery.
func (n *network) done(number uint64, dealtWith bool, now time.Time) {
	p := n.parcels[number]
	if p == nil {
		return
	}
	if dealtWith || !personal(p.envelope.Topic) {
		delete(n.parcels, number)
		return
	}
	p.inFlight, p.due = false, now.Add(redeliver)
}

// listen says where envelopes of a topic go in this life.
func (n *network) listen(topic transport.Topic, subscription uint64) {
	n.listeners[topic] = subscription
}

// deaf ends a subscription.
func (n *network) deaf(subscription uint64) {
	maps.DeleteFunc(n.listeners, func(_ transport.Topic, s uint64) bool { return s == subscription })
}
