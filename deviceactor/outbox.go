package deviceactor

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// ErrUnsent: no network has taken the message for as long as messages are kept.
var ErrUnsent = errors.New("deviceactor: no network has taken the message")

const (
	// maxUnaccepted bounds the messages of one contact that the transport has
	// not taken: a network that is down does not fill the disk.
	maxUnaccepted = 4096
	// republished is how many of them are published again at a time, so that the end
	// of an outage is no storm.
	republished = 64
)

// Unsent is a message that no network has taken within Config.KeepUnsent. It stays in
// the outbox, unpublished, until Discard says that somebody knows; it is reported again
// when the contact comes back to memory.
type Unsent struct {
	Identity x3dh.IdentityPublicKey // whom it is for
	ID       MessageID
	Created  int64 // ns
}

func (Unsent) event() {}

// Discard drops a message that was reported as Unsent.
type Discard struct {
	ID MessageID
}

// NetworkBack says that the network can be reached again: what it has not taken is
// published with the next sweep.
type NetworkBack struct{}

// unaccepted is a published message that the transport has not taken yet.
type unaccepted struct {
	created int64 // ns
	refused bool  // a sweep publishes it again
	told    bool  // it was reported as Unsent
	again   bool  // it is published again and was not answered yet
}

// outage is how the transport has refused what one contact has published.
type outage struct {
	failures int  // rounds in a row
	failed   bool // this round
	skip     int  // sweeps until the next one
	underway int  // messages of the round that were not answered yet
}

// refused notes a refusal.
func (o *outage) refused(peer x3dh.IdentityPublicKey) {
	if o.failed {
		return
	}
	o.failed = true
	o.failures++
	o.skip = skips(peer, o.failures)
}

// passed notes that the transport has taken a message, or can be reached.
func (o *outage) passed() { o.failures, o.failed, o.skip = 0, false, 0 }

// round tells whether a sweep publishes again.
func (o *outage) round() bool {
	if o.skip > 0 {
		o.skip--
		return false
	}
	o.failed = false
	return true
}

// skips is how many sweeps are left out after so many rounds in a row that failed: none
// after the first, and the double each time, up to five minutes or so of sweeps. It
// depends on the contact, so that many do not come back together.
func skips(peer x3dh.IdentityPublicKey, failures int) int {
	const most = 6
	base := 1<<min(max(failures-1, 0), most) - 1
	h := sha256.Sum256(binary.BigEndian.AppendUint32(slices.Clone(peer[:]), uint32(failures))) //nolint:gosec // only mixed in
	share := float64(binary.BigEndian.Uint32(h[:])) / math.MaxUint32
	return int(math.Round(float64(base) * (0.5 + share)))
}

// loadOutbox finds the messages that the transport has not taken yet: the next
// sweep publishes them again. One whose publication is still under way goes out
// twice, as the same message.
func (a *Actor) loadOutbox() error {
	now := a.config.Host.Now()
	prefix := persistence.NewName(persistence.KindOutbox, a.config.Owner[:], a.peer[:])
	return a.config.Reader.Scan(context.Background(), prefix, func(name persistence.Name, value []byte) error {
		parts, err := name.Parts()
		if err != nil || len(parts[len(parts)-1]) != len(MessageID{}) {
			return fmt.Errorf("%w: %w: outbox record %v", actors.ErrCorruptState, ErrCorrupt, name)
		}
		u := unaccepted{created: now, refused: true}
		if o, err := DecodeOutgoing(value); err == nil { // else publish reports it
			u.created = o.Created
		}
		a.unaccepted[MessageID(parts[len(parts)-1])] = u
		return nil
	})
}

// republish publishes again what the transport has refused, the oldest first, and
// reports what is too old.
func (a *Actor) republish() {
	var again []MessageID
	a.outage.underway = 0
	for id, u := range a.unaccepted {
		switch {
		case u.again:
			a.outage.underway++
		case !u.refused || u.told:
		case a.tooOld(u):
			a.giveUp(id)
		default:
			again = append(again, id)
		}
	}
	if len(again) == 0 || !a.outage.round() {
		return
	}
	slices.SortFunc(again, func(x, y MessageID) int {
		return cmp.Or(cmp.Compare(a.unaccepted[x].created, a.unaccepted[y].created), slices.Compare(x[:], y[:]))
	})
	for _, id := range again[:min(len(again), republished)] {
		a.publish(id)
		if u, ok := a.unaccepted[id]; ok && !u.refused && !u.again {
			u.again = true
			a.unaccepted[id] = u
			a.outage.underway++
		}
	}
}

func (a *Actor) tooOld(u unaccepted) bool {
	keep := int64(a.config.KeepUnsent)
	return keep > 0 && a.config.Host.Now()-u.created > keep
}

// giveUp reports a message that is not published any more. Its record goes when the
// application knows: after a crash in between it is told again.
func (a *Actor) giveUp(id MessageID) {
	u := a.unaccepted[id]
	u.told = true
	a.unaccepted[id] = u
	a.untaken(id, a.unsent())
	a.config.Host.Deliver(Unsent{a.peer, id, u.created})
}

// discard drops a message that was given up, and leaves behind that it was, for
// AwaitTaken.
func (a *Actor) discard(id MessageID) error {
	if u, ok := a.unaccepted[id]; !ok || !a.tooOld(u) || !u.refused {
		return nil
	}
	left, err := dropped(a.config.Owner, a.peer, id, a.config.Host.Now())
	if err != nil {
		return err
	}
	delete(a.unaccepted, id)
	a.untaken(id, a.unsent())
	a.config.Counters.Unsent.Add(1)
	a.gather(persistence.Record{Name: OutboxName(a.config.Owner, a.peer, id), Delete: true}, left)
	a.prepared = append(a.prepared, recordsAlone)
	a.commit() // for the reader to show it
	return nil
}

func (a *Actor) unsent() error { return fmt.Errorf("%w within %v", ErrUnsent, a.config.KeepUnsent) }

// publish reads a message of the outbox and publishes it again.
func (a *Actor) publish(id MessageID) {
	value, err := a.config.Reader.Get(context.Background(), OutboxName(a.config.Owner, a.peer, id))
	if err != nil {
		// Gone: it was accepted meanwhile. Unreadable: the next sweep tries again.
		if errors.Is(err, persistence.ErrNotFound) {
			delete(a.unaccepted, id)
			a.taken(id)
		}
		return
	}
	o, err := DecodeOutgoing(value)
	if err != nil {
		a.config.Host.Deliver(MessageRefused{Sender: a.config.Identity.Public(), Installation: a.config.View.Installation, Err: err})
		delete(a.unaccepted, id)
		a.untaken(id, err)
		return
	}
	a.transmit(id, o.Message, o.Created, forAnybody(o.Message), false)
}

// forAnybody tells whether a message is for no installation in particular.
func forAnybody(message []byte) bool {
	m, err := wire.Decode(message)
	return err != nil || slices.ContainsFunc(m.Entries, func(e wire.Entry) bool { return e.Recipient == wire.NoInstallation })
}

// transmit hands a message of the outbox to the transport. One for anybody goes where
// everybody listens, whatever is agreed by now with those that are known: another one may
// be the one to read it.
func (a *Actor) transmit(id MessageID, message []byte, created int64, anybody, timed bool) {
	a.unaccepted[id] = unaccepted{created: created, again: a.unaccepted[id].again}
	self := a.self
	var since time.Time
	if timed {
		since = time.Now()
	}
	a.config.Host.Publish(transport.Envelope{
		Topic:   a.topic,
		Sender:  a.config.Identity.Public(),
		Payload: message,
		Agreed:  !anybody && a.contact.Agreed(a.config.Host.Now()),
	}, func(err error) { self.Tell(published{id, since, err}) })
}

// published notes that the transport has taken a message, or has not: then a
// sweep publishes it again. When it has taken all that were published again at a time,
// the next go out at once.
func (a *Actor) published(m published) {
	u, waits := a.unaccepted[m.id]
	if u.again {
		u.again = false
		a.outage.underway--
		if m.err == nil && a.outage.underway == 0 && !a.outage.failed {
			defer a.republish()
		}
	}
	if m.err != nil {
		a.config.Counters.NotTaken.Add(1)
		a.outage.refused(a.peer)
		if waits {
			u.refused = true
			a.unaccepted[m.id] = u
		}
		return
	}
	if !m.since.IsZero() {
		a.config.Host.Timed(Sending, Published, time.Since(m.since))
	}
	a.config.Counters.Taken.Add(1)
	a.outage.passed()
	delete(a.unaccepted, m.id)
	a.taken(m.id)
	a.accepted = append(a.accepted, m.id)
	if len(a.accepted) == together {
		a.dropAccepted()
	}
}

// dropAccepted drops from the outbox what the transport has taken by now.
func (a *Actor) dropAccepted() {
	if len(a.accepted) == 0 {
		return
	}
	for _, id := range a.accepted {
		a.gather(persistence.Record{Name: OutboxName(a.config.Owner, a.peer, id), Delete: true})
	}
	a.accepted = a.accepted[:0]
	a.prepared = append(a.prepared, recordsAlone)
}

// KeepUnsent is how long messages are kept by default that no network takes: as long as
// deployed networks keep those that they have taken.
const KeepUnsent = 30 * 24 * time.Hour
