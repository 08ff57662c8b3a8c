package rookery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
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
	looking  bool
	done     []messageKey // acknowledged, to be committed together
	since    time.Time    // of the first of them
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
	// unreported is a message from before the engine was opened.
	unreported struct{ message messageKey }
	// repeated: a message was refused since it was read before.
	repeated struct{}
	// forgetReported: the messages of a contact are out of the store.
	forgetReported struct{ sender PublicKey }
	// looked says that what was found is durable.
	looked struct {
		by      *inbox // the incarnation that has looked
		unknown []messageKey
		err     error
	}
	landed       struct{ message messageKey }
	acknowledged struct {
		by       *inbox // the incarnation that committed it
		messages []messageKey
		err      error
	}
)

var (
	_ actors.Actor    = (*inbox)(nil)
	_ actors.Drainer  = (*inbox)(nil)
	_ actors.Idler    = (*inbox)(nil)
	_ actors.Restless = (*inbox)(nil)
	_ actors.Closer   = (*inbox)(nil)
)

// Start implements actors.Actor.
func (b *inbox) Start(ctx *actors.Context) error {
	b.self = ctx.Self()
	b.stream.Resume()
	return nil
}

// Drained implements actors.Drainer.
func (b *inbox) Drained() bool { return b.inFlight == 0 && len(b.done) == 0 }

// Restless implements actors.Restless: what a full disk holds up, what is remembered for
// some sweeps, and what the store has to be looked through for.
func (b *inbox) Restless() bool {
	i := b.identity
	return i.unsure || len(b.done)+len(i.undone)+len(i.lingering) > 0
}

// Idle implements actors.Idler: what was acknowledged at the same time leaves
// the store together.
func (b *inbox) Idle() { b.dropDone() }

// Close implements actors.Closer: what was acknowledged before the handler
// panicked stays so, also what a full disk holds up.
func (b *inbox) Close() {
	i := b.identity
	b.done, i.undone = append(b.done, i.undone...), nil
	b.drop(true)
	i.kept.inbox.Store(i.unsure)
}

// Receive implements actors.Actor.
func (b *inbox) Receive(_ *actors.Context, message any) error {
	if len(b.done) > 0 && time.Since(b.since) > gatherFor {
		b.dropDone()
	}
	switch m := message.(type) {
	case Event:
		b.identity.unhandled.Add(-1)
		b.identity.unhandledBytes.Add(-payloadSize(m))
		b.report(m)
	case unreported:
		b.identity.unhandled.Add(-1)
		return b.reportStored(m.message)
	case repeated:
		if b.identity.engine.handler != nil && b.identity.engine.committer.Counts().Refused > 0 {
			b.identity.unsure = true
		}
	case forgetReported:
		maps.DeleteFunc(b.identity.reported, func(key messageKey, _ bool) bool { return key.sender == m.sender })
		b.identity.tidy()
		maps.DeleteFunc(b.identity.lingering, func(key messageKey, _ int) bool { return key.sender == m.sender })
	case acknowledge:
		if len(b.done) == 0 {
			b.since = time.Now()
		}
		b.done = append(b.done, m.message)
	case *acknowledged:
		if m.by == b {
			b.inFlight--
		}
		b.settle(m)
	case looked:
		b.looked(m)
	case landed:
		return b.landed(m.message)
	case actors.Sweep:
		b.linger()
		if b.identity.unsure && !b.looking {
			if err := b.look(); err != nil {
				return err
			}
		}
		b.done, b.identity.undone = append(b.done, b.identity.undone...), nil
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
		b.identity.remember(m.key(), true)
	}
	b.identity.working.Add(1)
	defer b.identity.working.Add(-1)
	seen := b.identity.engine.handler(e)
	if u, ok := e.(Unsent); ok && seen {
		b.identity.discard(u.Contact, deviceactor.MessageID(u.ID))
	}
}

// A commit that fails may be in the store all the same, and with it messages that
// were never reported. Their sender's network delivers them again, and they are
// refused as repeated. From then on the store is looked through with the next
// sweep for messages that the handler does not know of.

// look notes what the store has and the handler does not know of, and makes sure
// that it is durable: what was visible before a commit is so after it.
func (b *inbox) look() error {
	i := b.identity
	i.unsure = false
	var unknown []messageKey
	place := persistence.NewName(persistence.KindInbox, i.owner[:])
	err := i.engine.committer.ScanSettled(context.Background(), place, func(_ persistence.Name, value []byte) error {
		m, err := deviceactor.DecodeReceived(value)
		if err != nil {
			return fmt.Errorf("%w: %w", actors.ErrCorruptState, err)
		}
		key := messageKey{m.Sender, MessageID(m.ID)}
		if _, known := i.reported[key]; !known && m.Chat == "" {
			unknown = append(unknown, key)
		}
		return nil
	})
	switch {
	case errors.Is(err, actors.ErrCorruptState):
		return err
	case err != nil:
		i.unsure = true // the next sweep tries again
	case len(unknown) > 0:
		b.looking = true
		b.inFlight++
		nobody := persistence.Record{Name: i.inboxName(messageKey{}), Delete: true}
		b.stream.Commit([]persistence.Record{nobody}, func(err error) { b.self.Tell(looked{b, unknown, err}) })
	}
	return nil
}

func (b *inbox) looked(m looked) {
	if m.by == b {
		b.inFlight--
		b.looking = false
	}
	if m.err != nil {
		b.stream.Resume()
		b.identity.unsure = true
		return
	}
	for _, key := range m.unknown { // one by one: the handler may panic
		b.self.Tell(landed{key})
	}
}

// landed reports a message that was found, unless its event or its end has come
// meanwhile. It is remembered for a while even after it is acknowledged, since the
// event may still be under way.
func (b *inbox) landed(key messageKey) error {
	i := b.identity
	if _, known := i.reported[key]; known {
		return nil
	}
	e, err := b.stored(key)
	if err != nil || e == nil {
		return err
	}
	if i.lingering == nil {
		i.lingering = make(map[messageKey]int)
	}
	i.lingering[key] = notGone
	b.report(e)
	return nil
}

// reportStored reports a message of which only the name was kept till its turn.
func (b *inbox) reportStored(key messageKey) error {
	e, err := b.stored(key)
	if err != nil || e == nil {
		b.forget(key) // what the store still has a sweep finds
		return err
	}
	b.report(e)
	return nil
}

// stored reads a message that is to be reported: nil if it is gone, or cannot be read now,
// and then the store is looked through again.
func (b *inbox) stored(key messageKey) (Event, error) {
	i := b.identity
	value, err := i.engine.committer.Get(context.Background(), i.inboxName(key))
	if err != nil {
		i.unsure = i.unsure || !errors.Is(err, persistence.ErrNotFound)
		return nil, nil //nolint:nilnil // there is none
	}
	m, err := deviceactor.DecodeReceived(value)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", actors.ErrCorruptState, err)
	}
	return i.event(m), nil
}

const (
	// notGone: it is still in the store.
	notGone = -1
	// lingerFor is for how many sweeps a message that was found is remembered
	// after it is out of the store.
	lingerFor = 2
)

// forget drops what is remembered of a message that is out of the store.
func (b *inbox) forget(key messageKey) {
	if _, lingers := b.identity.lingering[key]; lingers {
		b.identity.lingering[key] = lingerFor
		return
	}
	delete(b.identity.reported, key)
	b.identity.tidy()
}

func (b *inbox) linger() {
	i := b.identity
	for key, sweeps := range i.lingering {
		switch {
		case sweeps == notGone:
		case sweeps > 1:
			i.lingering[key] = sweeps - 1
		default:
			delete(i.lingering, key)
			delete(i.reported, key)
		}
	}
	i.tidy()
}

// settle forgets what is out of the store, and keeps what a full disk holds up
// for later. What is lost otherwise is reported once more after the next start.
func (b *inbox) settle(m *acknowledged) {
	if m.err != nil {
		b.stream.Resume()
		if noRoom(m.err) {
			b.identity.undone = append(b.identity.undone, m.messages...)
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
func (b *inbox) dropDone() { b.drop(false) }

// drop is dropDone; at the end the outcome goes to who comes next.
func (b *inbox) drop(end bool) {
	if len(b.done) == 0 {
		return
	}
	m := &acknowledged{by: b, messages: b.done}
	b.done = nil
	b.inFlight++
	var few [4]persistence.Record
	records := few[:0]
	for _, message := range m.messages {
		records = append(records, persistence.Record{Name: b.identity.inboxName(message), Delete: true})
	}
	b.stream.CommitLater(records, func(err error) {
		m.err = err
		if end {
			m.by.identity.actor.Wake(m)
		} else {
			m.by.self.Tell(m)
		}
	})
}

// reportedRoom are empty maps for Identity.reported, shared by all: most identities have
// nothing there most of the time.
var reportedRoom = sync.Pool{New: func() any { return make(map[messageKey]bool) }}

// fewReported is how many a map has had at most that is used again: it keeps its room.
const fewReported = 8

// remember notes a message that the store has, and whether the handler knows of it.
func (i *Identity) remember(key messageKey, told bool) {
	if i.reported == nil {
		i.reported = reportedRoom.Get().(map[messageKey]bool) //nolint:forcetypeassert // nothing else is put there
	}
	i.reported[key] = told
	i.crowded = i.crowded || len(i.reported) > fewReported
}

// tidy gives the room for reported messages back if there are none.
func (i *Identity) tidy() {
	if i.reported == nil || len(i.reported) > 0 {
		return
	}
	if !i.crowded {
		reportedRoom.Put(i.reported)
	}
	i.reported, i.crowded = nil, false
}

func (i *Identity) inboxName(m messageKey) persistence.Name {
	return deviceactor.InboxName(i.owner, m.sender, deviceactor.MessageID(m.id))
}

// handle passes an event to the handler's queue.
func (i *Identity) handle(e Event) {
	if i.engine.handler == nil {
		return
	}
	i.unhandled.Add(1)
	i.unhandledBytes.Add(payloadSize(e))
	i.actor.Tell(toHandler{e})
}

// discard drops a message from the outbox that no network has taken.
func (i *Identity) discard(contact PublicKey, id deviceactor.MessageID) {
	i.actor.Tell(toContact{contact, deviceactor.Discard{ID: id}})
}

func (i *Identity) ack(m Message) {
	i.actor.Tell(acknowledge{m.key()})
}
