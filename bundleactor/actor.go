package bundleactor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

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
	// Siblings are our other installations that are approved at the start.
	Siblings []Sibling
}

// Actor owns the signed prekeys and the bundle of one hosted installation.
// While a renewal is on its way to the disk, requests for the bundle wait for
// it; nothing is published that could be lost.
type Actor struct {
	config    Config
	self      actors.Ref
	keys      PreKeys
	siblings  []Sibling
	last      int64 // ns, signing time of the last bundle published
	published *Published
	renewing  bool
	stale     bool // siblings changed since the bundle was signed
	waiting   []actors.Reply[Published]
}

var (
	_ actors.Actor   = (*Actor)(nil)
	_ actors.Drainer = (*Actor)(nil)
	_ actors.Closer  = (*Actor)(nil)
)

// renewal is what the actor becomes when the commit holds.
type renewal struct {
	keys      PreKeys
	published Published
}

// New makes an incarnation.
func New(config Config) *Actor { return &Actor{config: config, siblings: config.Siblings} }

// Start implements actors.Actor: it reads the prekeys.
func (a *Actor) Start(ctx *actors.Context) error {
	a.self = ctx.Self()
	a.config.Stream.Restart()
	keys, last, err := load(context.Background(), a.config.Reader, a.config.Owner)
	if errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("%w: %w", actors.ErrCorruptState, err)
	}
	a.keys, a.last = keys, last
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
		a.bundle(m.Reply)
	case SetSiblings:
		a.stale = a.stale || !slices.Equal(a.siblings, m.Siblings)
		a.siblings = m.Siblings
		a.bundle(m.Reply)
	case FindPreKey:
		m.Send(a.keys.Find(m.Public))
	case actors.Sweep:
		// Prekeys are replaced and destroyed on time also if nobody asks.
		if now := a.config.Now(); !a.renewing && a.keys.due(a.config.Schedule, now) {
			a.renew(now)
		}
	case committed:
		a.settle(m)
	}
	return nil
}

// bundle answers with the present bundle, or renews it first.
func (a *Actor) bundle(to actors.Reply[Published]) {
	now := a.config.Now()
	if !a.renewing && !a.stale && a.published != nil && now < a.published.Until {
		to.Send(*a.published)
		return
	}
	a.waiting = append(a.waiting, to)
	if !a.renewing {
		a.renew(now)
	}
}

// renew rotates if that is due, signs, and commits before anything is shown.
func (a *Actor) renew(now int64) {
	next, list, err := a.prepare(now)
	if err != nil {
		a.answer(func(to actors.Reply[Published]) { to.Fail(err) })
		return
	}
	a.renewing, a.stale = true, false
	self := a.self
	a.config.Stream.Commit(list, func(err error) { self.Tell(committed{a, next, err}) })
}

func (a *Actor) prepare(now int64) (renewal, []persistence.Record, error) {
	keys, change, err := a.keys.Rotate(a.config.Schedule, now, a.config.Random)
	if err != nil {
		return renewal{}, nil, err
	}
	b, err := keys.Bundle(a.config.Identity, a.config.Installation, a.siblings, now, a.last)
	if err != nil {
		return renewal{}, nil, err
	}
	list, err := records(a.config.Owner, change, &b)
	return renewal{keys, Published{Bundle: b, Until: a.config.until(keys, now)}}, list, err
}

// until is when the bundle has to be looked at again: when its signature is due
// for refresh or its prekey for rotation.
func (c *Config) until(keys PreKeys, now int64) int64 {
	current, _ := keys.Current()
	return min(now+int64(c.Schedule.Refresh), current.Created+int64(c.Schedule.Rotate))
}

func (a *Actor) settle(m committed) {
	if m.by != a {
		return // this incarnation has read what came of it, see Start
	}
	a.renewing = false
	if m.err != nil {
		a.stale = true
		a.config.Stream.Resume()
		a.answer(func(to actors.Reply[Published]) { to.Fail(m.err) })
		return
	}
	a.keys, a.last = m.next.keys, m.next.published.Bundle.Timestamp
	a.published = &m.next.published
	if a.stale { // siblings changed meanwhile: those who wait get the newer one
		a.renew(a.config.Now())
		return
	}
	a.answer(func(to actors.Reply[Published]) { to.Send(*a.published) })
}

func (a *Actor) answer(with func(actors.Reply[Published])) {
	waiting := a.waiting
	a.waiting = nil
	for _, to := range waiting {
		with(to)
	}
}
