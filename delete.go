package rookery

import (
	"context"
	"fmt"

	"github.com/rookery-im/rookery/persistence"
)

// owned are the kinds of records that belong to one hosted installation: it is the
// first part of their names. Its fence stays, which is a number and says nothing.
var owned = []persistence.Kind{
	persistence.KindIdentity,
	persistence.KindPrekey,
	persistence.KindContact,
	persistence.KindInstallation,
	persistence.KindSession,
	persistence.KindSkipped,
	persistence.KindOutbox,
	persistence.KindInbox,
	persistence.KindPublication,
	persistence.KindCopy,
	persistence.KindReceipt,
}

// DeleteIdentity ends the hosting of an installation and deletes all that the store
// has of it, in one batch: keys, contacts, sessions, what waits to be sent, and
// what was not acknowledged. With the last installation of an identity here goes what
// the transport keeps of it (transport.Transport, Forget). Nothing is sent to tell others, who go on writing to
// it until they hear no bundle of it any more; other installations of the identity
// stay, here and elsewhere. The keys can be recovered from the disk for as long as
// Options.ForgetWithin says. It cannot be undone, and the same installation id must
// never be used again.
//
// It waits for the handler, by which it must not be called; loops of Events may. From its call on
// everything that is asked of the installation gets ErrDeleted. If ctx ends first,
// or the store fails, that error is returned: the installation is then deleted as a
// whole or not at all, which shows with the next Open, and DeleteIdentity can be
// called again. ErrNotHosted if there is no such installation; ErrDeleted while
// another call is at it.
func (e *Engine) DeleteIdentity(ctx context.Context, key PublicKey, installation string) error {
	if err := e.accepting(); err != nil {
		return err
	}
	i, ok := e.Identity(key, installation)
	if !ok {
		return fmt.Errorf("%w: %v, installation %s", ErrNotHosted, key, installation)
	}
	if !i.deleting.CompareAndSwap(false, true) {
		return ErrDeleted
	}
	defer i.deleting.Store(false)
	i.deleted.Store(true)
	if e.offers != nil {
		e.offers.withdraw()
	}
	if err := i.end(ctx); err != nil {
		return err
	}
	// First what the transport keeps: of an identity that is still in the store it can
	// be asked for again.
	if err := e.options.Transport.Forget(ctx, i.public); err != nil {
		return err
	}
	if err := e.erase(ctx, i.owner); err != nil {
		return err
	}
	e.wipe([]*Identity{i})
	e.remove(i)
	return nil
}

// end stops all that is at work for the installation.
func (i *Identity) end(ctx context.Context) error {
	i.unsubscribe()
	if err := i.actor.End(ctx); err != nil {
		return err
	}
	i.engine.restless.remove(i)
	if err := lookedUp(ctx, []*Identity{i}); err != nil {
		return err
	}
	i.left()
	return nil
}

// erase deletes the records of an owner whom nobody works for any more. What may
// still be on its way to the store is refused by the new epoch.
func (e *Engine) erase(ctx context.Context, owner persistence.OwnerID) error {
	epoch, err := e.store.Own(ctx, owner)
	if err != nil {
		return err
	}
	batch := persistence.Batch{Fences: []persistence.Fence{{Owner: owner, Epoch: epoch}}}
	for _, kind := range owned {
		err := e.store.Scan(ctx, persistence.NewName(kind, owner[:]), func(name persistence.Name, _ []byte) error {
			batch.Records = append(batch.Records, persistence.Record{Name: name, Delete: true})
			return nil
		})
		if err != nil {
			return err
		}
	}
	return e.store.Apply(ctx, batch)
}

// accepting tells with ErrClosed or ErrDeleted that nothing can be asked of the
// installation any more, not even by the network.
func (i *Identity) accepting() error {
	if i.deleted.Load() {
		return ErrDeleted
	}
	return i.engine.accepting()
}
