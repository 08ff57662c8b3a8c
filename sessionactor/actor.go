package sessionactor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// Config is what an Actor needs. Everything in it may be shared between
// actors and is only read.
type Config struct {
	Identity *x3dh.IdentityKey
	Place    Place
	Reader   Reader
	Random   io.Reader // safe for concurrent use
	Limits   ratchet.Limits
	Handover *Handover
}

// Actor owns the sessions of one peer installation.
type Actor struct {
	config   Config
	sessions *Sessions // nil: not read yet
}

var (
	_ actors.Actor  = (*Actor)(nil)
	_ actors.Closer = (*Actor)(nil)
)

// New makes an incarnation.
func New(config Config) *Actor {
	config.Place.last = new(lastName)
	return &Actor{config: config}
}

// Start implements actors.Actor. Nothing is read before the first message.
func (a *Actor) Start(*actors.Context) error { return nil }

// Close implements actors.Closer.
func (a *Actor) Close() { a.config.Handover.release() }

// Receive implements actors.Actor.
func (a *Actor) Receive(_ *actors.Context, message any) error {
	switch m := message.(type) {
	case *Encrypt:
		if err := a.load(m.Active); err != nil {
			return err
		}
		answer(a, m.Reply, func() (Encrypted, error) { return a.encrypt(m) })
	case Reserve:
		if err := a.load(m.Active); err != nil {
			return err
		}
		answer(a, m.Reply, func() (Reserved, error) { return a.reserve(m) })
	case *Decrypt:
		if err := a.load(m.Active); err != nil {
			return err
		}
		answer(a, m.Reply, func() (Decrypted, error) { return a.decrypt(m) })
	case Expire:
		if err := a.load(ID{}); err != nil {
			return err
		}
		answer(a, m.Reply, func() (ExpiredSessions, error) { return a.expire(m) })
	case Delete:
		if err := a.load(ID{}); err != nil {
			return err
		}
		answer(a, m.Reply, a.delete)
	}
	return nil
}

// answer gives a result; the state behind it is kept for the contact first.
func answer[T any](a *Actor, to actors.Reply[T], step func() (T, error)) {
	result, err := step()
	if err != nil {
		to.Fail(err)
		return
	}
	a.config.Handover.keep(a.sessions)
	to.Send(result)
}

// load makes sure the state is in memory; active is as for Load. A record that cannot be right stops
// the actor for good instead of starting it over and over.
func (a *Actor) load(active ID) error {
	if a.sessions != nil {
		return nil
	}
	if a.sessions = a.config.Handover.take(); a.sessions != nil {
		return nil
	}
	s, err := Load(context.Background(), a.config.Reader, a.config.Place, active)
	if errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("%w: %w", actors.ErrCorruptState, err)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	a.sessions = &s
	return nil
}

func (a *Actor) encrypt(m *Encrypt) (Encrypted, error) {
	out := Outgoing{Payload: m.Payload, Entry: *m.Entry, Own: *m.Own}
	watch := startIf(m.Timed)
	next, change, part, err := a.sessions.Send(a.config.Identity, a.config.Place.Ends, out, m.Now, a.config.Random)
	if err != nil {
		return Encrypted{}, err
	}
	took := watch.read()
	records := a.config.Place.records(change, a.sessions)
	a.advance(next, change)
	return Encrypted{Part: part, Records: records, Transitions: change.Transitions, Active: change.Active, Started: change.Started, Turned: change.Turned, Took: took}, nil
}

func (a *Actor) decrypt(m *Decrypt) (Decrypted, error) {
	watch := startIf(m.Timed)
	next, change, payload, err := a.sessions.Decrypt(a.config.Identity, a.config.Place.Ends, m.Incoming, a.config.Limits, m.Now)
	if err != nil {
		return Decrypted{}, err
	}
	took := watch.read()
	records := a.config.Place.records(change, a.sessions)
	a.advance(next, change)
	return Decrypted{Payload: payload, Records: records, Transitions: change.Transitions, Active: change.Active, Started: change.Started, Turned: change.Turned, Took: took}, nil
}

func (a *Actor) expire(m Expire) (ExpiredSessions, error) {
	next, change := a.sessions.Sweep(m.Usable, m.Now)
	records := a.config.Place.records(change, a.sessions)
	a.advance(next, change)
	return ExpiredSessions{Records: records, Transitions: change.Transitions}, nil
}

func (a *Actor) delete() (DeletedAll, error) {
	next, change := a.sessions.Delete()
	records := a.config.Place.records(change, a.sessions)
	a.advance(next, change)
	return DeletedAll{Records: records}, nil
}

func (a *Actor) advance(next Sessions, change Change) {
	next.Apply(change)
	a.sessions = &next
}

// stopwatch times a step; the zero value does not.
type stopwatch struct{ start time.Time }

func startIf(timed bool) stopwatch {
	if !timed {
		return stopwatch{}
	}
	return stopwatch{time.Now()}
}

// read gives the time since the start, 0 if there was none.
func (s stopwatch) read() time.Duration {
	if s.start.IsZero() {
		return 0
	}
	return time.Since(s.start)
}
