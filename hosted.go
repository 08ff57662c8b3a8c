package rookery

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/x3dh"
)

// hosted is the actor at the top of an identity's subtree: the parent of its
// bundle, its contacts and its inbox.
type hosted struct {
	identity *Identity
	bundle   *actors.Children
	contacts *actors.Children
	inbox    *actors.Children

	// What the children share; not changed while there are any.
	fence persistence.Fence
	host  contactHost

	used    time.Duration // when it was used last, as known with the last sweep
	since   time.Time     // the first sweep after that
	visited bool          // it was woken to look after something
	more    bool          // more contacts than were woken have something in the outbox
}

// The messages of hosted. Each hands one on to a child; what the child cannot
// take is answered by the inner message.
type (
	toContact struct {
		contact PublicKey
		message any
	}
	toBundle  struct{ message any }
	gotBundle struct {
		published *bundleactor.Published
		outdated  int // as it was when the bundle was asked for
	}
	setSiblings struct{ message bundleactor.SetSiblings }
	toHandler   struct{ event Event }
	unsent      struct{ contact string }
)

// Fail implements the answer to a message that cannot be handed on.
func (m toContact) Fail(err error) { failInner(m.message, err) }

// Fail implements the answer to a message that cannot be handed on.
func (m toBundle) Fail(err error) { failInner(m.message, err) }

// Fail implements the answer to a message that cannot be handed on.
func (m setSiblings) Fail(err error) { m.message.Fail(err) }

func failInner(message any, err error) {
	if f, ok := message.(interface{ Fail(error) }); ok {
		f.Fail(err)
	}
}

const (
	bundleName = "bundle"
	inboxName  = "inbox"
	// handOver is how many messages wait for a contact that is leaving memory.
	handOver = 4096
)

// Start implements actors.Actor. On a disk that takes no writes it cannot take over, and
// tries again with every message.
func (h *hosted) Start(ctx *actors.Context) error {
	h.visited = h.identity.actor.Idle() >= h.identity.engine.options.IdleAfter
	h.identity.engine.grown()
	if err := h.takeOver(ctx); !noRoom(err) {
		return forGood(err)
	}
	return nil
}

// forGood is the error of a start that is not worth another one.
func forGood(err error) error {
	if persistence.Lasting(err) {
		return fmt.Errorf("%w: %w", actors.ErrCorruptState, err)
	}
	return err
}

// takeOver makes sure that we own the identity, so that nobody who had it before can
// write any more, and makes room for the children.
func (h *hosted) takeOver(ctx *actors.Context) error {
	i := h.identity
	background := context.Background()
	if !i.checked {
		if err := i.key.Check(); err != nil {
			return fmt.Errorf("%w: %w: %w", actors.ErrCorruptState, persistence.ErrCorrupt, err)
		}
		i.checked = true
	}
	if i.epoch == 0 {
		if err := i.own(background); err != nil {
			return err
		}
	}
	if i.kept.approved.Load() == nil {
		own, err := deviceactor.LoadContact(background, i.engine.committer, i.owner, i.public)
		if err != nil {
			return err
		}
		i.kept.copied.Store(own.AnyEnabled())
		i.kept.approve(own.Siblings())
	}
	h.fence = i.fence()
	h.host.init(i, ctx.Self())
	options, newChild := &i.engine.options, h.newChild
	h.bundle = actors.NewChildren(ctx, actors.ChildrenOptions{Buffer: handOver, IdleAfter: options.IdleAfter, New: newChild})
	h.contacts = actors.NewChildren(ctx, actors.ChildrenOptions{Buffer: handOver, IdleAfter: options.IdleAfter, New: newChild})
	h.inbox = actors.NewChildren(ctx, actors.ChildrenOptions{
		Buffer:    math.MaxInt, // what is told here was accepted: Options.MaxUnhandled bounds it
		IdleAfter: options.IdleAfter,
		InUse:     i.busy, // the handler may take longer than that
		New:       newChild,
	})
	return nil
}

// Resumes implements actors.Resumer: a contact that stops may wait for the bundle, and a
// handler for what it sends. Nothing here is lost or changed by a panic.
func (h *hosted) Resumes() bool { return h.contacts != nil }

// Receive implements actors.Actor.
func (h *hosted) Receive(ctx *actors.Context, message any) error {
	if h.contacts == nil {
		err := h.takeOver(ctx)
		if noRoom(err) {
			h.refuse(message, err)
			return nil
		}
		if err != nil {
			return forGood(err)
		}
	}
	if k := &h.identity.kept; len(k.untold) > 0 {
		for _, e := range k.untold {
			h.inbox.Tell(inboxName, e)
		}
		k.untold = nil
	}
	switch m := message.(type) {
	case toContact:
		var name [2 * x3dh.PublicKeySize]byte
		hex.Encode(name[:], m.contact[:])
		h.contacts.TellNamed(name[:], m.message)
	case toBundle:
		h.askBundle(ctx, m.message)
	case gotBundle:
		h.gotBundle(m)
	case setSiblings:
		h.outdate()
		kept := &h.identity.kept
		changed := !slices.Equal(*kept.approved.Load(), m.message.Siblings)
		kept.approve(m.message.Siblings)
		h.bundle.Tell(bundleName, m.message)
		if changed {
			h.contacts.TellAll(deviceactor.ForgetBundle{})
		}
	case toHandler:
		h.inbox.Tell(inboxName, m.event)
	case unsent:
		h.identity.kept.leaves(m.contact)
		if h.childless() {
			h.leave()
		}
	case actors.Sweep:
		h.tick(m)
	case rouse:
		h.seeTo(actors.Sweep{Now: time.Now()})
	case evict:
		h.evicted()
	case upkeep:
		return h.upkeep(m)
	case networkBack:
		h.bundle.TellAll(bundleactor.NetworkBack{})
		h.contacts.TellAll(deviceactor.NetworkBack{})
		if h.identity.kept.unpublished.Load() {
			h.bundle.Tell(bundleName, actors.Sweep{Now: time.Now()})
		}
	case unreported, acknowledge, *acknowledged, repeated, forgetReported:
		h.inbox.Tell(inboxName, m)
	}
	return nil
}

// askBundle hands a question on to the bundle actor, but answers by itself what the
// bundle is while that is known: most identities that wake need nothing else of it.
func (h *hosted) askBundle(ctx *actors.Context, message any) {
	i := h.identity
	switch m := message.(type) {
	case bundleactor.GetBundle:
		if p := i.atHand(); p != nil && p.Good(i.now()) {
			m.Send(*p)
			return
		}
		// Who has asked is answered by the bundle actor itself.
		self, outdated := ctx.Self(), i.kept.outdated
		message = bundleactor.GetBundle{Reply: actors.ReplyFunc(func(p bundleactor.Published, err error) {
			if err != nil {
				m.Fail(err)
				return
			}
			self.Tell(gotBundle{&p, outdated})
			m.Send(p)
		})}
	case bundleactor.Rotate:
		h.outdate()
	}
	h.bundle.Tell(bundleName, message)
}

// gotBundle keeps our bundle, unless it was asked for before it became another one.
func (h *hosted) gotBundle(m gotBundle) {
	if k := &h.identity.kept; m.outdated == k.outdated {
		k.published.Store(m.published)
	}
}

// outdate says that our bundle is about to become another one.
func (h *hosted) outdate() {
	k := &h.identity.kept
	k.published.Store(nil)
	k.outdated++
}

// atHand is our bundle, if it is known and as long as it is that; nil otherwise.
func (i *Identity) atHand() *bundleactor.Published {
	if i.Retired() {
		return nil
	}
	return i.kept.published.Load()
}

// refuse answers a message that nothing can be done for while the disk takes no writes.
// What waits in the store for its contact is seen to when there is room.
func (h *hosted) refuse(message any, err error) {
	switch m := message.(type) {
	case toContact:
		h.identity.kept.leaves(hex.EncodeToString(m.contact[:]))
	case toHandler:
		h.identity.kept.untold = append(h.identity.kept.untold, m.event)
		return
	case unreported:
		h.identity.kept.untold = append(h.identity.kept.untold, m)
		return
	}
	failInner(message, fmt.Errorf("%w: %w", deviceactor.ErrNotDurable, err))
}

// leaves notes a contact that is not in memory and has something to do.
func (k *kept) leaves(contact string) {
	if k.unsent == nil {
		k.unsent = make(map[string]bool)
	}
	k.unsent[contact] = true
}

// newChild makes incarnations of all children: one function for the three kinds, for there
// are many identities. It runs on the children's goroutines and touches only what does not
// change while there are any.
func (h *hosted) newChild(name string) actors.Actor {
	i := h.identity
	stream := i.engine.committer.NewStream(h.fence)
	switch name {
	case bundleName:
		return i.newBundle(stream)
	case inboxName:
		return &inbox{identity: i, stream: stream}
	}
	i.engine.grown()
	raw, err := hex.DecodeString(name)
	if err != nil || len(raw) != x3dh.PublicKeySize {
		panic(fmt.Sprintf("internal error: contact actor %s is not named after an identity", name))
	}
	return deviceactor.New(&h.host.config, PublicKey(raw), stream)
}

func (i *Identity) newBundle(stream *persistence.Stream) actors.Actor {
	config := bundleactor.Config{
		Identity:     i.key,
		Installation: i.installation,
		Owner:        i.owner,
		Reader:       i.engine.committer,
		Stream:       stream,
		Random:       i.engine.keys,
		Now:          i.now,
		Schedule:     i.engine.options.Schedule,
		Started:      i.engine.started,
		Siblings:     *i.kept.approved.Load(),
		Retired:      i.Retired(),
	}
	if !config.Retired {
		config.Publish = i.announce
	}
	return bundleactor.New(config)
}

// announce publishes our contact code when the bundle actor wants it.
func (i *Identity) announce(p bundleactor.Published, accepted func(error)) {
	if p.Doubted {
		i.engine.options.Logger.Warn("the clock contradicts what was signed before", "identity", i.public, "installation", i.installation)
	}
	i.publishCode(p, func(err error) {
		i.kept.unpublished.Store(err != nil)
		accepted(err)
	})
}

func (i *Identity) now() int64 { return i.engine.options.Now().UnixNano() }
