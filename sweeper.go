package rookery

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
)

// Some rules hold also for those who sleep: sessions are deleted 14 days after
// they expired, signed prekeys are replaced and destroyed. Once a day the
// sweeper wakes each identity for that, and the identity each of its contacts.

const (
	// upkeepEvery is how often that is due. Sessions and prekeys live for 14
	// days; they may get one more.
	upkeepEvery = 24 * time.Hour
	// backPerSweep is how many identities are told in one sweep that the network is
	// back: a thousand have published within 25 s.
	backPerSweep = 250
	// contactsPerSweep bounds how many contacts of an identity are woken at once.
	contactsPerSweep = 16
)

// sweeper is the actor that wakes identities one after the other, so that they
// are spread over the day. It also lets go of key pairs that nobody needed.
type sweeper struct {
	engine *Engine
	left   []*Identity // of this round
	each   int         // how many from one tick to the next
	begun  time.Time
	// contacts: this round is for contacts too. contactsBegun is when the last such
	// one began.
	contacts      bool
	contactsBegun time.Time

	back  []*Identity // to be told that the network is back
	ready time.Time   // since when it is, as known; zero: it is not, or that is not known
	known bool        // the network was looked at

	receipts receiptWalk
}

func (e *Engine) startSweeper() error {
	ref, err := e.system.Spawn("sweeper", func() actors.Actor { return &sweeper{engine: e} })
	if err == nil {
		e.sweeper.Store(&ref)
	}
	return err
}

// networkBack tells an identity that the network can be reached again.
type networkBack struct{}

// upkeep asks an identity to look after its prekeys, and after its contacts that are
// asleep.
type upkeep struct{ contacts bool }

// Start implements actors.Actor.
func (s *sweeper) Start(*actors.Context) error { return nil }

// Receive implements actors.Actor.
func (s *sweeper) Receive(ctx *actors.Context, message any) error {
	switch m := message.(type) {
	case makeRoom:
		s.engine.makeRoom()
	case nextErrand:
		s.engine.errands.goOn(ctx.Self())
	case actors.Sweep:
		s.engine.errands.add(s.sweep(m))
		s.engine.errands.goOn(ctx.Self())
	}
	return nil
}

// sweep does what is due, and gives whom to wake until the next tick.
func (s *sweeper) sweep(tick actors.Sweep) []errand {
	s.engine.makeRoom() // those that were at work when they were asked
	var wake []errand
	for _, i := range s.engine.restless.due(s.engine.atOnce(backPerSweep)) {
		wake = append(wake, errand{i, rouse{}})
	}
	s.engine.keys.Sweep(tick.Now)
	s.receipts.sweep(s.engine, tick.Now)
	s.followNetwork()
	if len(s.left) == 0 {
		if tick.Now.Sub(s.begun).Abs() < s.within() {
			return wake
		}
		s.left, s.begun = s.engine.Identities(), tick.Now
		s.contacts = tick.Now.Sub(s.contactsBegun).Abs() >= upkeepEvery
		if s.contacts {
			s.contactsBegun = tick.Now
		}
		s.each = 1 + len(s.left)/int(max(s.within()/sweepEvery, 1))
	}
	n := min(len(s.left), s.each)
	for _, i := range s.left[:n] {
		wake = append(wake, errand{i, upkeep{s.contacts}})
	}
	s.left = s.left[n:]
	return wake
}

// within is how long a round takes, and how often there is one. Who sleeps publishes
// nothing before it is woken.
func (s *sweeper) within() time.Duration {
	if publish := s.engine.options.Schedule.Publish; publish > 0 {
		return min(upkeepEvery, publish/2)
	}
	return upkeepEvery
}

// followNetwork tells the identities when the network is back, a part at a time:
// what it has not taken is published again at once.
func (s *sweeper) followNetwork() {
	if s.engine.courier == nil {
		return
	}
	var ready time.Time
	if health := s.engine.options.Carrier.Health(); health.Ready {
		ready = health.Since
	}
	switch {
	case ready.IsZero():
		s.back = nil
	case s.known && !ready.Equal(s.ready):
		s.back = s.engine.Identities()
		s.engine.restless.hurry()
	}
	s.known, s.ready = true, ready
	n := min(len(s.back), backPerSweep)
	for _, i := range s.back[:n] {
		if i.kept.unpublished.Load() {
			i.actor.Wake(networkBack{})
		} else {
			i.actor.TellAwake(networkBack{}) // the others have nothing to publish again
		}
	}
	s.back = s.back[n:]
}

// upkeep has the bundle do what is due, and notes which contacts have to be woken.
func (h *hosted) upkeep(m upkeep) error {
	h.bundle.Tell(bundleName, actors.Sweep{Now: time.Now()})
	i := h.identity
	if !m.contacts || len(i.kept.due) > 0 {
		return nil // those of last time come first
	}
	contacts := persistence.NewName(persistence.KindContact, i.owner[:])
	err := i.engine.committer.Scan(context.Background(), contacts, func(name persistence.Name, _ []byte) error {
		parts, err := name.Parts()
		if err != nil {
			return fmt.Errorf("%w: %w: contact %v", actors.ErrCorruptState, persistence.ErrCorrupt, name)
		}
		i.kept.due = append(i.kept.due, hex.EncodeToString(parts[len(parts)-1]))
		return nil
	})
	if err == nil || errors.Is(err, actors.ErrCorruptState) {
		return err
	}
	// Of the identity it says nothing. The next round looks again.
	i.engine.options.Logger.Warn("contacts cannot be looked through", "identity", i.public, "error", err)
	return nil
}

// wakeDue lets some of them expire what is due.
func (h *hosted) wakeDue() {
	k := &h.identity.kept
	n := min(len(k.due), contactsPerSweep)
	for _, contact := range k.due[:n] {
		h.contacts.Tell(contact, deviceactor.Expire{})
	}
	if k.due = k.due[n:]; len(k.due) == 0 {
		k.due = nil
	}
}
