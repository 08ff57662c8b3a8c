package rookery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
)

// inbox calls the handler with the events of one identity, one after the
// other, and takes acknowledged messages out of the store. A handler that
// blocks holds up this actor and nobody else.
type inbox struct {
	identity *Identity
	stream   *persistence.Stream
	self     actors.Ref
	inFlight int
	done     []messageKey // acknowledged, to be committed together
	since    time.Time    // of the first of them
	undone   []messageKey // acknowledged, but the disk was full
}

// gatherFor is how long acknowledgements may wait for others while there are
// events to handle.
const gatherFor = 5 * time.Millisecond

// messageKey names a received message of one identity.
type messageKey struct {
	sender PublicKey
	id     MessageID
}

type (
	acknowledge struct{ message messageKey }
	reportAgain struct{ message messageKey }
	// forgetReported: the messages of a contact are out of the store.
	forgetReported struct{ sender PublicKey }
	// landed are messages of the store that the handler may not know of.
	landed struct {
		by     *inbox // the incarnation that committed them
		looked messageKey
		found  []deviceactor.MessageReceived
		err    error
	}
	acknowledged struct {
		by       *inbox // the incarnation that committed it
		messages []messageKey
		err      error
	}
)

var (
	_ actors.Actor   = (*inbox)(nil)
	_ actors.Drainer = (*inbox)(nil)
	_ actors.Idler   = (*inbox)(nil)
	_ actors.Closer  = (*inbox)(nil)
)

// Start implements actors.Actor.
func (b *inbox) Start(ctx *actors.Context) error {
	b.self = ctx.Self()
	b.stream.Resume()
	return nil
}

// Drained implements actors.Drainer.
func (b *inbox) Drained() bool { return b.inFlight == 0 && len(b.done) == 0 }

// Idle implements actors.Idler: what was acknowledged at the same time leaves
// the store together.
func (b *inbox) Idle() { b.dropDone() }

// Close implements actors.Closer: what was acknowledged before the handler
// panicked stays so, also what a full disk holds up.
func (b *inbox) Close() {
	b.done, b.undone = append(b.done, b.undone...), nil
	b.dropDone()
}

// Receive implements actors.Actor.
func (b *inbox) Receive(_ *actors.Context, message any) error {
	if len(b.done) > 0 && time.Since(b.since) > gatherFor {
		b.dropDone()
	}
	switch m := message.(type) {
	case Event:
		b.identity.unhandled.Add(-1)
		b.report(m)
	case reportAgain:
		return b.reportAgain(m.message)
	case forgetReported:
		of := func(message messageKey, _ bool) bool { return message.sender == m.sender }
		maps.DeleteFunc(b.identity.reported, of)
		maps.DeleteFunc(b.identity.unsure, of)
	case acknowledge:
		if len(b.done) == 0 {
			b.since = time.Now()
		}
		b.done = append(b.done, m.message)
	case acknowledged:
		if m.by == b {
			b.inFlight--
		}
		b.settle(m)
	case landed:
		if m.by == b {
			b.inFlight--
		}
		b.landed(m)
	case actors.Sweep:
		b.linger()
		for message := range b.identity.unsure {
			if err := b.reportAgain(message); err != nil {
				return err
			}
		}
		b.done, b.undone = append(b.done, b.undone...), nil
		b.dropDone()
	}
	return nil
}

// report calls the handler, but not a second time for one message. Of a public
// one nothing tells whether it was said twice.
func (b *inbox) report(e Event) {
	_, public := e.(PublicMessage)
	if m, ok := e.(interface{ key() messageKey }); ok && !public {
		if b.identity.reported[m.key()] {
			return
		}
		b.identity.reported[m.key()] = true
	}
	b.identity.engine.options.Handler(e)
}

// reportAgain looks for a message that came a second time, whose first coming may
// be in the store without having been reported: when a commit fails, its records
// may be there all the same. A copy has the id of what it is a copy of, which only
// the refused message itself could tell: of those, all that are there are looked
// at.
//
// What is found may not be durable yet. It is written once more, and then it is.
// Until that has worked it is tried again with every sweep.
func (b *inbox) reportAgain(message messageKey) error {
	i := b.identity
	if i.engine.options.Handler == nil || i.engine.committer.Counts().Refused == 0 {
		return nil
	}
	place := i.inboxName(message)
	if message.sender == i.public {
		place = persistence.NewName(persistence.KindInbox, i.owner[:], i.public[:])
	}
	var found []deviceactor.MessageReceived
	var records []persistence.Record
	err := i.engine.committer.Scan(context.Background(), place, func(name persistence.Name, value []byte) error {
		m, err := deviceactor.DecodeReceived(value)
		if err != nil {
			return fmt.Errorf("%w: %w", actors.ErrCorruptState, err)
		}
		if _, known := i.reported[messageKey{m.Sender, MessageID(m.ID)}]; !known {
			found, records = append(found, m), append(records, persistence.Record{Name: name, Value: bytes.Clone(value)})
		}
		return nil
	})
	switch {
	case errors.Is(err, actors.ErrCorruptState):
		return err
	case err != nil:
		i.unsure[message] = true
	case len(found) == 0:
		delete(i.unsure, message)
	default:
		i.unsure[message] = true
		b.inFlight++
		b.stream.Commit(records, func(err error) { b.self.Tell(landed{b, message, found, err}) })
	}
	return nil
}

// landed reports what was found. That it was, is remembered for a while even after
// it is acknowledged: the event of its first coming may still be under way.
func (b *inbox) landed(m landed) {
	if m.err != nil {
		b.stream.Resume()
		return
	}
	delete(b.identity.unsure, m.looked)
	for _, received := range m.found {
		key := messageKey{received.Sender, MessageID(received.ID)}
		if _, known := b.identity.reported[key]; !known {
			b.identity.lingering[key] = 2
		}
		b.report(b.identity.event(received))
	}
}

// forget drops what is remembered of a message that is out of the store.
func (b *inbox) forget(message messageKey) {
	if b.identity.lingering[message] == 0 {
		delete(b.identity.reported, message)
	}
}

// linger ends the while for what was acknowledged and reported two sweeps ago.
func (b *inbox) linger() {
	i := b.identity
	for message, sweeps := range i.lingering {
		if i.lingering[message]--; sweeps > 1 {
			continue
		}
		delete(i.lingering, message)
		if _, err := i.engine.committer.Get(context.Background(), i.inboxName(message)); errors.Is(err, persistence.ErrNotFound) {
			delete(i.reported, message)
		}
	}
}

// settle forgets what is out of the store, and keeps what a full disk holds up
// for later. What is lost otherwise is reported once more after the next start.
func (b *inbox) settle(m acknowledged) {
	if m.err != nil {
		b.stream.Resume()
		if errors.Is(m.err, ErrStoreFull) {
			b.undone = append(b.undone, m.messages...)
		}
		return
	}
	b.identity.engine.acknowledged.Add(uint64(len(m.messages)))
	for _, message := range m.messages {
		b.forget(message)
	}
	if b.done == nil {
		b.done = m.messages[:0]
	}
}

// dropDone takes what was acknowledged by now out of the store.
func (b *inbox) dropDone() {
	if len(b.done) == 0 {
		return
	}
	done := b.done
	b.done = nil
	b.inFlight++
	records := make([]persistence.Record, len(done))
	for n, message := range done {
		records[n] = persistence.Record{Name: b.identity.inboxName(message), Delete: true}
	}
	b.stream.Commit(records, func(err error) { b.self.Tell(acknowledged{b, done, err}) })
}

func (i *Identity) inboxName(m messageKey) persistence.Name {
	return deviceactor.InboxName(i.owner, m.sender, deviceactor.MessageID(m.id))
}

// handle passes an event to the handler's queue.
func (i *Identity) handle(e Event) {
	if i.engine.options.Handler == nil {
		return
	}
	i.unhandled.Add(1)
	i.awake().Tell(toHandler{e})
}

func (i *Identity) ack(m Message) {
	i.awake().Tell(acknowledge{m.key()})
}

// leftOver is what an identity had not dealt with when its engine ended.
type leftOver struct {
	outbox []toContact
	inbox  []Event
	copies bool // for our own other installations
}

func (i *Identity) leftOver(ctx context.Context) (leftOver, error) {
	var left leftOver
	store := i.engine.store
	outbox := persistence.NewName(persistence.KindOutbox, i.owner[:])
	err := store.Scan(ctx, outbox, func(name persistence.Name, value []byte) error {
		o, err := deviceactor.DecodeOutgoing(value)
		if err != nil {
			return fmt.Errorf("rookery: %v: %w: %w", name, ErrStoreCorrupt, err)
		}
		left.outbox = append(left.outbox, toContact{o.Recipient, deviceactor.Republish{ID: o.ID}})
		return nil
	})
	if err != nil {
		return left, err
	}
	err = store.Scan(ctx, deviceactor.Copies(i.owner), func(persistence.Name, []byte) error {
		left.copies = true
		return nil
	})
	if err != nil || i.engine.options.Handler == nil {
		return left, err
	}
	received := persistence.NewName(persistence.KindInbox, i.owner[:])
	err = store.Scan(ctx, received, func(name persistence.Name, value []byte) error {
		m, err := deviceactor.DecodeReceived(value)
		if err != nil {
			return fmt.Errorf("rookery: %v: %w: %w", name, ErrStoreCorrupt, err)
		}
		i.reported[messageKey{m.Sender, MessageID(m.ID)}] = false
		left.inbox = append(left.inbox, i.event(m))
		return nil
	})
	return left, err
}

// resume publishes what was left in the outbox and reports what was left in
// the inbox.
func (i *Identity) resume(left leftOver) {
	for _, m := range left.outbox {
		i.awake().Tell(m)
	}
	if left.copies {
		i.awake().Tell(toContact{i.public, deviceactor.Wake{}})
	}
	for _, e := range left.inbox {
		i.handle(e)
	}
}
