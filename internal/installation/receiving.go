package installation

import (
	"context"
	"fmt"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// Receive takes one envelope of the network, whose sender is proved. nil: its
// message is durable and reported. Otherwise the cause of its refusal, which is
// reported as well and has changed nothing; or an error for which
// deviceactor.Unhandled holds: the envelope has to come again.
func (i *Installation) Receive(ctx context.Context, e transport.Envelope, now int64) error {
	m, err := wire.Decode(e.Payload)
	if err != nil {
		i.config.Deliver(deviceactor.MessageRefused{Sender: e.Sender, Err: err})
		return err
	}
	if e.Topic == transport.ContactCodeTopic(e.Sender) {
		m = &wire.Message{InstallationID: m.InstallationID, Bundles: m.Bundles}
	}
	c, err := i.contact(ctx, e.Sender)
	if err != nil {
		return err
	}
	var s step
	err = i.read(ctx, &s, c, m, now)
	if err == nil {
		err = i.commit(ctx, &s)
	}
	if err == nil || deviceactor.Unhandled(err) {
		return err
	}
	for _, event := range c.Refused(m, err) {
		i.config.Deliver(event)
	}
	i.remedy(ctx, c, err, m.InstallationID, now)
	return err
}

// read adds what a message changes.
func (i *Installation) read(ctx context.Context, s *step, c *contact, m *wire.Message, now int64) error {
	verify := func(b *wire.Bundle) error {
		if x3dh.IdentityPublicKey(b.Identity) != c.Identity {
			return x3dh.ErrBundleIdentity
		}
		if c.Verified(b) {
			return nil
		}
		return x3dh.CheckBundle(b, now)
	}
	r, err := c.Read(i.config.View, m, "", verify)
	if err != nil {
		return err
	}
	var payload []byte
	if r.InSession() {
		payload, err = i.decrypt(ctx, s, c, r, now)
	} else {
		payload, err = r.Open(i.config.Key)
	}
	if err != nil {
		return err
	}
	next, effects, err := c.Receive(i.config.View, r, payload, now)
	if err != nil {
		return err
	}
	i.takeContact(s, c, next, effects)
	return nil
}

// decrypt adds what the sessions with the sender's installation become.
func (i *Installation) decrypt(ctx context.Context, s *step, c *contact, r deviceactor.Reading, now int64) ([]byte, error) {
	var prekey *sessionactor.OwnPreKey
	if public, ok := r.PreKey(); ok {
		state, err := i.keys(ctx)
		if err != nil {
			return nil, err
		}
		found, err := state.Keys.Find(public)
		if err != nil {
			return nil, unavailable(err)
		}
		prekey = deviceactor.OwnPreKey(found)
	}
	in, err := c.Incoming(i.config.View, r, prekey, now)
	if err != nil {
		return nil, err
	}
	sender := r.Message.InstallationID
	sessions, err := i.sessions(ctx, c, sender)
	if err != nil {
		return nil, err
	}
	next, change, payload, err := sessions.Decrypt(i.config.Key, i.place(c, sender).Ends, in, i.config.Limits, now)
	if err != nil {
		return nil, err
	}
	i.takeSessions(s, c, sender, sessions, next, change)
	return payload, nil
}

// remedy answers a message that we could not read, if that helps. If the answer
// cannot be made, the next such message calls for another.
func (i *Installation) remedy(ctx context.Context, c *contact, cause error, installation string, now int64) {
	r := deviceactor.RemedyFor(i.config.View, cause)
	if !i.coolDowns.Allow(r, c.Identity, installation, now) {
		return
	}
	why := bundleactor.Asked
	if r == deviceactor.StartOver {
		why = bundleactor.Forced
	}
	bundle, err := i.renew(ctx, why, now)
	if err != nil {
		return
	}
	message, err := deviceactor.Advertisement(i.config.View, c.Identity, bundle, i.config.Random)
	if err != nil {
		return
	}
	i.publish(transport.PersonalTopic(c.Identity), message)
}

// TakeBundle takes a bundle of a contact that came by another way than a
// message. An error matching x3dh.ErrUntrustedBundle if it is not the contact's
// or not well signed.
func (i *Installation) TakeBundle(ctx context.Context, peer x3dh.IdentityPublicKey, encoded []byte, now int64) error {
	b, err := wire.DecodeBundle(encoded)
	if err != nil {
		return fmt.Errorf("installation: bundle: %w", err)
	}
	if x3dh.IdentityPublicKey(b.Identity) != peer {
		return x3dh.ErrBundleIdentity
	}
	if err := x3dh.CheckBundle(&b, now); err != nil {
		return err
	}
	c, err := i.contact(ctx, peer)
	if err != nil {
		return err
	}
	var s step
	next, effects := c.TakeBundle(i.config.View, &b, "", now)
	i.takeContact(&s, c, next, effects)
	next, effects = next.Accept(now)
	i.takeContact(&s, c, next, effects)
	return i.commit(ctx, &s)
}
