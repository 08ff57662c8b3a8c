package deviceactor

import (
	"errors"
	"io"
	"maps"
	"sync"
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
// Nor does anything that a retired installation cannot read.
func RemedyFor(v View, cause error) Remedy {
	switch {
	case v.Retired:
		return NoRemedy
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

// CoolDowns remember what was last done about whom; a refused message writes
// nothing to disk. Safe for concurrent use; the zero value is ready.
type CoolDowns struct {
	mu sync.Mutex
	by map[x3dh.IdentityPublicKey]*coolDown
}

type coolDown struct {
	included  int64            // ns, 0: never
	restarted map[string]int64 // ns, by installation
}

// maxCoolDowns bounds the identities that are remembered. Above it nobody new is
// answered until a cool-down of somebody has run out.
const maxCoolDowns = 1024

// Allow tells whether a remedy is due for an installation of a peer, and notes
// that it is done.
func (c *CoolDowns) Allow(r Remedy, peer x3dh.IdentityPublicKey, installation string, now int64) bool {
	if r == NoRemedy {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.of(peer, now)
	if one == nil {
		return false
	}
	if r == IncludeUs {
		due := one.included == 0 || !within(one.included, now, partitionCoolDown)
		if due {
			one.included = now
		}
		return due
	}
	if _, ok := one.restarted[installation]; ok || len(one.restarted) >= maxInstallations {
		return false
	}
	one.restarted[installation] = now
	return true
}

// of gives the peer's, without what has run out; nil if there is no room.
func (c *CoolDowns) of(peer x3dh.IdentityPublicKey, now int64) *coolDown {
	if one := c.by[peer]; one != nil {
		one.over(now)
		return one
	}
	if len(c.by) >= maxCoolDowns {
		maps.DeleteFunc(c.by, func(_ x3dh.IdentityPublicKey, one *coolDown) bool { return one.over(now) })
	}
	if len(c.by) >= maxCoolDowns {
		return nil
	}
	if c.by == nil {
		c.by = make(map[x3dh.IdentityPublicKey]*coolDown)
	}
	one := &coolDown{restarted: make(map[string]int64)}
	c.by[peer] = one
	return one
}

// over drops what has run out and tells whether nothing is left.
func (c *coolDown) over(now int64) bool {
	maps.DeleteFunc(c.restarted, func(_ string, at int64) bool { return !within(at, now, recoveryCoolDown) })
	return len(c.restarted) == 0 && (c.included == 0 || !within(c.included, now, partitionCoolDown))
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
	r := RemedyFor(a.config.View, cause)
	if !a.config.CoolDowns.Allow(r, a.peer, installation, a.config.Host.Now()) {
		return
	}
	a.pending++
	self := a.self
	reply := actors.ReplyFunc(func(p bundleactor.Published, err error) { self.Tell(gotAdvertisement{p, err}) })
	if r == StartOver {
		a.config.Host.AskBundle(bundleactor.Rotate{Reply: reply})
		return
	}
	a.config.Host.AskBundle(bundleactor.GetBundle{Reply: reply})
}

// gotAdvertisement publishes our bundle. If it gets lost, the next message that
// we cannot read calls for another.
func (a *Actor) gotAdvertisement(m gotAdvertisement) error {
	if m.err != nil {
		return nil //nolint:nilerr // nobody waits for it
	}
	message, err := Advertisement(a.config.View, a.peer, m.published.Bundle, a.config.Random)
	if err != nil {
		return err
	}
	a.config.Counters.Advertised.Add(1)
	a.config.Host.Publish(transport.Envelope{
		Topic:   transport.PersonalTopic(a.peer),
		Sender:  a.config.Identity.Public(),
		Payload: message,
	}, func(error) {})
	return nil
}
