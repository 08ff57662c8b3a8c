package installation

import (
	"context"
	"fmt"
	"io"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// Config is what an Installation needs. Publish and Deliver must not call the
// installation.
type Config struct {
	Key  *x3dh.IdentityKey
	View deviceactor.View // Own is the public half of Key
	// Store holds the records of this installation, and possibly of others.
	Store    persistence.Store
	Random   io.Reader
	Schedule bundleactor.Schedule
	Limits   ratchet.Limits
	// Publish takes an envelope whose message is durable. It counts as accepted
	// when the call returns.
	Publish func(transport.Envelope)
	// Deliver takes an event that is durable.
	Deliver func(deviceactor.Event)
}

// Installation is a hosted installation of an identity. It is for one goroutine
// at a time.
type Installation struct {
	config    Config
	owner     persistence.OwnerID
	fence     persistence.Fence
	started   int64              // ns
	bundle    *bundleactor.State // nil: not read yet
	contacts  map[x3dh.IdentityPublicKey]*contact
	coolDowns deviceactor.CoolDowns
}

// contact is what is in memory of one contact.
type contact struct {
	deviceactor.Contact
	sessions map[string]*sessionactor.Sessions // by installation
	lease    *deviceactor.Lease                // the last one made, nil: none
	leases   deviceactor.Leases
}

// Open takes an installation over from whoever ran it before, and does what was
// left undone: it publishes the outbox, reports the inbox, and makes the copies
// that our own other installations have not got yet. now is in ns.
func Open(ctx context.Context, config Config, now int64) (*Installation, error) {
	owner := persistence.NewOwnerID(config.View.Own[:], config.View.Installation)
	epoch, err := config.Store.Own(ctx, owner)
	if err != nil {
		return nil, fmt.Errorf("installation: open: %w", err)
	}
	i := &Installation{config: config, owner: owner, fence: persistence.Fence{Owner: owner, Epoch: epoch}, started: now}
	i.forget()
	for _, resume := range []func(context.Context, int64) error{i.republish, i.report, i.remakeCopies} {
		if err := resume(ctx, now); err != nil {
			return nil, fmt.Errorf("installation: open: %w", err)
		}
	}
	return i, nil
}

// forget drops what is in memory: after a store failure only the store says
// what has happened.
func (i *Installation) forget() {
	i.endLeases()
	i.bundle, i.contacts = nil, make(map[x3dh.IdentityPublicKey]*contact)
}

// Contact gives what is known of a contact.
func (i *Installation) Contact(ctx context.Context, peer x3dh.IdentityPublicKey) (deviceactor.Contact, error) {
	c, err := i.contact(ctx, peer)
	if err != nil {
		return deviceactor.Contact{}, err
	}
	return c.Contact, nil
}

// Sessions gives the sessions with one installation of a contact; for reading
// only.
func (i *Installation) Sessions(ctx context.Context, peer x3dh.IdentityPublicKey, installation string) (sessionactor.Sessions, error) {
	c, err := i.contact(ctx, peer)
	if err != nil {
		return sessionactor.Sessions{}, err
	}
	s, err := i.sessions(ctx, c, installation)
	if err != nil {
		return sessionactor.Sessions{}, err
	}
	return *s, nil
}

func (i *Installation) contact(ctx context.Context, peer x3dh.IdentityPublicKey) (*contact, error) {
	if c := i.contacts[peer]; c != nil {
		return c, nil
	}
	loaded, err := deviceactor.LoadContact(ctx, i.config.Store, i.owner, peer)
	if err != nil {
		return nil, unavailable(err)
	}
	c := &contact{Contact: loaded, sessions: make(map[string]*sessionactor.Sessions)}
	i.contacts[peer] = c
	return c, nil
}

func (i *Installation) sessions(ctx context.Context, c *contact, installation string) (*sessionactor.Sessions, error) {
	if s := c.sessions[installation]; s != nil {
		return s, nil
	}
	s, err := sessionactor.Load(ctx, i.config.Store, i.place(c, installation), sessionactor.ID{})
	if err != nil {
		return nil, unavailable(err)
	}
	c.sessions[installation] = &s
	return &s, nil
}

// place is where the sessions with an installation of a contact stand.
func (i *Installation) place(c *contact, installation string) sessionactor.Place {
	return sessionactor.Place{Owner: i.owner, Ends: sessionactor.Ends{
		Own:              i.config.View.Own,
		OwnInstallation:  i.config.View.Installation,
		Peer:             c.Identity,
		PeerInstallation: installation,
	}}
}

// unavailable marks a failed read: the step has not happened and can be tried
// again (deviceactor.Unhandled).
func unavailable(err error) error {
	return fmt.Errorf("installation: %w: %w", sessionactor.ErrUnavailable, err)
}
