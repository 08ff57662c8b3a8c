package rookery

import (
	"encoding/hex"
	"errors"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/transport"
)

// contactHost is an identity as its contacts see it, in one incarnation of its actor. It
// lies in that with all that the contacts share, so that it takes no room of its own.
type contactHost struct {
	identity *Identity
	self     actors.Ref // the identity's actor
	config   deviceactor.Config
}

var _ deviceactor.Host = (*contactHost)(nil)

// init makes a zero contactHost one of the identity's.
func (h *contactHost) init(i *Identity, self actors.Ref) {
	options := &i.engine.options
	h.identity, h.self = i, self
	h.config = deviceactor.Config{
		Identity:   i.key,
		View:       i.view(),
		Owner:      i.owner,
		Host:       h,
		Reader:     i.engine.committer,
		Random:     i.engine.keys,
		KeepUnsent: options.KeepUnsent,
		Outboxes:   &i.kept.outboxes,
		LookUpWait: min(options.LookUpWait, options.IdleAfter/2),
		Counters:   &i.engine.counters,
		CoolDowns:  &i.kept.coolDowns,
		Limits:     options.limits,
		IdleAfter:  options.IdleAfter,
	}
}

// view is how the contacts' rules see the identity.
func (i *Identity) view() deviceactor.View {
	return deviceactor.View{
		Own:              i.public,
		Installation:     i.installation,
		MaxInstallations: i.engine.options.MaxInstallations,
		Requests:         i.engine.options.Requests,
		Devices:          i.engine.options.Devices,
		Retired:          i.Retired(),
	}
}

// Now implements deviceactor.Host.
func (h *contactHost) Now() int64 { return h.identity.now() }

// AskBundle implements deviceactor.Host. The bundle actor is reached through its parent,
// who hands over when it is restarted.
func (h *contactHost) AskBundle(question any) { h.self.Tell(toBundle{question}) }

// AtHand implements deviceactor.Host.
func (h *contactHost) AtHand() *bundleactor.Published { return h.identity.atHand() }

// Publish implements deviceactor.Host.
func (h *contactHost) Publish(e transport.Envelope, accepted func(error)) {
	h.identity.publish(e, accepted)
}

// Deliver implements deviceactor.Host.
func (h *contactHost) Deliver(e deviceactor.Event) {
	i := h.identity
	if !i.unheard(e) {
		i.handle(i.event(e))
	}
	if u, ok := e.(deviceactor.Unsent); ok && i.engine.handler == nil {
		i.engine.options.Logger.Warn("no network has taken a message", "identity", i.public, "contact", u.Identity, "message", MessageID(u.ID))
		i.discard(u.Identity, u.ID) // nobody wants to know
	}
}

// OwnDevices implements deviceactor.Host.
func (h *contactHost) OwnDevices(own deviceactor.Contact) {
	h.identity.kept.copied.Store(own.AnyEnabled())
	h.self.Tell(setSiblings{bundleactor.SetSiblings{Siblings: own.Siblings()}})
}

// LeftOver implements deviceactor.Host.
func (h *contactHost) LeftOver(peer PublicKey) { h.self.Tell(unsent{hex.EncodeToString(peer[:])}) }

// Siblings implements deviceactor.Host.
func (h *contactHost) Siblings() bool { return h.identity.kept.copied.Load() }

// CopyOut implements deviceactor.Host.
func (h *contactHost) CopyOut(id deviceactor.MessageID) {
	h.self.Tell(toContact{h.identity.public, deviceactor.MakeCopy{ID: id}})
}

// Repeated implements deviceactor.Host.
func (h *contactHost) Repeated() { h.self.Tell(repeated{}) }

// Forgotten implements deviceactor.Host.
func (h *contactHost) Forgotten(peer PublicKey) { h.self.Tell(forgetReported{peer}) }

// LookUp implements deviceactor.Host.
func (h *contactHost) LookUp(peer PublicKey) { h.identity.lookUp(peer) }

// Timed implements deviceactor.Host.
func (h *contactHost) Timed(w deviceactor.Way, s deviceactor.Stage, took time.Duration) {
	h.identity.engine.measures.timed(w, s, took)
}

// maxListening bounds the topics that an identity listens to by itself.
const maxListening = 1024

// lookUp follows the contact code of a contact that no message can go to. The
// transport may hand out what it has at once: so not on the goroutine of the contact.
func (i *Identity) lookUp(contact PublicKey) {
	i.mu.Lock()
	full := len(i.listening) >= maxListening
	i.mu.Unlock()
	if full {
		return
	}
	i.lookUps.Go(func() {
		if err := i.Follow(contact); err != nil && !errors.Is(err, ErrClosed) {
			i.engine.options.Logger.Warn("contact code cannot be followed", "contact", contact, "error", err)
		}
	})
}
