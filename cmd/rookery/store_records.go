package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/transport/courier"
	"github.com/rookery-im/rookery/x3dh"
)

// errOrphan: a record is whole, and nothing leads to it.
var errOrphan = errors.New("orphan")

// recordCheck decodes records one by one with the code of their owners. They
// have to come in the order of their names: identities first.
type recordCheck struct {
	store  persistence.Store
	hosted map[persistence.OwnerID]bool
	// session and contact are the last ones looked up: a session's skipped keys
	// stand beside each other, and so do a contact's records.
	session, contact lookedUp
}

// lookedUp is the answer to the last question for a record of one kind.
type lookedUp struct {
	name  persistence.Name
	value []byte
	err   error
}

func (l *lookedUp) get(ctx context.Context, from persistence.Store, name persistence.Name) ([]byte, error) {
	if l.name != name {
		l.name = name
		l.value, l.err = from.Get(ctx, name)
	}
	return l.value, l.err
}

// few is a reader of a few records and of nothing else.
type few []persistence.Record

// Get implements the readers of the packages that own records.
func (f few) Get(_ context.Context, name persistence.Name) ([]byte, error) {
	for _, r := range f {
		if r.Name == name {
			return bytes.Clone(r.Value), nil
		}
	}
	return nil, persistence.ErrNotFound
}

// Scan implements the readers of the packages that own records.
func (f few) Scan(_ context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error {
	for _, r := range f {
		if strings.HasPrefix(string(r.Name), string(prefix)) {
			if err := fn(r.Name, r.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// parts is how many parts the names of each kind have.
var parts = map[persistence.Kind]int{
	persistence.KindIdentity:     1, // owner
	persistence.KindPrekey:       2, // owner, version
	persistence.KindContact:      2, // owner, contact
	persistence.KindInstallation: 3, // owner, contact, installation
	persistence.KindSession:      4, // owner, contact, installation, session
	persistence.KindSkipped:      6, // owner, contact, installation, session, ratchet key, number
	persistence.KindOutbox:       3, // owner, contact, message
	persistence.KindInbox:        3, // owner, contact, message
	persistence.KindPublication:  1, // owner
	persistence.KindCopy:         2, // owner, message
	persistence.KindReceipt:      3, // owner, contact, key; of one that was dropped owner, contact, message
	persistence.KindKept:         2, // collection, name
}

// check tells what is wrong with one record.
func (c *recordCheck) check(ctx context.Context, name persistence.Name, value []byte) error {
	part, err := name.Parts()
	if err != nil {
		return err
	}
	if ours, err := courier.CheckRecord(name, value); ours {
		return err
	}
	want, known := parts[name.Kind()]
	if !known {
		return errors.New("records of that kind are not written")
	}
	if len(part) != want {
		return fmt.Errorf("a name of %d parts", len(part))
	}
	if name.Kind() == persistence.KindKept {
		return nil // what is in it the application knows
	}
	if len(part[0]) != len(persistence.OwnerID{}) {
		return errors.New("it is not named after its owner")
	}
	owner := persistence.OwnerID(part[0])
	alone := few{{Name: name, Value: value}}
	switch name.Kind() {
	case persistence.KindIdentity:
		return c.identity(owner, value)
	case persistence.KindPrekey, persistence.KindPublication:
		// Both are there before their identity is, and stay if that is cut short.
		_, err := bundleactor.Load(ctx, alone, owner)
		return err
	case persistence.KindCopy:
		if _, ok := deviceactor.DecodeCopy(value); !ok {
			return errors.New("it is no copy of a message")
		}
		return c.owned(owner)
	}
	peer, err := x3dh.ParseIdentity(part[1])
	if err != nil {
		return err
	}
	if err := c.ofContact(ctx, owner, peer, name, value, part[2:]); err != nil {
		return err
	}
	if err := c.owned(owner); err != nil {
		return err
	}
	if kind := name.Kind(); kind != persistence.KindInstallation && kind != persistence.KindSession {
		return nil
	}
	contact, err := c.contact.get(ctx, c.store, persistence.NewName(persistence.KindContact, owner[:], peer[:]))
	if err != nil {
		return missing(err, "its contact")
	}
	var r record.Contact // one that is none has a finding of its own
	if name.Kind() == persistence.KindInstallation && proto.Unmarshal(contact, &r) == nil && r.GetWhole() {
		return fmt.Errorf("%w: its contact has all installations with it", errOrphan)
	}
	return nil
}

// identity takes up a hosted installation.
func (c *recordCheck) identity(owner persistence.OwnerID, value []byte) error {
	var r record.Identity
	if err := proto.Unmarshal(value, &r); err != nil {
		return err
	}
	key, err := x3dh.NewIdentity(r.GetIdentityKey())
	if err != nil {
		return err
	}
	defer key.Wipe()
	public := key.Public()
	if persistence.NewOwnerID(public[:], r.GetInstallationId()) != owner {
		return errors.New("it is another installation than its name says")
	}
	c.hosted[owner] = true
	return nil
}

// ofContact decodes what stands under a contact; rest are the parts of the name
// behind it.
func (c *recordCheck) ofContact(ctx context.Context, owner persistence.OwnerID, peer x3dh.IdentityPublicKey, name persistence.Name, value []byte, rest [][]byte) error {
	alone := few{{Name: name, Value: value}}
	switch name.Kind() {
	case persistence.KindContact:
		_, err := deviceactor.LoadContact(ctx, alone, owner, peer)
		return err
	case persistence.KindInstallation:
		// Installations are read with their contact: an empty one will do.
		with := append(alone, persistence.Record{Name: persistence.NewName(persistence.KindContact, owner[:], peer[:])})
		contact, err := deviceactor.LoadContact(ctx, with, owner, peer)
		if err == nil {
			if _, found := contact.Find(string(rest[0])); !found {
				err = errors.New("it is another installation than its name says")
			}
		}
		return err
	case persistence.KindSession:
		return decodesSession(ctx, alone, owner, peer, rest)
	case persistence.KindSkipped:
		of := persistence.NewName(persistence.KindSession, owner[:], peer[:], rest[0], rest[1])
		session, err := c.session.get(ctx, c.store, of)
		if err != nil {
			return missing(err, "its session")
		}
		return decodesSession(ctx, append(alone, persistence.Record{Name: of, Value: session}), owner, peer, rest)
	case persistence.KindOutbox:
		m, err := deviceactor.DecodeOutgoing(value)
		if err == nil && (m.Recipient != peer || !bytes.Equal(m.ID[:], rest[0])) {
			err = errors.New("it is another message than its name says")
		}
		return err
	case persistence.KindReceipt:
		m, err := deviceactor.DecodeReceipt(value)
		if err == nil && m.Dropped && !bytes.Equal(m.ID[:], rest[0]) {
			err = errors.New("it is of another message than its name says")
		}
		return err
	case persistence.KindInbox:
		m, err := deviceactor.DecodeReceived(value)
		if err == nil && (m.Sender != peer || !bytes.Equal(m.ID[:], rest[0])) {
			err = errors.New("it is another message than its name says")
		}
		return err
	}
	return nil
}

func decodesSession(ctx context.Context, from few, owner persistence.OwnerID, peer x3dh.IdentityPublicKey, rest [][]byte) error {
	place := sessionactor.Place{Owner: owner, Ends: sessionactor.Ends{Peer: peer, PeerInstallation: string(rest[0])}}
	_, err := sessionactor.Load(ctx, from, place, sessionactor.ID{})
	return err
}

// owned tells an orphan from what belongs to a hosted installation.
func (c *recordCheck) owned(owner persistence.OwnerID) error {
	if c.hosted[owner] {
		return nil
	}
	return fmt.Errorf("%w: installation %v is not hosted", errOrphan, owner)
}

func missing(err error, what string) error {
	if errors.Is(err, persistence.ErrNotFound) {
		return fmt.Errorf("%w: %s is missing", errOrphan, what)
	}
	return err
}
