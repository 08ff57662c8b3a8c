package rookery

import (
	"sync/atomic"
	"time"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/sessionactor"
)

// Estimates of what is in memory, in bytes: of an identity that is awake, with its
// actors; of a contact; of the sessions with one of its installations.
// TestMemoryIsNearTheEstimate holds them near to what is measured.
const (
	identityWeight = 3200
	contactWeight  = 3500
	sessionWeight  = 5200
)

const (
	// defaultMemoryBudget is Options.MemoryBudget when it is not given: with it a process of
	// 100,000 identities, garbage and store included, stays below 2 GiB.
	defaultMemoryBudget = 384 << 20
	// The budget that is used is never less than a quarter of Options.MemoryBudget, nor
	// than this if that is more (bytes).
	worthwhile = 96 << 20
	// usesToJudge is after how many uses it is judged.
	usesToJudge = 1024
)

// room is how much those who are awake may take. All of Options.MemoryBudget does good
// where identities are used again soon. Where ever others are used it does none: hardly
// anybody is found awake, and the collector looks through all of them again and again,
// for such a process makes much garbage. So it is judged by what half of the budget, or
// twice, would change, and the times between two uses of an identity tell that
// (docs/adr/0027-identities-sleep.md).
type room struct {
	wanted atomic.Bool // the sweeper was told that the budget is exceeded

	most   int64        // Options.MemoryBudget, bytes; 0: no limit
	budget atomic.Int64 // that is used, bytes
	// age is how long those had not been used that were asked to leave lately (ns); 0:
	// nobody was. Who is used again within that is awake.
	age atomic.Int64
	// Uses after a time between half of age and age; between age and twice age; after
	// more. Half of the budget would have the first ones wake somebody, twice as much
	// would save the second ones that.
	kept, near, far atomic.Int64
}

func (r *room) init(most int64) {
	r.most = max(most, 0)
	r.budget.Store(r.most)
}

// used notes for how long somebody was not used who is used now.
func (r *room) used(idle time.Duration) {
	switch age := time.Duration(r.age.Load()); {
	case age == 0, idle <= age/2:
	case idle <= age:
		r.kept.Add(1)
	case idle <= 2*age:
		r.near.Add(1)
	default:
		r.far.Add(1)
	}
}

// judge makes the budget larger if a larger one would save a quarter of those who are
// woken that, and smaller if without half of it not even a third more would be woken.
func (r *room) judge() {
	kept, near, far := r.kept.Load(), r.near.Load(), r.far.Load()
	if kept+near+far < usesToJudge {
		return
	}
	r.kept.Add(-kept)
	r.near.Add(-near)
	r.far.Add(-far)
	budget, woken := r.budget.Load(), near+far
	switch {
	case 4*near >= woken:
		budget += budget / 8
	case 3*kept < woken:
		budget -= budget / 8
	}
	r.budget.Store(min(max(budget, r.most/4, worthwhile), r.most))
}

// left notes for how long somebody was not used who was asked to leave.
func (r *room) left(idle time.Duration) {
	if age := r.age.Load(); age != 0 {
		idle = (7*time.Duration(age) + idle) / 8
	}
	r.age.Store(max(int64(idle), 1))
}

// makeRoom tells the sweeper that the budget is exceeded.
type makeRoom struct{}

// inMemory estimates what the identities that are awake take, in bytes.
func (e *Engine) inMemory() int64 {
	return int64(e.system.Residents().Awake)*identityWeight +
		e.system.LiveOf((*deviceactor.Actor)(nil))*contactWeight +
		e.system.LiveOf((*sessionactor.Actor)(nil))*sessionWeight
}

// full tells that they take more than they may.
func (e *Engine) full() bool {
	budget := e.room.budget.Load()
	return budget > 0 && e.inMemory() > budget
}

// unsentPerSweep bounds how many contacts of an identity are woken at once to publish
// their outboxes.
const unsentPerSweep = 256

// atOnce is how many may be woken at a time: an eighth if there is no room for them, so
// that all get their turn.
func (e *Engine) atOnce(most int) int {
	if e.full() {
		return most / 8
	}
	return most
}

// grown is called when something was added to memory.
func (e *Engine) grown() {
	if !e.full() {
		return
	}
	if sweeper := e.sweeper.Load(); sweeper != nil && e.room.wanted.CompareAndSwap(false, true) {
		sweeper.Tell(makeRoom{})
	}
}

// makeRoom asks those that were not used for the longest time to sleep, so many that a
// tenth of the budget gets free. It is the sweeper's.
func (e *Engine) makeRoom() {
	e.room.wanted.Store(false)
	e.room.judge()
	budget := e.room.budget.Load()
	taken := e.inMemory()
	if budget <= 0 || taken <= budget {
		return
	}
	residents := e.system.Residents()
	each := max(taken/int64(max(residents.Awake, 1)), 1)
	excess := taken - budget/10*9 - int64(residents.Asked)*each
	if excess <= 0 {
		return
	}
	wanted := min(int((excess+each-1)/each), residents.Awake-residents.Asked)
	for wanted > 0 {
		oldest := e.system.LeastRecentlyUsed(wanted)
		if len(oldest) == 0 {
			return
		}
		for _, r := range oldest {
			if idle := r.Idle(); r.Used() > 0 { // else it was only woken
				e.room.left(idle)
			}
			r.TellAwake(evict{})
		}
		wanted -= len(oldest)
	}
}
