package rookery

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
)

// A store that has gone back to an older state, restored from a backup or cut by
// a broken disk, no longer knows which message keys were used. Each installation
// in it gets a successor, a new device of the same identity (54/WAKU2-X3DH-SESSIONS,
// Recovery): the successor knows the contacts and makes new sessions, the old one
// only reads what is still sent to it.

// guarded is a store that can tell that it has gone back.
type guarded interface {
	// Recovery gives the number of the last recovery, which no other one has,
	// and whether it is still to be done.
	Recovery() (number uint64, pending bool)
	// Recovered says that every installation has its successor.
	Recovered(ctx context.Context) error
}

// inherited are the records of an installation that its successor starts with:
// whom it knows, and what our own other devices have not been told yet.
var inherited = []persistence.Kind{persistence.KindContact, persistence.KindInstallation, persistence.KindCopy}

// replaceInstallations gives every installation of a store that has gone back its
// successor. If it is cut short the next Open goes on with those that have none.
// It tells the owners that were replaced.
func (e *Engine) replaceInstallations(ctx context.Context) (map[persistence.OwnerID]bool, error) {
	store, ok := e.store.(guarded)
	if !ok {
		return nil, nil
	}
	number, pending := store.Recovery()
	if !pending {
		return nil, nil
	}
	replaced := make(map[persistence.OwnerID]bool)
	stream := e.committer.NewStream(persistence.Fence{})
	var failed error // written by the committer's goroutine before the wait ends
	note := func(err error) { failed = errors.Join(failed, err) }
	err := e.store.Scan(ctx, persistence.NewName(persistence.KindIdentity), func(name persistence.Name, value []byte) error {
		r, owner, err := decodeIdentity(name, value)
		if err != nil || r.GetSuccessor() != "" || r.GetRecovery() == number {
			return err
		}
		records, err := e.succession(ctx, owner, r, number)
		if err != nil {
			return err
		}
		replaced[owner] = true
		stream.Commit(records, note)
		return nil
	})
	if err != nil {
		return nil, err
	}
	stream.Restart() // everything committed is durable or lost
	if failed != nil {
		return nil, failed
	}
	return replaced, store.Recovered(ctx)
}

// succession are the records that retire an installation and make its successor,
// for one batch.
func (e *Engine) succession(ctx context.Context, owner persistence.OwnerID, old *record.Identity, recovery uint64) ([]persistence.Record, error) {
	id, err := uuid.NewRandomFromReader(e.options.Random)
	if err != nil {
		return nil, fmt.Errorf("rookery: installation id: %w", err)
	}
	next := &record.Identity{
		IdentityKey:    old.GetIdentityKey(),
		InstallationId: id.String(),
		Created:        e.options.Now().UnixNano(),
		Recovery:       recovery,
		Name:           old.GetName(),
	}
	i, err := e.identityOf(next, nil)
	if err != nil {
		return nil, err
	}
	next.PublicKey, old.PublicKey = i.public[:], i.public[:]
	old.Successor = next.InstallationId
	var records []persistence.Record
	for of, r := range map[persistence.OwnerID]*record.Identity{owner: old, i.owner: next} {
		value, err := proto.Marshal(r)
		if err != nil {
			return nil, fmt.Errorf("rookery: encode identity: %w", err)
		}
		records = append(records, persistence.Record{Name: persistence.NewName(persistence.KindIdentity, of[:]), Value: value})
	}
	for _, kind := range inherited {
		err := e.store.Scan(ctx, persistence.NewName(kind, owner[:]), func(name persistence.Name, value []byte) error {
			parts, err := name.Parts()
			if err != nil {
				return err
			}
			parts[0] = i.owner[:]
			records = append(records, persistence.Record{Name: persistence.NewName(kind, parts...), Value: append([]byte{}, value...)})
			if kind == persistence.KindCopy { // it is made once, by who can still encrypt
				records = append(records, persistence.Record{Name: name, Delete: true})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return records, nil
}

// decodeIdentity reads the record of a hosted installation.
func decodeIdentity(name persistence.Name, value []byte) (*record.Identity, persistence.OwnerID, error) {
	var r record.Identity
	parts, err := name.Parts()
	if err == nil {
		err = proto.Unmarshal(value, &r)
	}
	if err == nil && (len(parts) != 1 || len(parts[0]) != len(persistence.OwnerID{})) {
		err = errors.New("not named after its owner")
	}
	if err != nil {
		return nil, persistence.OwnerID{}, fmt.Errorf("rookery: %v: %w: %w", name, persistence.ErrCorrupt, err)
	}
	return &r, persistence.OwnerID(parts[0]), nil
}

// Retired tells whether the installation has a successor, which has to be used
// instead: it only reads what is still sent to it. Its methods that send or
// change anything give ErrRetired.
func (i *Identity) Retired() bool { return i.successor != "" }

// inUse tells with ErrClosed, ErrDeleted or ErrRetired that nothing can be asked of the
// installation any more.
func (i *Identity) inUse() error {
	if i.Retired() {
		return ErrRetired
	}
	return i.accepting()
}

// Successor is the installation that took the place of a retired one; false if
// this one is in use, or if the engine hosts the other no longer.
func (i *Identity) Successor() (*Identity, bool) {
	if !i.Retired() {
		return nil, false
	}
	return i.engine.Identity(i.public, i.successor)
}

// unheard tells of an event of a retired installation that only says what its
// successor hears too.
func (i *Identity) unheard(e deviceactor.Event) bool {
	refused, ok := e.(deviceactor.MessageRefused)
	return ok && i.Retired() && errors.Is(refused.Err, deviceactor.ErrNotTargeted)
}
