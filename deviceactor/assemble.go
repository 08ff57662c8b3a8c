package deviceactor

import (
	"errors"
	"fmt"
	"io"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// ErrNoTarget: the contact has installations, but none that a message may go
// to. Nothing is sent, and never without forward secrecy instead (T40).
var ErrNoTarget = errors.New("deviceactor: no installation to send to")

// Outgoing is a message of the outbox.
type Outgoing struct {
	ID        MessageID
	Recipient x3dh.IdentityPublicKey
	Message   []byte // encoded ProtocolMessage
	Created   int64  // ns
}

// Draft is one payload on its way to being one message for all installations
// that it goes to.
type Draft struct {
	Payload []byte
	Targets []Installation // empty: DH-only
	parts   []wire.Entry
	errs    []error // nil: there are none
	Started int     // sessions that the message starts
}

// Draft picks the installations that a payload goes to. ErrNoTarget if there
// are some, but none that it may go to; of a contact without any, whichever
// reads it gets a DH-only message. Nothing has changed yet.
func (c *Contact) Draft(v View, payload []byte, now int64) (Draft, error) {
	if v.Retired {
		return Draft{}, ErrRetired
	}
	if err := c.open(); err != nil {
		return Draft{}, err
	}
	d := Draft{Payload: payload, Targets: c.Targets(v, now)}
	if len(d.Targets) == 0 && (len(c.Installations) > 0 || c.own(v)) {
		return d, ErrNoTarget
	}
	d.parts = make([]wire.Entry, len(d.Targets))
	for i := range d.Targets {
		d.parts[i].Recipient = d.Targets[i].ID
	}
	return d, nil
}

// Encrypted notes the part for one of the targets, or why there is none.
func (d *Draft) Encrypted(target int, part wire.Part, started bool, err error) {
	d.parts[target].Part = part
	if err != nil {
		if d.errs == nil {
			d.errs = make([]error, len(d.parts))
		}
		d.errs[target] = err
	}
	if started {
		d.Started++
	}
}

// Seal encrypts a payload for a contact of which no installation is known.
func (d *Draft) Seal(peer x3dh.IdentityPublicKey, rand io.Reader) error {
	payload, ephemeral, err := x3dh.SealDHOnly(peer, d.Payload, rand)
	if err != nil {
		return err
	}
	d.parts = []wire.Entry{{
		Recipient: wire.NoInstallation,
		Part:      wire.Part{DH: &wire.DHHeader{Ephemeral: wire.PublicKey(ephemeral)}, Payload: payload},
	}}
	return nil
}

// Assemble is the step of sending: it makes the one message of a draft's parts,
// and uses the draft up. bundle is ours. An error means that no part could be
// encrypted.
func (c Contact) Assemble(v View, d *Draft, bundle wire.Bundle, now int64) (Contact, Outgoing, Receipt, Effects, error) {
	if err := c.open(); err != nil {
		return c, Outgoing{}, Receipt{}, Effects{}, err // it was blocked meanwhile
	}
	message := wire.Message{
		InstallationID: v.Installation,
		Bundles:        []wire.Bundle{bundle},
		Entries:        d.parts[:0],
	}
	receipt := Receipt{Started: d.Started, Installations: make([]string, 0, len(d.parts))}
	for i, part := range d.parts {
		if d.errs != nil && d.errs[i] != nil {
			receipt.Failed = append(receipt.Failed, InstallationError{part.Recipient, d.errs[i]})
			continue
		}
		message.Entries = append(message.Entries, part)
		receipt.Installations = append(receipt.Installations, part.Recipient)
		receipt.ForwardSecrecy = part.Part.DR != nil
	}
	if len(message.Entries) == 0 {
		return c, Outgoing{}, Receipt{}, Effects{}, fmt.Errorf("%w: %w", ErrNoTarget, errors.Join(d.errs...))
	}
	receipt.ID = newMessageID(v.Own, &message, "")
	next, e := c.Accept(now)
	return next, Outgoing{receipt.ID, c.Identity, message.Encode(), now}, receipt, e, nil
}

// Record is the outbox record of the message, made durable with the sessions
// that encrypted it.
func (o *Outgoing) Record(owner persistence.OwnerID) persistence.Record {
	return persistence.Record{Name: OutboxName(owner, o.Recipient, o.ID), Content: o, New: true}
}
