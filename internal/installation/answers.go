package installation

import (
	"context"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/x3dh"
)

// Enable approves an installation of a contact or of our own identity, or stops
// sending to one. deviceactor.ErrUnknownInstallation if it is not known,
// deviceactor.ErrTooManyInstallations if no more of ours can be approved.
func (i *Installation) Enable(ctx context.Context, peer x3dh.IdentityPublicKey, installation string, enabled bool, now int64) error {
	return i.change(ctx, peer, func(c deviceactor.Contact) (deviceactor.Contact, deviceactor.Effects, error) {
		return c.Enable(i.config.View, installation, enabled, now)
	})
}

// Accept answers the request of a contact; deviceactor.ErrNoRequest if there is
// none.
func (i *Installation) Accept(ctx context.Context, peer x3dh.IdentityPublicKey, now int64) error {
	return i.change(ctx, peer, func(c deviceactor.Contact) (deviceactor.Contact, deviceactor.Effects, error) {
		if c.Standing != deviceactor.Requested {
			return c, deviceactor.Effects{}, deviceactor.ErrNoRequest
		}
		next, e := c.Accept(now)
		return next, e, nil
	})
}

// Deny forgets everything of a contact: its request, its sessions, and what
// waits in inbox and outbox. deviceactor.ErrNoRequest if nothing is known of it.
func (i *Installation) Deny(ctx context.Context, peer x3dh.IdentityPublicKey) error {
	c, err := i.contact(ctx, peer)
	if err != nil {
		return err
	}
	if peer == i.config.View.Own || c.FirstSeen == 0 {
		return deviceactor.ErrNoRequest
	}
	var s step
	for n := range c.Installations {
		id := c.Installations[n].ID
		sessions, err := i.sessions(ctx, c, id)
		if err != nil {
			return err
		}
		next, change := sessions.Delete()
		i.takeSessions(&s, c, id, sessions, next, change)
	}
	forgotten, err := deviceactor.Forget(ctx, i.config.Store, i.owner, &c.Contact)
	if err != nil {
		return unavailable(err)
	}
	s.records = append(s.records, forgotten...)
	s.keep = append(s.keep, func() {
		c.leases.End()
		c.Contact = deviceactor.Contact{Identity: peer}
	})
	return i.commit(ctx, &s)
}

// change takes one step of a contact that asks nobody.
func (i *Installation) change(ctx context.Context, peer x3dh.IdentityPublicKey, of func(deviceactor.Contact) (deviceactor.Contact, deviceactor.Effects, error)) error {
	c, err := i.contact(ctx, peer)
	if err != nil {
		return err
	}
	next, effects, err := of(c.Contact)
	if err != nil {
		return err
	}
	var s step
	i.takeContact(&s, c, next, effects)
	return i.commit(ctx, &s)
}

// Ack takes a message that the application has dealt with out of the inbox.
func (i *Installation) Ack(ctx context.Context, m deviceactor.MessageReceived) error {
	name := deviceactor.InboxName(i.owner, m.Sender, m.ID)
	return i.commit(ctx, &step{records: []persistence.Record{{Name: name, Delete: true}}})
}
