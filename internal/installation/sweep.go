package installation

import (
	"context"
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/x3dh"
)

// Sweep does what the passing of time asks for: our prekeys and our contact
// code, sessions and installations that have expired, and what an earlier
// failure has left undone. It goes on after an error and reports all of them.
func (i *Installation) Sweep(ctx context.Context, now int64) error {
	peers, err := i.peers(ctx)
	errs := []error{err, i.announce(ctx, now), i.republish(ctx, now), i.remakeCopies(ctx, now)}
	for _, peer := range peers {
		errs = append(errs, i.expire(ctx, peer, now))
	}
	return errors.Join(errs...)
}

// expire deletes the old sessions with a contact, and notes which of its
// installations have become stale.
func (i *Installation) expire(ctx context.Context, peer x3dh.IdentityPublicKey, now int64) error {
	keys, err := i.keys(ctx)
	if err != nil {
		return err
	}
	c, err := i.contact(ctx, peer)
	if err != nil {
		return err
	}
	var s step
	next, effects := c.Age(now)
	i.takeContact(&s, c, next, effects)
	for n := range c.Installations {
		id := c.Installations[n].ID
		sessions, err := i.sessions(ctx, c, id)
		if err != nil {
			return err
		}
		next, change := sessions.Sweep(keys.Keys.Usable(), now)
		i.takeSessions(&s, c, id, sessions, next, change)
	}
	return i.commit(ctx, &s)
}

// peers are the identities that something is known of.
func (i *Installation) peers(ctx context.Context) ([]x3dh.IdentityPublicKey, error) {
	var out []x3dh.IdentityPublicKey
	err := i.config.Store.Scan(ctx, persistence.NewName(persistence.KindContact, i.owner[:]), func(name persistence.Name, _ []byte) error {
		peer, err := lastPart(name, x3dh.PublicKeySize)
		if err != nil {
			return err
		}
		out = append(out, x3dh.IdentityPublicKey(peer))
		return nil
	})
	if err != nil {
		return nil, unavailable(err)
	}
	return out, nil
}

// republish publishes what stands in the outbox.
func (i *Installation) republish(ctx context.Context, _ int64) error {
	var left []deviceactor.Outgoing
	err := i.config.Store.Scan(ctx, persistence.NewName(persistence.KindOutbox, i.owner[:]), func(_ persistence.Name, value []byte) error {
		o, err := deviceactor.DecodeOutgoing(value)
		left = append(left, o)
		return err
	})
	if err != nil {
		return unavailable(err)
	}
	for _, o := range left {
		if err := i.transmit(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// report delivers what stands in the inbox.
func (i *Installation) report(ctx context.Context, _ int64) error {
	err := i.config.Store.Scan(ctx, persistence.NewName(persistence.KindInbox, i.owner[:]), func(_ persistence.Name, value []byte) error {
		m, err := deviceactor.DecodeReceived(value)
		if err == nil {
			i.config.Deliver(m)
		}
		return err
	})
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// remakeCopies makes the copies that our own other installations have not got.
func (i *Installation) remakeCopies(ctx context.Context, now int64) error {
	var left []deviceactor.MessageID
	err := i.config.Store.Scan(ctx, deviceactor.Copies(i.owner), func(name persistence.Name, _ []byte) error {
		id, err := lastPart(name, len(deviceactor.MessageID{}))
		if err != nil {
			return err
		}
		left = append(left, deviceactor.MessageID(id))
		return nil
	})
	if err != nil {
		return unavailable(err)
	}
	for _, id := range left {
		if err := i.makeCopy(ctx, id, now); err != nil {
			return err
		}
	}
	return nil
}

// lastPart is the part of a record's name that names it among its siblings.
func lastPart(name persistence.Name, size int) ([]byte, error) {
	parts, err := name.Parts()
	if err == nil && len(parts[len(parts)-1]) != size {
		err = persistence.ErrCorrupt
	}
	if err != nil {
		return nil, fmt.Errorf("installation: record %v: %w", name, err)
	}
	return parts[len(parts)-1], nil
}
