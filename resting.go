package rookery

import (
	"sync"
	"sync/atomic"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport"
)

// Identities sleep (docs/adr/0027): the actor of one that nobody uses leaves memory with
// all below it, and is started again by the next message for it. What it must not
// forget and the store does not have is kept with the Identity; what is under way keeps
// it awake.

// kept is what outlives an identity's stay in memory. It belongs to its actor, all
// incarnations in turn, but for what is atomic.
type kept struct {
	// approved are our other installations in the bundle; nil while they were not read.
	approved atomic.Pointer[[]bundleactor.Sibling]
	// copied tells whether any of them is to get copies of what is sent, also one whose
	// bundle we do not have.
	copied atomic.Bool
	// inbox: the inbox has left memory with something to look after.
	inbox atomic.Bool
	// unpublished: the network has not taken our contact code.
	unpublished atomic.Bool
	// unsent are contacts that left memory with messages in the outbox.
	unsent map[string]bool
	// coolDowns and outboxes are the contacts', which come and go.
	coolDowns deviceactor.CoolDowns
	outboxes  deviceactor.Outboxes
	// published is our bundle as it was asked for last; nil: the bundle actor is asked.
	published atomic.Pointer[bundleactor.Published]
	// outdated counts how often it has become another one.
	outdated int
	// untold are events, and messages of the inbox to report, from before there was space
	// to take over.
	untold []any
	// due are contacts to be woken for upkeep.
	due []string
}

// noSiblings are what most have approved.
var noSiblings []bundleactor.Sibling

func (k *kept) approve(siblings []bundleactor.Sibling) {
	if len(siblings) == 0 {
		k.approved.Store(&noSiblings) // there are many of these
		return
	}
	own := siblings // siblings itself would be allocated for those above, too
	k.approved.Store(&own)
}

// leavesOver tells whether somebody has to wake the identity, or it stays undone.
func (k *kept) leavesOver() bool {
	return len(k.unsent)+len(k.untold)+len(k.due) > 0 || k.inbox.Load()
}

// activity is what keeps an identity in memory.
type activity struct {
	working   atomic.Int64 // messages under way in both directions, envelopes the network has not answered, calls of the handler
	unhandled atomic.Int64 // events waiting for the handler
	leases    atomic.Int64 // of Directs

	unhandledBytes atomic.Int64 // of their payloads
}

func (a *activity) busy() bool { return a.working.Load() > 0 || a.unhandled.Load() > 0 }

// admitted is a message that was let in; it keeps the identity in memory.
type admitted struct {
	identity *Identity
	place    actors.Place[conversation]
}

// admit lets a message in, if there is room for it, until it is released.
func (i *Identity) admit(contact PublicKey, m *admitted) error {
	if err := i.engine.admission.Acquire(conversation{i.owner, contact}, &m.place); err != nil {
		return err
	}
	m.identity = i
	i.working.Add(1)
	i.engine.room.used(i.actor.Idle())
	return nil
}

// release is called once for a message that was let in.
func (m *admitted) release() {
	m.place.Release()
	m.identity.working.Add(-1)
}

// publish is that of the transport; the identity stays in memory until the network has
// answered.
func (i *Identity) publish(e transport.Envelope, accepted func(error)) {
	i.working.Add(1)
	i.engine.options.Transport.Publish(e, func(err error) {
		accepted(err)
		i.working.Add(-1)
	})
}

// The messages of who looks after the identities.
type (
	// evict asks an identity to make room.
	evict struct{}
	// rouse asks one that left something over to see to it.
	rouse struct{}
)

// tick looks after what is due, or has the identity rest if it was not used for long.
func (h *hosted) tick(tick actors.Sweep) {
	i := h.identity
	i.actor.Stay()
	idle := i.actor.Idle()
	after := i.engine.options.IdleAfter
	used := i.busy() || len(i.kept.due) > 0 || h.more || h.since.IsZero()
	if last := i.actor.Used(); last != h.used {
		h.used, used = last, true
	}
	switch {
	case used:
		h.since = tick.Now
	case idle >= after && h.visited, tick.Now.Sub(h.since) >= after:
		h.rest()
		return
	}
	h.seeTo(tick)
}

// seeTo wakes those that left something over.
func (h *hosted) seeTo(tick actors.Sweep) {
	k := &h.identity.kept
	h.publishUnsent()
	if k.inbox.Swap(false) {
		h.inbox.Tell(inboxName, tick)
	}
	h.wakeDue()
	if h.childless() {
		h.leave()
	}
}

// publishUnsent wakes contacts that have something in the outbox, some at a time; none
// while the engine opens and not all listen.
func (h *hosted) publishUnsent() {
	k, e := &h.identity.kept, h.identity.engine
	if len(k.unsent) == 0 || e.sweeper.Load() == nil {
		return
	}
	left := e.atOnce(unsentPerSweep)
	for contact := range k.unsent {
		if left == 0 {
			break
		}
		left--
		delete(k.unsent, contact)
		h.contacts.Tell(contact, deviceactor.Republish{})
	}
	if h.more = len(k.unsent) > 0; !h.more {
		k.unsent = nil // a map keeps its room, and there are many of these
	}
}

// rest has all children leave memory. Whoever is told something meanwhile comes back.
func (h *hosted) rest() {
	h.bundle.PassivateAll()
	h.contacts.PassivateAll()
	h.inbox.PassivateAll()
	if h.childless() {
		h.leave()
	}
}

func (h *hosted) childless() bool {
	return h.contacts != nil && h.bundle.Len()+h.contacts.Len()+h.inbox.Len() == 0
}

// Childless implements actors.Parent: without children there is nothing here that it
// is worth staying in memory for.
func (h *hosted) Childless(*actors.Context) { h.leave() }

func (h *hosted) leave() {
	i := h.identity
	if h.contacts == nil || i.busy() {
		return
	}
	if i.actor.Leave() && i.kept.leavesOver() {
		i.engine.restless.add(i, h.more)
	}
}

// evicted makes room unless the identity is at work.
func (h *hosted) evicted() {
	i := h.identity
	if h.contacts == nil || i.busy() || i.leases.Load() > 0 {
		i.actor.Touch()
		i.actor.Stay()
		return
	}
	h.rest()
}

// restless are the identities that went to sleep and left something over.
type restless struct {
	mu sync.Mutex
	by map[*Identity]int // in how many sweeps it is to be woken
	in int               // that many for a new one
}

// add has an identity woken after a while, or soon.
func (r *restless) add(i *Identity, soon bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = make(map[*Identity]int)
	}
	sweeps := r.in
	if soon {
		sweeps = 1
	}
	if before, ok := r.by[i]; !ok || sweeps < before {
		r.by[i] = sweeps
	}
}

func (r *restless) remove(i *Identity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.by, i)
}

// due gives those that are to be woken with this sweep, up to so many.
func (r *restless) due(most int) []*Identity {
	r.mu.Lock()
	defer r.mu.Unlock()
	var due []*Identity
	for i, sweeps := range r.by {
		switch {
		case sweeps > 1:
			r.by[i] = sweeps - 1
		case len(due) < most:
			due = append(due, i)
			delete(r.by, i)
		}
	}
	return due
}

// hurry has all of them woken with the next sweeps.
func (r *restless) hurry() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.by {
		r.by[i] = 0
	}
}

// fence is the claim under which the identity's records are written.
func (i *Identity) fence() persistence.Fence {
	return persistence.Fence{Owner: i.owner, Epoch: i.epoch}
}
