package installation

import (
	"context"
	"fmt"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/sessionactor"
)

// step gathers what one operation changes, so that all of it becomes durable in
// one batch before any of it is kept or shown.
type step struct {
	records []persistence.Record
	keep    []func()
	events  []deviceactor.Event
}

// commit makes a step durable, keeps it and reports its events. If the store
// fails nothing has happened as far as anybody knows, and what is in memory is
// read again: the batch may be in the store or not.
func (i *Installation) commit(ctx context.Context, s *step) error {
	if len(s.records) > 0 {
		persistence.Encode(s.records)
		batch := persistence.Batch{Fences: []persistence.Fence{i.fence}, Records: s.records}
		if err := i.config.Store.Apply(ctx, batch); err != nil {
			i.forget()
			return fmt.Errorf("installation: %w: %w", deviceactor.ErrNotDurable, err)
		}
	}
	for _, keep := range s.keep {
		keep()
	}
	for _, e := range s.events {
		i.config.Deliver(e)
	}
	return nil
}

// takeContact adds the next state of a contact.
func (i *Installation) takeContact(s *step, c *contact, next deviceactor.Contact, e deviceactor.Effects) {
	s.records = append(s.records, e.Records(i.owner, &next)...)
	s.events = append(s.events, e.Events...)
	s.keep = append(s.keep, func() { c.Contact = next })
}

// takeSessions adds the next state of the sessions with an installation.
func (i *Installation) takeSessions(s *step, c *contact, installation string, before *sessionactor.Sessions, next sessionactor.Sessions, change sessionactor.Change) {
	s.records = append(s.records, i.place(c, installation).Records(change, before)...)
	for _, t := range change.Transitions {
		s.events = append(s.events, deviceactor.SessionChanged{Identity: c.Identity, Installation: installation, Transition: t})
	}
	s.keep = append(s.keep, func() {
		c.leases.Changed(change.Transitions, nil)
		next.Apply(change)
		c.sessions[installation] = &next
	})
}
