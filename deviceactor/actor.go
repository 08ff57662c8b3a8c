package deviceactor

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// Config is what the contacts of a hosted installation need. What is shared with other
// actors is safe for concurrent use.
type Config struct {
	Identity *x3dh.IdentityKey
	View     View
	Owner    persistence.OwnerID
	Host     Host
	Reader   Reader
	Random   io.Reader
	// KeepUnsent is how long a message is published again and again that the transport
	// does not take; 0: forever.
	KeepUnsent time.Duration
	// Outboxes outlive the contact's stay in memory; nil: its outbox is looked through
	// whenever it comes.
	Outboxes *Outboxes
	// LookUpWait is how long a first message waits for what Host.LookUp finds, before it
	// goes out DH-only; 0: not at all. Shorter than the contact stays in memory.
	LookUpWait time.Duration
	Counters   *Counters
	// CoolDowns outlive the contact's stay in memory.
	CoolDowns *CoolDowns
	Limits    ratchet.Limits
	// IdleAfter is how long a session may go unused before it leaves memory.
	IdleAfter time.Duration
}

// Actor owns one contact and is the parent of its session actors.
type Actor struct {
	config       *Config // of all contacts of the hosted installation; never changed
	peer         x3dh.IdentityPublicKey
	stream       *persistence.Stream
	self         actors.Ref
	end          error // why this incarnation ends, if a commit has failed
	contact      Contact
	sessions     *actors.Children
	sessionNames []sessionActor // few, and mostly one
	handovers    handovers
	topic        transport.Topic // of the contact
	verified     verifiedBundles

	bundle   bundleactor.Published // ours, good until bundle.Until
	ours     *wire.Bundle          // the bundle in it, never changed
	ownEntry *sessionactor.Entry   // what it says of this installation, never changed
	asking   bool                  // for our bundle
	outdated bool                  // what was asked for is no longer our bundle
	held     []Send                // waiting for our bundle
	looked   lookUp                // and those waiting for the contact's
	reserves []Reserve             // the same
	leases   Leases
	pending  int     // questions to the bundle actor that a stop waits for
	queue    []*work // in the order in which it was given out
	// queueRoom is room for a queue of one.
	queueRoom [1]*work
	prepared  []*work // to be committed together
	urgent    bool    // somebody waits for some of it
	inFlight  int     // commits
	drained   bool    // nothing was under way when that was asked last, and nothing came since
	batch     *batch  // the records of what is prepared; nil: none
	// written are the records of the work that is being prepared, mostly in room.
	written []persistence.Record
	room    [4]persistence.Record
	// arrivals are the messages that wait for a signed prekey of ours, and those behind
	// them, in the order in which they came.
	arrivals []*arrival
	// unaccepted are the published messages that the transport has not taken yet.
	unaccepted map[MessageID]unaccepted
	outage     outage
	// awaited are those of them that somebody waits for.
	awaited map[MessageID][]AwaitTaken
	// accepted are those that it has taken and that are still in the outbox.
	accepted []MessageID
	// copies are those our own other installations still have to get, if the
	// contact is our own identity; true while one is being made.
	copies  map[MessageID]bool
	expired int64 // ns, when expired sessions were looked for last
	// denying is set while everything of the contact is being deleted; what
	// arrives meanwhile waits, and finds a stranger.
	denying  bool
	deferred []any
}

var (
	_ actors.Actor    = (*Actor)(nil)
	_ actors.Drainer  = (*Actor)(nil)
	_ actors.Idler    = (*Actor)(nil)
	_ actors.Restless = (*Actor)(nil)
	_ actors.Closer   = (*Actor)(nil)
)

// New makes an incarnation for the contact peer, which writes to stream. There are many
// of them: config is shared by those of one hosted installation, and is not changed.
func New(config *Config, peer x3dh.IdentityPublicKey, stream *persistence.Stream) *Actor {
	return &Actor{config: config, peer: peer, stream: stream}
}

// passivationBuffer is how many messages wait for a session that is leaving
// memory; more are refused.
const passivationBuffer = 1024

// Start implements actors.Actor: it reads the contact.
func (a *Actor) Start(ctx *actors.Context) error {
	a.self = ctx.Self()
	a.stream.Restart(stateOf(a.config.Owner, a.peer, a.config.View.Own)...)
	a.unaccepted = make(map[MessageID]unaccepted)
	a.topic = transport.PersonalTopic(a.peer)
	a.expired = a.config.Host.Now()
	a.sessions = actors.NewChildren(ctx, actors.ChildrenOptions{
		New:       a.config.newSession(a.peer, &a.handovers),
		Buffer:    passivationBuffer,
		IdleAfter: a.config.IdleAfter,
	})
	contact, err := LoadContact(context.Background(), a.config.Reader, a.config.Owner, a.peer)
	if persistence.Lasting(err) {
		return fmt.Errorf("%w: %w", actors.ErrCorruptState, err)
	}
	if err != nil {
		return err
	}
	a.contact = contact
	if a.own() {
		a.config.Host.OwnDevices(contact) // what was told before may not have become durable
	}
	if err := a.loadCopies(); err != nil {
		return err
	}
	if a.config.Outboxes.enter(a.peer) {
		return nil
	}
	return a.loadOutbox()
}

// Drained implements actors.Drainer.
func (a *Actor) Drained() bool {
	a.drained = len(a.queue) == 0 && len(a.prepared) == 0 && a.inFlight == 0 && len(a.held)+len(a.reserves) == 0 && a.pending == 0 && len(a.arrivals) == 0 && len(a.deferred) == 0 && len(a.accepted) == 0
	return a.drained
}

// Restless implements actors.Restless: what the transport has not taken and the copies
// that are not made count sweeps.
func (a *Actor) Restless() bool { return len(a.unaccepted)+len(a.copies) > 0 }

// Close implements actors.Closer: what is prepared is committed. What is not has
// not happened, and is answered so.
func (a *Actor) Close() {
	switch {
	case len(a.unaccepted)+len(a.copies) > 0:
		a.config.Host.LeftOver(a.peer)
	case a.drained: // after a failure it is not known what is in the store
		a.config.Outboxes.leave(a.peer)
	}
	a.leases.End()
	a.Idle()
	end := a.end
	if end == nil {
		end = actors.ErrStopped
	}
	for _, s := range append(a.held, a.looked.waiting...) {
		s.Fail(end)
	}
	for _, r := range a.reserves {
		r.Fail(end)
	}
	for _, w := range a.queue {
		w.task.finish(a, end)
	}
	a.endArrivals(end)
	a.untakenAll(end)
	for _, m := range a.deferred {
		if f, ok := m.(interface{ Fail(err error) }); ok {
			f.Fail(end)
		}
	}
	a.held, a.looked.waiting, a.reserves, a.queue, a.deferred = nil, nil, nil, nil, nil
}

// Receive implements actors.Actor.
func (a *Actor) Receive(_ *actors.Context, message any) error {
	a.drained = false
	if a.denying && waitsForDenial(message) {
		a.deferred = append(a.deferred, message)
		return nil
	}
	if err := a.handle(message); err != nil {
		return err
	}
	for !a.denying && len(a.deferred) > 0 {
		next := a.deferred[0]
		a.deferred = a.deferred[1:]
		if err := a.handle(next); err != nil {
			return err
		}
	}
	if len(a.looked.waiting) > 0 && !a.denying {
		a.found()
	}
	return nil
}

func (a *Actor) handle(message any) error {
	switch m := message.(type) {
	case Send:
		a.begin(Sending, m.Since)
		a.send(m)
	case Reserve:
		a.reserve(m)
	case Receive:
		a.begin(Receiving, m.Since)
		a.receive(m)
	case TakeBundle:
		a.takeBundle(m)
	case SetEnabled:
		a.setEnabled(m)
	case SetBlocked:
		a.setBlocked(m)
	case Accept:
		a.accept(m)
	case Deny:
		a.deny(m)
	case MakeCopy:
		a.makeCopy(m.ID)
	case GetContact:
		m.Send(a.contact)
	case ForgetBundle:
		a.bundle.Until, a.outdated = 0, a.asking
		a.leases.End()
	case AwaitTaken:
		a.awaitTaken(m)
	case Republish:
		a.republish()
		a.remakeCopies()
	case Discard:
		return a.discard(m.ID)
	case NetworkBack:
		a.outage.passed()
	case Expire:
		a.expire()
	case actors.Sweep:
		a.republish()
		a.remakeCopies()
		if !within(a.expired, a.config.Host.Now(), int64(expireEvery)) {
			a.expire()
		}
	default:
		return a.answer(message)
	}
	return nil
}

// answer takes what the contact has asked for.
func (a *Actor) answer(message any) error {
	switch m := message.(type) {
	case gotBundle:
		a.gotBundle(m)
	case gotAdvertisement:
		a.bundleAnswered()
		return a.gotAdvertisement(m)
	case gotPreKey:
		a.bundleAnswered()
		a.gotPreKey(m)
	case inTurn:
		a.arrived(m.arrival)
	case gotUsable:
		a.bundleAnswered()
		a.gotUsable(m)
	case encrypted:
		a.encrypted(m.share)
	case reserved:
		a.reserved(m)
	case decrypted:
		a.decrypted(m.incoming)
	case swept:
		a.swept(m)
	case *committed:
		return a.committed(m)
	case published:
		a.published(m)
	case copied:
		a.copied(m)
	case lookUpOver:
		a.lookUpOver(m)
	}
	return nil
}

// bundleAnswered notes an answer of the bundle actor, perhaps to an earlier incarnation.
func (a *Actor) bundleAnswered() {
	if a.pending > 0 {
		a.pending--
	}
}

// sessionActor is the name of a session actor, which is made of its installation's id:
// ids are bytes that a peer chose, names are not.
type sessionActor struct{ installation, name string }

// sessionName is the name of the installation's session actor.
func (a *Actor) sessionName(installation string) string {
	for i := range a.sessionNames {
		if a.sessionNames[i].installation == installation {
			return a.sessionNames[i].name
		}
	}
	name := hex.EncodeToString([]byte(installation))
	if len(a.sessionNames) < maxSessionActors {
		a.sessionNames = append(a.sessionNames, sessionActor{installation, name})
	}
	return name
}

// newSession makes incarnations of session actors. It runs on their
// goroutines, so it touches nothing of the contact but the handovers.
func (c *Config) newSession(peer x3dh.IdentityPublicKey, h *handovers) func(name string) actors.Actor {
	return func(name string) actors.Actor {
		installation, err := hex.DecodeString(name)
		if err != nil {
			panic("internal error: session actor's name is no installation id")
		}
		return sessionactor.New(sessionactor.Config{
			Identity: c.Identity,
			Place: sessionactor.Place{
				Owner: c.Owner,
				Ends: sessionactor.Ends{
					Own:              c.View.Own,
					OwnInstallation:  c.View.Installation,
					Peer:             peer,
					PeerInstallation: string(installation),
				},
			},
			Reader:   c.Reader,
			Random:   c.Random,
			Limits:   c.Limits,
			Handover: h.of(string(installation)),
		})
	}
}

// own tells whether the contact stands for our own other installations.
func (a *Actor) own() bool { return a.contact.own(a.config.View) }

// change is work that takes one step of the contact and asks nobody.
func (a *Actor) change(to actors.Reply[struct{}], step func(Contact) (Contact, Effects, error)) {
	w := new(work)
	w.task = &errand{func() error {
		contact, effects, err := step(a.contact)
		if err != nil {
			return err
		}
		w.take(a, contact, effects)
		return nil
	}, func(_ *Actor, err error) { answer(to, err) }}
	a.enqueue(w)
}

func (a *Actor) takeBundle(m TakeBundle) {
	err := a.contact.open()
	if err == nil {
		err = a.verify(&m.Bundle)
	}
	if err != nil {
		m.Fail(err)
		return
	}
	a.change(m.Reply, func(c Contact) (Contact, Effects, error) {
		if err := c.open(); err != nil {
			return c, Effects{}, err
		}
		now := a.config.Host.Now()
		next, e := c.TakeBundle(a.config.View, &m.Bundle, m.Sender, now)
		next, noted := next.noted(m.ByHand, now)
		e.add(noted)
		return next, e, nil
	})
}

func (a *Actor) setEnabled(m SetEnabled) {
	a.change(m.Reply, func(c Contact) (Contact, Effects, error) {
		return c.Enable(a.config.View, m.Installation, m.Enabled, a.config.Host.Now())
	})
}

func (a *Actor) accept(m Accept) {
	a.change(m.Reply, func(c Contact) (Contact, Effects, error) {
		if err := c.open(); err != nil {
			return c, Effects{}, err
		}
		if c.Standing != Requested && !m.Unasked || c.own(a.config.View) {
			return c, Effects{}, ErrNoRequest
		}
		next, e := c.Accept(a.config.Host.Now())
		return next, e, nil
	})
}

func answer(to actors.Reply[struct{}], err error) {
	if err != nil {
		to.Fail(err)
		return
	}
	to.Send(struct{}{})
}
