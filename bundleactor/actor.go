package bundleactor

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
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
	// Started is since when the process runs (ns), which outlives the actor's stay in
	// memory; 0: since the actor's start.
	Started int64
	// Retired is set for an installation that has a successor: there is no
	// bundle of it any more, only the prekeys that it still needs.
	Retired bool
	// Siblings are our other installations that are approved at the start.
	Siblings []Sibling
	// Publish publishes the bundle for everybody, as a contact code; nil for
	// never. It is called with a durable bundle, on the actor's goroutine, and
	// must not block. It calls accepted exactly once, from any goroutine: with nil
	// when the network has taken it, and only then it counts as published. Else it
	// is called again after a while, see Retry.
	Publish func(p Published, accepted func(error))
}

// Actor owns the signed prekeys and the bundle of one hosted installation.
// While a renewal is on its way to the disk, requests for the bundle wait for
// it; nothing is published that could be lost.
type Actor struct {
	config   Config
	self     actors.Ref
	state    State // durable; without its prekeys until loaded
	loaded   bool
	made     int64 // ns, when our prekey in the bundle was, 0 if only the prekeys say that
	siblings []Sibling
	started  int64 // ns, a reading of the clock
	renewing bool
	noting   bool   // that a network has taken our bundle: what renewing is
	again    bool   // something was asked for during a renewal that it may lack
	why      Reason // of the next renewal, if again
	waiting  []actors.Reply[Published]
	attempt  attempt
}

// attempt is how the publication for everybody goes.
type attempt struct {
	wanted   bool         // when what is being renewed is durable
	underWay bool         // the network has not answered
	failures int          // in a row
	retry    int64        // ns: not before
	taken    *wire.Bundle // the network has it, which is to be noted
}

// waits tells whether it is too early to try again. A time that is further away than
// any wait is that of a clock that has gone back.
func (a *attempt) waits(now int64) bool {
	return a.underWay || a.failures > 0 && now < a.retry && a.retry-now <= int64(retryMost)
}

var (
	_ actors.Actor    = (*Actor)(nil)
	_ actors.Drainer  = (*Actor)(nil)
	_ actors.Restless = (*Actor)(nil)
	_ actors.Closer   = (*Actor)(nil)
)

// New makes an incarnation.
func New(config Config) *Actor { return &Actor{config: config, siblings: config.Siblings} }

// Start implements actors.Actor: it reads what was published. The prekeys are read
// when they are needed, which they are not for most messages.
func (a *Actor) Start(ctx *actors.Context) error {
	a.self = ctx.Self()
	a.started = cmp.Or(a.config.Started, a.config.Now())
	a.config.Stream.Restart(preKeys(a.config.Owner), publicationName(a.config.Owner))
	var err error
	a.made, err = a.state.loadPublication(context.Background(), a.config.Reader, a.config.Owner)
	return forGood(err)
}

// load makes sure that the prekeys are in memory.
func (a *Actor) load() error {
	if a.loaded {
		return nil
	}
	state, err := Load(context.Background(), a.config.Reader, a.config.Owner)
	if err != nil {
		return forGood(err)
	}
	a.state, a.loaded = state, true
	return nil
}

// forGood marks errors that starting again does not mend.
func forGood(err error) error {
	if persistence.Lasting(err) {
		return fmt.Errorf("%w: %w", actors.ErrCorruptState, err)
	}
	return err
}

// Drained implements actors.Drainer.
func (a *Actor) Drained() bool { return !a.renewing }

// Restless implements actors.Restless: the first publication comes at once, and what no
// network has taken is tried again soon. All else may wait.
func (a *Actor) Restless() bool {
	t := &a.attempt
	return a.config.Publish != nil &&
		(t.failures > 0 || t.taken != nil || a.state.Announced == 0 && a.state.Changed >= a.started)
}

// Close implements actors.Closer.
func (a *Actor) Close() {
	a.answer(func(to actors.Reply[Published]) { to.Fail(actors.ErrStopped) })
}

// Receive implements actors.Actor.
func (a *Actor) Receive(_ *actors.Context, message any) error {
	if m, ok := message.(GetBundle); ok && !a.loaded && !a.config.Retired {
		now := a.config.Now()
		if p, ok := a.state.publishedAsRead(a.made, a.config.Schedule, a.config.Installation, a.siblings); ok && p.Good(now) && a.made <= now {
			m.Send(p)
			return nil
		}
	}
	if err := a.load(); err != nil {
		return err
	}
	switch m := message.(type) {
	case GetBundle:
		if a.noting { // it renews nothing
			a.ask(m.Reply, Asked)
			return nil
		}
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
		found, err := a.state.Keys.Find(m.Public)
		if err != nil {
			return forGood(err)
		}
		m.Send(found)
	case GetUsable:
		m.Send(a.state.Keys.Usable())
	case actors.Sweep:
		a.sweep()
	case NetworkBack:
		if a.attempt.failures > 0 {
			a.attempt.failures = 0
			a.sweep()
		}
	case Taken:
		if !a.config.Retired {
			a.taken(m.Bundle)
		}
	case committed:
		a.settle(m)
	case answered:
		a.answered(m)
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
	switch {
	case a.attempt.taken != nil: // before it is, it is not published again
		a.note()
	case a.config.Publish != nil && !a.attempt.waits(now) && a.state.AnnounceDue(a.config.Schedule, a.config.Owner, a.started, now):
		a.attempt.wanted = true
		a.renew(Asked)
	default:
		a.renew(Swept)
	}
}

// publish hands our bundle to the network.
func (a *Actor) publish(p Published) {
	a.attempt.underWay = true
	self := a.self
	a.config.Publish(p, func(err error) { self.Tell(answered{a, &p.Bundle, err}) })
}

// answered notes what the network has said to a publication.
func (a *Actor) answered(m answered) {
	if m.by != a {
		return // to an earlier incarnation: this one publishes again
	}
	t := &a.attempt
	t.underWay = false
	if m.err != nil {
		t.failures++
		t.retry = a.config.Now() + int64(Retry(a.config.Owner, t.failures))
		return
	}
	a.taken(m.bundle)
}

// taken notes that a network has a bundle of ours.
func (a *Actor) taken(bundle *wire.Bundle) {
	a.attempt.failures, a.attempt.taken = 0, bundle
	if !a.renewing {
		a.note()
	}
}

// note makes durable that the network has our bundle.
func (a *Actor) note() {
	next, change := a.state.Taken(a.attempt.taken, a.config.Now())
	list, err := next.Records(a.config.Owner, change)
	if err != nil {
		return // the next sweep tries again
	}
	a.noting = true
	a.commit(list, next)
}

func (a *Actor) commit(list []persistence.Record, next State) {
	a.renewing = true
	self := a.self
	a.config.Stream.Commit(list, func(err error) { self.Tell(committed{a, next, err}) })
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
		a.attempt.wanted = false
		a.answer(func(to actors.Reply[Published]) { to.Fail(err) })
	case change.Empty():
		a.answerPublished()
		if a.attempt.wanted {
			a.attempt.wanted = false
			a.publish(a.state.Published(c.Schedule))
		}
	default:
		a.commit(list, next)
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
	again, why, publish, noted := a.again, a.why, a.attempt.wanted, a.noting
	a.again, a.why, a.attempt.wanted, a.noting = false, Swept, false, false
	if m.err != nil {
		a.config.Stream.Resume()
		a.answer(func(to actors.Reply[Published]) { to.Fail(m.err) })
		return
	}
	a.state = m.next
	if noted {
		a.attempt.taken = nil
	}
	if again { // those who wait get the newer one
		a.renew(why)
	} else {
		a.answerPublished()
	}
	if a.attempt.taken != nil && !a.renewing {
		a.note()
	}
	if publish {
		a.publish(m.next.Published(a.config.Schedule))
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
