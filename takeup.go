package rookery

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/x3dh"
)

// An engine that opens a store reads the identities in it, takes all of them over in
// one write, and looks once for what was left over of all of them. It wakes nobody
// who has nothing left over.

// completedAtOnce bounds how many records of identities are written in one batch.
const completedAtOnce = 4096

// takeUp finds the hosted identities and what they have left over. It reports
// those that were replaced now.
func (e *Engine) takeUp(ctx context.Context, replaced map[persistence.OwnerID]bool) error {
	var together cohort
	found, err := e.loadIdentities(ctx, &together)
	if err != nil {
		return err
	}
	if err := e.own(ctx, found); err != nil {
		return err
	}
	// The inbox is read before anything can be added to it, so that nothing is
	// reported twice. Nothing is published, by the outbox or by a handler, before
	// all listen: it may be for another identity of this very engine.
	left, err := e.leftOver(ctx)
	if err != nil {
		return err
	}
	for _, i := range found {
		i.know(left[i.owner])
		if err := i.subscribe(&together); err != nil {
			return err
		}
	}
	// From here on there is somebody who makes room.
	if err := e.startSweeper(); err != nil {
		return err
	}
	publishing := 0
	for _, i := range found {
		if replaced[i.owner] {
			i.handle(Replaced{Identity: i})
		}
		l := left[i.owner]
		if l == nil {
			continue
		}
		for _, key := range l.inbox {
			i.unhandled.Add(1)
			i.actor.Tell(unreported{key})
		}
		switch {
		case len(l.outbox) == 0:
		case publishing < backPerSweep:
			publishing++
			i.actor.Tell(rouse{})
		default:
			e.restless.add(i, true) // the next sweeps come to it
		}
	}
	return nil
}

// loadIdentities reads the identities of the store, and completes the records that an
// older version has written.
func (e *Engine) loadIdentities(ctx context.Context, together *cohort) ([]*Identity, error) {
	var found []*Identity
	var incomplete []persistence.Record
	err := e.store.Scan(ctx, persistence.NewName(persistence.KindIdentity), func(name persistence.Name, value []byte) error {
		r, owner, err := decodeIdentity(name, value)
		if err != nil {
			return err
		}
		i, err := e.identityOf(r, together)
		if err == nil && i.owner != owner {
			err = errors.New("of another owner than its name says")
		}
		if err != nil {
			return fmt.Errorf("rookery: %v: %w: %w", name, persistence.ErrCorrupt, err)
		}
		if len(r.GetPublicKey()) == 0 {
			r.PublicKey = i.public[:]
			complete, err := proto.Marshal(r)
			if err != nil {
				return fmt.Errorf("rookery: encode identity: %w", err)
			}
			incomplete = append(incomplete, persistence.Record{Name: name, Value: complete})
		}
		found = append(found, i)
		return nil
	})
	if err != nil {
		return nil, err
	}
	e.mu.Lock() // who measures may look already
	for _, i := range found {
		e.identities[i.owner] = i
	}
	e.mu.Unlock()
	for some := range slices.Chunk(incomplete, completedAtOnce) {
		if err := e.store.Apply(ctx, persistence.Batch{Records: some}); noRoom(err) {
			break // with the next Open
		} else if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// noRoom tells that the disk takes no writes at the moment: what is there can be read.
func noRoom(err error) bool {
	return errors.Is(err, persistence.ErrFull) || errors.Is(err, persistence.ErrReadOnly)
}

// own takes ownership of all of them, so that nobody who had one before can write any
// more. Where the disk takes no writes, each is taken when it wakes.
func (e *Engine) own(ctx context.Context, found []*Identity) error {
	if len(found) == 0 {
		return nil
	}
	owners := make([]persistence.OwnerID, len(found))
	for n, i := range found {
		owners[n] = i.owner
	}
	epochs, err := e.store.OwnAll(ctx, owners)
	if noRoom(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for n, i := range found {
		i.epoch = epochs[n]
	}
	return nil
}

// identityOf is the installation of a record.
func (e *Engine) identityOf(r *record.Identity, with *cohort) (*Identity, error) {
	key := with.key()
	checked, err := readKey(key, r)
	if err != nil {
		return nil, err
	}
	i := with.identity()
	i.init(e, key, with.string(r.GetInstallationId()))
	i.name, i.successor, i.checked = with.string(r.GetName()), r.GetSuccessor(), checked
	return i, nil
}

// readKey reads the key in a record, and tells whether its halves are known to belong
// together.
func readKey(key *x3dh.IdentityKey, r *record.Identity) (checked bool, err error) {
	public := r.GetPublicKey()
	switch len(public) {
	case 0:
		*key, err = x3dh.NewIdentity(r.GetIdentityKey())
		return true, err
	case x3dh.PublicKeySize:
		*key, err = x3dh.RestoreIdentity(r.GetIdentityKey(), PublicKey(public))
		return false, err
	}
	return false, fmt.Errorf("public key of %d bytes", len(public))
}

// leftOver is what an identity had not dealt with when its engine ended: names, since
// what there is may be more than memory holds.
type leftOver struct {
	outbox map[PublicKey]bool // contacts with messages in it; ourselves, if there are copies to make
	inbox  []messageKey
}

// waits notes that something waits to be published to a contact.
func (l *leftOver) waits(contact PublicKey) {
	if l.outbox == nil {
		l.outbox = make(map[PublicKey]bool)
	}
	l.outbox[contact] = true
}

// leftOver finds what all identities have left over.
func (e *Engine) leftOver(ctx context.Context) (map[persistence.OwnerID]*leftOver, error) {
	left := make(map[persistence.OwnerID]*leftOver)
	err := e.scanOwned(ctx, persistence.KindOutbox, left, func(_ *Identity, l *leftOver, value []byte) error {
		o, err := deviceactor.DecodeOutgoing(value)
		l.waits(o.Recipient)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = e.scanOwned(ctx, persistence.KindCopy, left, func(i *Identity, l *leftOver, _ []byte) error {
		l.waits(i.public)
		return nil
	})
	if err != nil || e.handler == nil {
		return left, err
	}
	return left, e.scanOwned(ctx, persistence.KindInbox, left, func(i *Identity, l *leftOver, value []byte) error {
		m, err := deviceactor.DecodeReceived(value)
		if err != nil {
			return err
		}
		key := messageKey{m.Sender, MessageID(m.ID)}
		i.remember(key, false)
		l.inbox = append(l.inbox, key)
		return nil
	})
}

// scanOwned shows all records of a kind that belong to hosted identities.
func (e *Engine) scanOwned(ctx context.Context, kind persistence.Kind, left map[persistence.OwnerID]*leftOver, show func(*Identity, *leftOver, []byte) error) error {
	return e.store.Scan(ctx, persistence.NewName(kind), func(name persistence.Name, value []byte) error {
		parts, err := name.Parts()
		if err == nil && (len(parts) == 0 || len(parts[0]) != len(persistence.OwnerID{})) {
			err = errors.New("not named after its owner")
		}
		if err == nil {
			owner := persistence.OwnerID(parts[0])
			i := e.identities[owner]
			if i == nil {
				return nil
			}
			l := left[owner]
			if l == nil {
				l = &leftOver{}
				left[owner] = l
			}
			err = show(i, l, value)
		}
		if err != nil {
			return fmt.Errorf("rookery: %v: %w: %w", name, persistence.ErrCorrupt, err)
		}
		return nil
	})
}

// know tells an identity what its outbox has, before anybody can wake it.
func (i *Identity) know(left *leftOver) {
	var contacts []PublicKey
	if left != nil {
		contacts = slices.Collect(maps.Keys(left.outbox))
	}
	for _, c := range contacts {
		i.kept.leaves(hex.EncodeToString(c[:]))
	}
	if i.epoch != 0 { // else whoever has it may add to it
		i.kept.outboxes.Know(contacts)
	}
}
