package rookery

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
)

// A new installation comes into the store in one batch: its record, its first signed
// prekey and the bundle with it. So there is none of them without the others, wherever
// the process is killed.

// begin keeps others from creating the same installation. Close waits until it is over.
func (e *Engine) begin(i *Identity) (over func(), err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrClosed
	}
	if e.identities[i.owner] != nil || e.creating[i.owner] {
		return nil, fmt.Errorf("%w: %v, installation %s", ErrIdentityExists, i.public, i.installation)
	}
	e.creating[i.owner] = true
	e.creations.Add(1)
	return func() {
		e.mu.Lock()
		delete(e.creating, i.owner)
		e.mu.Unlock()
		e.creations.Done()
	}, nil
}

// create makes a new installation durable and hosts it. After an error the store has
// nothing of it, unless it had before: another engine on it may have hosted it since.
func (i *Identity) create(ctx context.Context) error {
	own, err := i.record()
	if err != nil {
		return err
	}
	_, err = i.engine.store.Get(ctx, own.Name)
	unknown := errors.Is(err, persistence.ErrNotFound)
	if err != nil && !unknown {
		return err
	}
	if err := i.found(ctx, own, unknown); err != nil {
		if unknown && !errors.Is(err, persistence.ErrFenced) {
			_ = i.engine.erase(context.WithoutCancel(ctx), i.owner) // it may be there all the same
		}
		return err
	}
	err = i.host(ctx)
	if err != nil && unknown {
		err = errors.Join(err, i.engine.erase(context.WithoutCancel(ctx), i.owner))
	}
	return err
}

// record is what makes the identity one that the store hosts.
func (i *Identity) record() (persistence.Record, error) {
	value, err := proto.Marshal(&record.Identity{
		IdentityKey:    i.key.Scalar(),
		PublicKey:      i.public[:],
		InstallationId: i.installation,
		Created:        i.now(),
		Name:           i.name,
	})
	if err != nil {
		return persistence.Record{}, fmt.Errorf("rookery: encode identity: %w", err)
	}
	return persistence.Record{Name: persistence.NewName(persistence.KindIdentity, i.owner[:]), Value: value}, nil
}

// found writes what the store is to have of an installation, which nobody uses yet.
func (i *Identity) found(ctx context.Context, own persistence.Record, unknown bool) error {
	e := i.engine
	if err := i.own(ctx); err != nil {
		return err
	}
	records := []persistence.Record{own}
	if unknown {
		keys, err := bundleactor.Load(ctx, e.store, i.owner)
		if err != nil {
			return err
		}
		by := bundleactor.Installation{Identity: i.key, ID: i.installation, Schedule: e.options.Schedule}
		next, change, err := keys.Renew(by, nil, bundleactor.Asked, i.now(), e.keys)
		if err != nil {
			return err
		}
		first, err := next.Records(i.owner, change)
		if err != nil {
			return err
		}
		records = append(records, first...)
	}
	return e.store.Apply(ctx, persistence.Batch{Fences: []persistence.Fence{i.fence()}, Records: records})
}

// own takes ownership, so that nobody who had the identity before can write any more,
// and looks once who has messages in the outbox.
func (i *Identity) own(ctx context.Context) error {
	store := i.engine.store
	epoch, err := store.Own(ctx, i.owner)
	if err != nil {
		return err
	}
	var contacts []PublicKey
	err = store.Scan(ctx, persistence.NewName(persistence.KindOutbox, i.owner[:]), func(_ persistence.Name, value []byte) error {
		m, err := deviceactor.DecodeOutgoing(value)
		contacts = append(contacts, m.Recipient)
		return err
	})
	if err != nil {
		return err
	}
	i.kept.outboxes.Know(contacts)
	i.epoch = epoch
	return nil
}

// host lets a new installation receive. It wakes: its contact code is published with the
// next sweep. After an error nothing of it is in memory.
func (i *Identity) host(ctx context.Context) error {
	err := i.engine.add(i)
	if err != nil {
		return err
	}
	if _, err = i.published(ctx); err == nil {
		err = i.subscribe(nil)
	}
	if err != nil {
		_ = i.end(ctx) // goes on if ctx has ended
		i.left()
		i.engine.remove(i)
	}
	return err
}
