package faults

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
)

// device names a hosted installation over all engines that host it in turn.
type device struct {
	key          rookery.PublicKey
	installation string
}

func (d device) owner() persistence.OwnerID {
	return persistence.NewOwnerID(d.key[:], d.installation)
}

// receipt is a message that its sender was told to be safe.
type receipt struct {
	from    device
	to      rookery.PublicKey
	id      rookery.MessageID
	payload string
	targets []string // installations of the recipient
	copies  []device // of the sender's identity
}

// note is a message or a copy that was reported to the application.
type note struct {
	at      device
	sender  rookery.PublicKey
	id      rookery.MessageID
	payload string
}

// past is what has left the process and no crash takes back. Its lists only
// grow.
type past struct {
	published []transport.Envelope
	receipts  []receipt
	delivered []note
	acked     []note             // the application has said so
	ended     []persistence.Name // of the inbox, durably
	alarms    []string           // what must not happen
	copies    []persistence.Name // that were to be made, and may be in the store
	copyLost  []string           // alarms: nobody was left to get one
	steps     []string           // of the scenario, done
	tried     []string           // of those that enable devices, begun
	ahead     time.Duration      // of the clock
}

// ledger is the past so far, of one engine after the other. Safe for concurrent
// use.
type ledger struct {
	mu      sync.Mutex
	past    past
	changed chan struct{} // closed and replaced with each change
}

func newLedger(p past) *ledger { return &ledger{past: p, changed: make(chan struct{})} }

// still calls fn while nothing changes.
func (l *ledger) still(fn func(past)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn(l.past.frozen())
}

func (l *ledger) read() past {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.past.frozen()
}

func (l *ledger) note(change func(*past)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.past)
	close(l.changed)
	l.changed = make(chan struct{})
}

// change is closed when the ledger has changed since this call.
func (l *ledger) change() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// frozen is the past as it stays while the ledger goes on.
func (p past) frozen() past {
	p.published = slices.Clip(p.published)
	p.receipts = slices.Clip(p.receipts)
	p.delivered = slices.Clip(p.delivered)
	p.acked = slices.Clip(p.acked)
	p.ended = slices.Clip(p.ended)
	p.alarms = slices.Clip(p.alarms)
	p.copies = slices.Clip(p.copies)
	p.copyLost = slices.Clip(p.copyLost)
	p.steps = slices.Clip(p.steps)
	p.tried = slices.Clip(p.tried)
	return p
}

// missing are the messages and copies that their receipts promise and that are
// not there.
func (p past) missing() (messages, copies []promise) {
	there := set(p.delivered)
	for i, r := range p.receipts {
		for _, target := range r.targets {
			if d := (device{r.to, target}); !there[note{d, r.from.key, r.id, r.payload}] {
				messages = append(messages, promise{i, r, d})
			}
		}
		for _, d := range r.copies {
			if !there[note{d, r.from.key, r.id, r.payload}] {
				copies = append(copies, promise{i, r, d})
			}
		}
	}
	return messages, copies
}

// promise is one of what a receipt promises.
type promise struct {
	number  int // of the receipt
	receipt receipt
	at      device
}

func (p promise) String() string {
	return fmt.Sprintf("%q at %s", p.receipt.payload, p.at.installation)
}

// copyName is the record of a copy that was not made yet.
func (p promise) copyName() persistence.Name {
	return deviceactor.CopyName(p.receipt.from.owner(), deviceactor.MessageID(p.receipt.id))
}

// unpublished tells whether there is a message with a receipt that the network
// does not have.
func (p past) unpublished() bool {
	out := make(map[rookery.MessageID]bool)
	for _, e := range p.published {
		out[idOf(e)] = true
	}
	return slices.ContainsFunc(p.receipts, func(r receipt) bool { return !out[r.id] })
}

// idOf computes the id of a published message as docs/adr/0004 says.
func idOf(e transport.Envelope) rookery.MessageID {
	m, err := wire.Decode(e.Payload)
	if err != nil {
		return rookery.MessageID{}
	}
	entries := wire.Message{InstallationID: m.InstallationID, Entries: m.Entries}
	h := sha256.New()
	h.Write([]byte("rookery message id"))
	h.Write(e.Sender[:])
	h.Write([]byte{0}) // no public chat
	h.Write(entries.Encode())
	return rookery.MessageID(h.Sum(nil))
}

// siblings are the devices that get copies of what a device sends.
func (p past) siblings(d device) []device {
	var list []device
	for _, other := range []device{alice1, alice2} {
		if other != d && other.key == d.key && p.approves(d, other) && p.approves(other, d) {
			list = append(list, other)
		}
	}
	return list
}

// lostCopies are the alarms about copies that nobody is left to get, unless that is right:
// a message whose sending has failed may be durable all the same, and is sent when the
// store is opened again. If its device was disabled meanwhile, there is nobody to get the
// copy, which no receipt has promised.
func (p past) lostCopies() []string {
	unpromised := set(p.copies)
	for _, r := range p.receipts {
		if len(r.copies) > 0 {
			delete(unpromised, promise{receipt: r}.copyName())
		}
	}
	disabled := slices.ContainsFunc(p.tried, func(step string) bool { return strings.HasSuffix(step, ": false") })
	if disabled && len(p.copyLost) <= len(unpromised) {
		return nil
	}
	return p.copyLost
}

// approves tells whether a device has approved another for sure, and has not
// begun to disable it.
func (p past) approves(at, which device) bool {
	return slices.Contains(p.steps, enabling(at, which, true)) && !slices.Contains(p.tried, enabling(at, which, false))
}

// ends tells whether these messages are durably out of the inbox.
func (p past) ends(names map[persistence.Name]bool) bool {
	left := maps.Clone(names)
	for _, name := range p.ended {
		delete(left, name)
	}
	return len(left) == 0
}

// reported counts the reports of each message from the begun-th on.
func (p past) reported(begun int) map[persistence.Name]int {
	times := make(map[persistence.Name]int)
	for _, n := range p.delivered[begun:] {
		times[n.inboxName()]++
	}
	return times
}

func set[T comparable](list []T) map[T]bool {
	in := make(map[T]bool, len(list))
	for _, one := range list {
		in[one] = true
	}
	return in
}
