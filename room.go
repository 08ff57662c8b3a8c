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
	// worthwhile is what is used in any case, if Options.MemoryBudget permits it, and a
	// quarter of that if it is more (bytes).
	worthwhile = 96 << 20
	// usesToJudge is after how many uses it is judged.
	usesToJudge = 1024
	// crowd is from how many contacts for each identity on the uses of identities say
	// nothing: most of the memory is those contacts'.
	crowd = 4
	// agesLast is for how long it is known at least who has to leave, when nobody had to
	// since.
	agesLast = 2 * sweepEvery
)

// room is how much those who are awake may take. All of Options.MemoryBudget does good
// where identities are used again soon. Where hardly anybody is, it does none: few are
// found awake, and the collector looks through all of them again and again, for such a
// process makes much garbage. So it is judged by the times between two uses of an
// identity, how many of those that the least budget wakes would stay awake with all of
// it (docs/adr/0027-identities-sleep.md).
type room struct {
	wanted atomic.Bool // the sweeper was told that the budget is exceeded

	least, most int64        // of the budget, bytes; 0: no limit
	budget      atomic.Int64 // that is used
	// Who was not used for longer than short (ns) would sleep with the least budget, for
	// longer than long with all of it; 0: that is not known.
	short, long atomic.Int64
	// Uses after a time between the two, and after more.
	saved, woken atomic.Int64

	// What follows is the sweeper's.

	age   time.Duration // for how long those had not been used that were asked to leave lately
	asked time.Time     // when the last was
}

func (r *room) init(most int64) {
	r.most = max(most, 0)
	r.least = min(max(r.most/4, worthwhile), r.most)
	r.budget.Store(r.most)
}

// used notes for how long somebody was not used who is used now.
func (r *room) used(idle time.Duration) {
	switch short := r.short.Load(); {
	case short == 0, int64(idle) <= short:
	case int64(idle) <= r.long.Load():
		r.saved.Add(1)
	default:
		r.woken.Add(1)
	}
}

// exceeded judges the budget when somebody has to leave: it becomes larger, up to all,
// where that saves a third of the wakes that the least budget costs, and smaller where it
// does not. crowded: most of what is in memory does not leave with the identities that
// can.
func (r *room) exceeded(now time.Time, crowded bool) {
	if now.Sub(r.asked) > max(agesLast, r.age) {
		r.age = 0
		r.short.Store(0)
		r.saved.Store(0)
		r.woken.Store(0)
		return
	}
	saved, woken := r.saved.Load(), r.woken.Load()
	if saved+woken < usesToJudge {
		return
	}
	r.saved.Add(-saved)
	r.woken.Add(-woken)
	before := max(r.budget.Load(), 1)
	budget := before - before/8
	if crowded || 3*saved >= saved+woken {
		budget = before + before/8
	}
	budget = min(max(budget, r.least), r.most)
	r.budget.Store(budget)
	r.age = time.Duration(float64(r.age) * float64(budget) / float64(before)) // as it will be
}

// left notes when somebody was asked to leave, and for how long he was not used.
func (r *room) left(now time.Time, idle time.Duration) {
	if r.asked = now; r.age != 0 {
		idle = (3*r.age + idle) / 4
	}
	r.age = max(idle, 1)
	// As much more memory, as much later somebody has to leave.
	budget := float64(max(r.budget.Load(), 1))
	r.long.Store(int64(float64(r.age) * float64(r.most) / budget))
	r.short.Store(max(int64(float64(r.age)*float64(r.least)/budget), 1))
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
	budget, taken := e.room.budget.Load(), e.inMemory()
	if budget <= 0 || taken <= budget {
		return
	}
	residents, now := e.system.Residents(), time.Now()
	each := max(taken/int64(max(residents.Awake, 1)), 1)
	staying := taken - int64(residents.Asked)*each
	contacts := e.system.LiveOf((*deviceactor.Actor)(nil))
	e.room.exceeded(now, contacts >= crowd*int64(residents.Awake) || staying > budget/4*5)
	excess := staying - e.room.budget.Load()/10*9
	if excess <= 0 {
		return
	}
	wanted := min(int((excess+each-1)/each), residents.Awake-residents.Asked)
	for wanted > 0 {
		oldest := e.system.LeastRecentlyUsed(wanted)
		if len(oldest) == 0 {
			return
		}
		if last := oldest[len(oldest)-1]; last.Used() > 0 { // else all of them were only woken
			e.room.left(now, last.Idle())
		}
		for _, r := range oldest {
			r.TellAwake(evict{})
		}
		wanted -= len(oldest)
	}
}
