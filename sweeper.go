package rookery

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
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
	// contactsPerSweep bounds how many contacts of an identity are woken at once.
	contactsPerSweep = 16
)

// sweeper is the actor that wakes identities one after the other, so that they
// are spread over the day. It also lets go of key pairs that nobody needed.
type sweeper struct {
	engine *Engine
	left   []*Identity // of this round
	each   int         // how many at a time
	begun  time.Time
}

// upkeep asks an identity to look after what is asleep.
type upkeep struct{}

// Start implements actors.Actor.
func (s *sweeper) Start(*actors.Context) error { return nil }

// Receive implements actors.Actor.
func (s *sweeper) Receive(_ *actors.Context, message any) error {
	tick, ok := message.(actors.Sweep)
	if !ok {
		return nil
	}
	s.engine.keys.Sweep(tick.Now)
	if len(s.left) == 0 {
		if tick.Now.Sub(s.begun).Abs() < upkeepEvery {
			return nil
		}
		s.left, s.begun = s.engine.Identities(), tick.Now
		s.each = 1 + len(s.left)/int(upkeepEvery/sweepEvery)
	}
	n := min(len(s.left), s.each)
	for _, i := range s.left[:n] {
		i.awake().Tell(upkeep{}) // dropped if the engine is closing
	}
	s.left = s.left[n:]
	return nil
}

// upkeep notes which contacts have to be woken.
func (h *hosted) upkeep() error {
	h.bundle.Tell(bundleName, bundleactor.GetUsable{})
	i := h.identity
	if len(h.due) > 0 {
		return nil // those of last time come first
	}
	contacts := persistence.NewName(persistence.KindContact, i.owner[:])
	return i.engine.committer.Scan(context.Background(), contacts, func(name persistence.Name, _ []byte) error {
		parts, err := name.Parts()
		if err != nil {
			return fmt.Errorf("%w: %w: contact %v", actors.ErrCorruptState, ErrStoreCorrupt, name)
		}
		h.due = append(h.due, hex.EncodeToString(parts[len(parts)-1]))
		return nil
	})
}

// wakeDue lets some of them expire what is due.
func (h *hosted) wakeDue() {
	n := min(len(h.due), contactsPerSweep)
	for _, contact := range h.due[:n] {
		h.contacts.Tell(contact, deviceactor.Expire{})
	}
	h.due = h.due[n:]
}
