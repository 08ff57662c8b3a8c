package deviceactor

import (
	"context"
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
)

// The contact that is our own identity turns the copies that other contacts
// have left into messages to our other installations.

// loadCopies finds the copies that were not made yet; the next sweep makes them.
func (a *Actor) loadCopies() error {
	a.copies = make(map[MessageID]bool)
	if !a.own() {
		return nil
	}
	return a.config.Reader.Scan(context.Background(), Copies(a.config.Owner), func(name persistence.Name, _ []byte) error {
		parts, err := name.Parts()
		if err != nil || len(parts[len(parts)-1]) != len(MessageID{}) {
			return fmt.Errorf("%w: %w: copy %v", actors.ErrCorruptState, ErrCorrupt, name)
		}
		a.copies[MessageID(parts[len(parts)-1])] = false
		return nil
	})
}

func (a *Actor) remakeCopies() {
	n := 0
	for id, making := range a.copies {
		if n == republished || len(a.unaccepted) >= maxUnaccepted {
			return
		}
		if !making {
			a.makeCopy(id)
			n++
		}
	}
}

// makeCopy sends one copy. Its record goes with the commit of the message.
func (a *Actor) makeCopy(id MessageID) {
	if a.copies[id] {
		return
	}
	value, err := a.config.Reader.Get(context.Background(), CopyName(a.config.Owner, id))
	if err != nil {
		// Gone: it was made. Unreadable: the next sweep tries again.
		if delete(a.copies, id); !errors.Is(err, persistence.ErrNotFound) {
			a.copies[id] = false
		}
		return
	}
	a.copies[id] = true
	self := a.self
	a.send(Send{
		Payload: value,
		copyOf:  &id,
		Reply:   actors.ReplyFunc(func(_ Receipt, err error) { self.Tell(copied{a, id, err}) }),
	})
}

// copied drops a copy that nobody can be given; after any other failure, of a
// session that could not be read too, it is tried again with a later sweep.
func (a *Actor) copied(m copied) {
	switch {
	case m.by != a: // this incarnation has found in the store what is left to do
	case m.err == nil:
		delete(a.copies, m.id)
	case errors.Is(m.err, ErrNoTarget) && !Unhandled(m.err):
		delete(a.copies, m.id)
		w := new(work)
		w.task = &errand{begin: func() error {
			a.write(persistence.Record{Name: CopyName(a.config.Owner, m.id), Delete: true})
			w.events = append(w.events, Alarm{a.peer, "", fmt.Errorf("%w: %w", ErrCopyLost, m.err)})
			return nil
		}}
		a.enqueue(w)
	default:
		a.copies[m.id] = false
	}
}
