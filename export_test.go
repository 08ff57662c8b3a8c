package rookery

import (
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/internal/keypool"
	"github.com/rookery-im/rookery/persistence"
)

// Sweep tells the tick of a moment to all actors: tests of what takes days do
// not wait for it.
func (e *Engine) Sweep(now time.Time) { e.system.Sweep(now) }

// SweepEvery is how often that is done otherwise.
const SweepEvery = sweepEvery

// SweepNever leaves the ticks to Sweep: else one that comes after five seconds of a
// slow machine does what a test has not come to yet.
func (o *Options) SweepNever() { o.sweepEvery = -1 }

// SeeStore has the engine use its store in Dir through what see makes of it.
func (o *Options) SeeStore(see func(persistence.Store) persistence.Store) { o.seeing = see }

// KeysAhead counts the key pairs that were made ahead of their use.
func (e *Engine) KeysAhead() keypool.Counts { return e.keys.Counts() }

// ReadContactCode takes a contact code apart, for a fuzzer.
func ReadContactCode(text string) (PublicKey, []byte, error) { return readContactCode(text) }

// Awake tells whether the identity's actor is in memory.
func (i *Identity) Awake() bool { return i.actor.Awake() }

// AskPreKeys has the identity's prekeys come into memory.
func (i *Identity) AskPreKeys() { i.actor.Tell(toBundle{bundleactor.GetUsable{}}) }

// Evict asks the identity to make room, as the sweeper does that of the least recently
// used one.
func (i *Identity) Evict() { i.actor.TellAwake(evict{}) }

// Panic has the identity's actor panic, at a message that cannot be.
func (i *Identity) Panic() { i.actor.Tell(toContact{}) }

// MakeForContacts makes what the actor of the identity makes for its contacts.
func (i *Identity) MakeForContacts() {
	h := &hosted{identity: i}
	h.host.init(i, actors.Ref{})
	made = h
}

var made *hosted // so that it is made

// Busy tells whether there is work under way that keeps the identity in memory.
func (i *Identity) Busy() bool { return i.busy() }

// InMemory estimates what those who are awake take, in bytes.
func (e *Engine) InMemory() int64 { return e.inMemory() }

// Room is what the memory budget follows.
type Room struct{ room }

// NewRoom has Options.MemoryBudget.
func NewRoom(most int64) *Room {
	r := new(Room)
	r.init(most)
	return r
}

func (r *Room) Used(idle time.Duration)                { r.used(idle) }
func (r *Room) Left(now time.Time, idle time.Duration) { r.left(now, idle) }
func (r *Room) Exceeded(now time.Time, crowded bool)   { r.exceeded(now, crowded) }
func (r *Room) Budget() int64                          { return r.budget.Load() }

// MemoryBudget is the one that is used at the moment, in bytes.
func (e *Engine) MemoryBudget() int64 { return e.room.budget.Load() }

// SetLeastBudget has less used at least than it otherwise would, in bytes.
func (e *Engine) SetLeastBudget(least int64) { e.room.least = least }

// The estimates, in bytes.
const (
	IdentityWeight = identityWeight
	ContactWeight  = contactWeight
	SessionWeight  = sessionWeight
)
