package deviceactor

import (
	"errors"
	"io"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// An advertisement is an empty message with our bundle, for an identity that
// does not reach us: it does not know this installation (partitioned device),
// or one of us has lost its state. It goes as a DH-only message to whichever
// device reads it, as deployed clients expect it.

const (
	// partitionCoolDown is how often an identity is told that it does not know
	// us: every two hours, as deployed (ns).
	partitionCoolDown = int64(2 * time.Hour)
	// recoveryCoolDown is how often one installation is offered a new prekey to
	// start over with (ns). A prekey it has already would change nothing.
	recoveryCoolDown = int64(time.Hour)
)

// Remedy is what a refused message calls for.
type Remedy uint8

const (
	// NoRemedy: nothing can be done about it.
	NoRemedy Remedy = iota
	// IncludeUs: the sender has to learn of this installation.
	IncludeUs
	// StartOver: the sender has to make a new session, which it does for a
	// signed prekey that it does not have yet.
	StartOver
)

// RemedyFor decides by the cause of a refusal. A forged or altered message
// calls for nothing: whoever made it would gain an answer and a new prekey.
func RemedyFor(cause error) Remedy {
	switch {
	case errors.Is(cause, ErrNotTargeted):
		return IncludeUs
	case errors.Is(cause, sessionactor.ErrNoSession),
		errors.Is(cause, sessionactor.ErrCloned),
		errors.Is(cause, sessionactor.ErrUnknownPreKey),
		errors.Is(cause, ratchet.ErrUnknownRatchetKey),
		errors.Is(cause, ratchet.ErrTooManySkipped):
		return StartOver
	}
	return NoRemedy
}

// CoolDowns remember when what was last done about whom. They live as long as
// the contact is in memory; a refused message writes nothing.
type CoolDowns struct {
	included  int64            // ns
	restarted map[string]int64 // by installation
}

// Allow tells whether a remedy is due, and notes that it is done.
func (c *CoolDowns) Allow(r Remedy, installation string, now int64) bool {
	switch r {
	case IncludeUs:
		if c.included != 0 && within(c.included, now, partitionCoolDown) {
			return false
		}
		c.included = now
		return true
	case StartOver:
		last, ok := c.restarted[installation]
		if ok && within(last, now, recoveryCoolDown) || !ok && len(c.restarted) >= maxInstallations {
			return false
		}
		if c.restarted == nil {
			c.restarted = make(map[string]int64)
		}
		c.restarted[installation] = now
		return true
	case NoRemedy:
	}
	return false
}

// Advertisement is the encoded message that tells a peer of this installation.
func Advertisement(v View, peer x3dh.IdentityPublicKey, bundle wire.Bundle, rand io.Reader) ([]byte, error) {
	payload, ephemeral, err := x3dh.SealDHOnly(peer, nil, rand)
	if err != nil {
		return nil, err
	}
	message := wire.Message{
		InstallationID: v.Installation,
		Bundles:        []wire.Bundle{bundle},
		Entries: []wire.Entry{{
			Recipient: wire.NoInstallation,
			Part:      wire.Part{DH: &wire.DHHeader{Ephemeral: wire.PublicKey(ephemeral)}, Payload: payload},
		}},
	}
	return message.Encode(), nil
}

// remedy answers a message that we could not read, if that helps. It does so
// for our own other installations too: that is how they learn of this one.
func (a *Actor) remedy(cause error, installation string) {
	r := RemedyFor(cause)
	if !a.coolDowns.Allow(r, installation, a.config.Now()) {
		return
	}
	self := a.self
	reply := actors.ReplyFunc(func(p bundleactor.Published, err error) { self.Tell(gotAdvertisement{p, err}) })
	if r == StartOver {
		a.config.Bundle.Tell(bundleactor.Rotate{Reply: reply})
		return
	}
	a.config.Bundle.Tell(bundleactor.GetBundle{Reply: reply})
}

// gotAdvertisement publishes our bundle. If it gets lost, the next message that
// we cannot read calls for another.
func (a *Actor) gotAdvertisement(m gotAdvertisement) error {
	if m.err != nil {
		return nil //nolint:nilerr // nobody waits for it
	}
	a.bundle = m.published
	message, err := Advertisement(a.config.View, a.config.Peer, m.published.Bundle, a.config.Random)
	if err != nil {
		return err
	}
	a.config.Transport.Publish(transport.Envelope{
		Topic:   transport.PersonalTopic(a.config.Peer),
		Sender:  a.config.Identity.Public(),
		Payload: message,
	}, func(error) {})
	return nil
}
