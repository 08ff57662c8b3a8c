package rookery

import (
	"context"
	"fmt"

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
}

type (
	acknowledge  struct{ name persistence.Name }
	acknowledged struct {
		by  *inbox // the incarnation that committed it
		err error
	}
)

var (
	_ actors.Actor   = (*inbox)(nil)
	_ actors.Drainer = (*inbox)(nil)
)

// Start implements actors.Actor.
func (b *inbox) Start(ctx *actors.Context) error {
	b.self = ctx.Self()
	b.stream.Resume()
	return nil
}

// Drained implements actors.Drainer.
func (b *inbox) Drained() bool { return b.inFlight == 0 }

// Receive implements actors.Actor.
func (b *inbox) Receive(_ *actors.Context, message any) error {
	switch m := message.(type) {
	case Event:
		b.identity.unhandled.Add(-1)
		b.identity.engine.options.Handler(m)
	case acknowledge:
		b.inFlight++
		self := b.self
		b.stream.Commit([]persistence.Record{{Name: m.name, Delete: true}}, func(err error) { self.Tell(acknowledged{b, err}) })
	case acknowledged:
		if m.by != b {
			return nil // that incarnation ended with a handler that panicked
		}
		b.inFlight--
		if m.err != nil {
			// The message is reported once more after the next start.
			b.stream.Resume()
		}
	}
	return nil
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
	name := deviceactor.InboxName(i.owner, m.Sender, deviceactor.MessageID(m.ID))
	i.awake().Tell(acknowledge{name})
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
