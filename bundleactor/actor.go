package bundleactor

import (
	"context"
	"fmt"
	"io"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/x3dh"
)

// Config is what an Actor needs.
type Config struct {
	Identity     *x3dh.IdentityKey
	Installation string
	Owner        persistence.OwnerID
	Reader       Reader
	Stream       *persistence.Stream
	Random       io.Reader    // safe for concurrent use
	Now          func() int64 // ns since the epoch
	Schedule     Schedule
	// Retired is set for an installation that has a successor: there is no
	// bundle of it any more, only the prekeys that it still needs.
	Retired bool
	// Siblings are our other installations that are approved at the start.
	Siblings []Sibling
	// Publish publishes the bundle for everybody, as a contact code; nil for
	// never. It is called with a durable bundle, on the actor's goroutine, and
	// must not block. Nobody is told whether it reached anyone: what gets lost
	// is made good by the next publication, see Schedule.Publish.
	Publish func(Published)
}

// Actor owns the signed prekeys and the bundle of one hosted installation.
// While a renewal is on its way to the disk, requests for the bundle wait for
// it; nothing is published that could be lost.
type Actor struct {
	config   Config
	self     actors.Ref
	state    State // durable
	siblings []Sibling
	started  int64 // ns, a reading of the clock
	renewing bool
	again    bool   // something was asked for during a renewal that it may lack
	why      Reason // of the next renewal, if again
	waiting  []actors.Reply[Published]
}

var (
	_ actors.Actor   = (*Actor)(nil)
	_ actors.Drainer = (*Actor)(nil)
	_ actors.Closer  = (*Actor)(nil)
)

// New makes an incarnation.
func New(config Config) *Actor { return &Actor{config: config, siblings: config.Siblings} }

// Start implements actors.Actor: it reads the prekeys.
func (a *Actor) Start(ctx *actors.Context) error {
	a.self = ctx.Self()
	a.started = a.config.Now()
	a.config.Stream.Restart()
	state, err := Load(context.Background(), a.config.Reader, a.config.Owner)
	if persistence.Lasting(err) {
		return fmt.Errorf("%w: %w", actors.ErrCorruptState, err)
	}
	a.state = state
	return err
}

// Drained implements actors.Drainer.
func (a *Actor) Drained() bool { return !a.renewing }

// Close implements actors.Closer.
func (a *Actor) Close() {
	a.answer(func(to actors.Reply[Published]) { to.Fail(actors.ErrStopped) })
}

// Receive implements actors.Actor.
func (a *Actor) Receive(_ *actors.Context, message any) error {
	switch m := message.(type) {
	case GetBundle:
		a.waiting = append(a.waiting, m.Reply)
		if !a.renewing {
			a.renew(Asked)
		}
	case Rotate:
		a.ask(m.Reply, Forced)
	case SetSiblings:
		a.siblings = m.Siblings
		a.ask(m.Reply, Asked)
	case FindPreKey:
		m.Send(a.state.Keys.Find(m.Public))
	case GetUsable:
		m.Send(a.state.Keys.Usable())
	case actors.Sweep:
		a.sweep()
	case committed:
		a.settle(m)
	}
	return nil
}

// ask renews for a request that a renewal already under way may not satisfy.
func (a *Actor) ask(to actors.Reply[Published], why Reason) {
	a.waiting = append(a.waiting, to)
	if a.renewing {
		a.again, a.why = true, max(a.why, why)
		return
	}
	a.renew(why)
}

// sweep does what is due although nobody asks: prekeys are replaced and
// destroyed on time, and the bundle is published.
func (a *Actor) sweep() {
	if a.renewing {
		return
	}
	now := a.config.Now()
	a.started = min(a.started, now)
	why := Swept
	if a.config.Publish != nil && a.state.AnnounceDue(a.config.Schedule, a.config.Owner, a.started, now) {
		why = Announced
	}
	a.renew(why)
}

// renew does what is due and answers those who wait when it is durable.
func (a *Actor) renew(why Reason) {
	c := &a.config
	next, change, err := a.step(why)
	var list []persistence.Record
	if err == nil {
		list, err = next.Records(c.Owner, change)
	}
	switch {
	case err != nil:
		a.answer(func(to actors.Reply[Published]) { to.Fail(err) })
	case change.Empty():
		a.answerPublished()
	default:
		a.renewing = true
		self := a.self
		c.Stream.Commit(list, func(err error) { self.Tell(committed{a, next, why, err}) })
	}
}

func (a *Actor) step(why Reason) (State, Change, error) {
	c := &a.config
	if c.Retired {
		next, change := a.state.Retire(c.Schedule, c.Now())
		return next, change, nil
	}
	return a.state.Renew(Installation{c.Identity, c.Installation, c.Schedule}, a.siblings, why, c.Now(), c.Random)
}

func (a *Actor) settle(m committed) {
	if m.by != a {
		return // this incarnation has read what came of it, see Start
	}
	a.renewing = false
	again, why := a.again, a.why
	a.again, a.why = false, Swept
	if m.err != nil {
		a.config.Stream.Resume()
		a.answer(func(to actors.Reply[Published]) { to.Fail(m.err) })
		return
	}
	a.state = m.next
	if again { // those who wait get the newer one
		a.renew(why)
	} else {
		a.answerPublished()
	}
	if m.why == Announced {
		a.config.Publish(m.next.Published(a.config.Schedule))
	}
}

func (a *Actor) answerPublished() {
	if a.config.Retired {
		a.answer(func(to actors.Reply[Published]) { to.Fail(ErrRetired) })
		return
	}
	p := a.state.Published(a.config.Schedule)
	a.answer(func(to actors.Reply[Published]) { to.Send(p) })
}

func (a *Actor) answer(with func(actors.Reply[Published])) {
	waiting := a.waiting
	a.waiting = nil
	for _, to := range waiting {
		with(to)
	}
}
