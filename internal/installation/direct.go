package installation

import (
	"context"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// DirectMessage is a message that was made and not published.
type DirectMessage struct {
	ID      deviceactor.MessageID
	Message []byte // encoded ProtocolMessage
	// Installations are those it was encrypted for.
	Installations []string
	// Failed are those it could not be encrypted for.
	Failed []deviceactor.InstallationError
}

// Direct makes a message for a contact which the caller carries (docs/adr/0016).
// It commits only when a block of message numbers is used up, or has ended
// because something that it rests on has changed; then it reserves size more. An
// installation of the contact has to be known: deviceactor.ErrNoTarget.
// deviceactor.ErrLeaseOver if the clock contradicts our own bundle.
func (i *Installation) Direct(ctx context.Context, to x3dh.IdentityPublicKey, payload []byte, size uint32, now int64) (DirectMessage, error) {
	c, err := i.contact(ctx, to)
	if err != nil {
		return DirectMessage{}, err
	}
	c.leases.Follow(&c.Contact, i.config.View, now)
	for range 2 {
		if l := c.lease; l != nil {
			id, message, _, err := l.Encrypt(payload, now)
			if err == nil {
				return DirectMessage{id, message, l.Installations, l.Failed}, nil
			}
		}
		if c, err = i.reserve(ctx, to, size, now); err != nil {
			return DirectMessage{}, err
		}
	}
	return DirectMessage{}, deviceactor.ErrLeaseOver
}

// reserve makes a block for each installation of the contact durable, in one
// batch.
func (i *Installation) reserve(ctx context.Context, to x3dh.IdentityPublicKey, size uint32, now int64) (*contact, error) {
	bundle, err := i.published(ctx, bundleactor.Asked, now)
	if err != nil {
		return nil, err
	}
	c, err := i.contact(ctx, to)
	if err != nil {
		return nil, err
	}
	own, err := i.contact(ctx, i.config.View.Own)
	if err != nil {
		return nil, err
	}
	lease, err := c.Lease(i.config.View, bundle, own.AnyEnabled(), i.config.Random, now)
	if err != nil {
		return nil, err
	}
	var s step
	entry := deviceactor.EntryOf(&bundle.Bundle, i.config.View.Installation)
	for n, target := range lease.Targets() {
		reservation, err := i.reserveFor(ctx, &s, c, target, entry, size, now)
		lease.Reserved(n, reservation, err)
	}
	next, effects, err := c.Grant(i.config.View, lease, now)
	if err == nil {
		i.takeContact(&s, c, next, effects)
		err = i.commit(ctx, &s)
	}
	if err != nil {
		lease.End()
		return nil, err
	}
	c.leases.Add(lease)
	c.lease = lease
	return c, nil
}

// reserveFor adds the block of one installation.
func (i *Installation) reserveFor(ctx context.Context, s *step, c *contact, target deviceactor.Installation, own sessionactor.Entry, size uint32, now int64) (sessionactor.Reservation, error) {
	sessions, err := i.sessions(ctx, c, target.ID)
	if err != nil {
		return sessionactor.Reservation{}, err
	}
	out := sessionactor.Outgoing{Entry: target.Entry, Own: own}
	next, change, reservation, err := sessions.Reserve(i.config.Key, i.place(c, target.ID).Ends, out, size, now, i.config.Random)
	if err != nil {
		return sessionactor.Reservation{}, err
	}
	i.takeSessions(s, c, target.ID, sessions, next, change)
	return reservation, nil
}

// endLeases gives up all blocks: our bundle has changed, or what is in memory is
// not to be trusted.
func (i *Installation) endLeases() {
	for _, c := range i.contacts {
		c.leases.End()
	}
}
