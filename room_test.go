package rookery_test

import (
	"container/list"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
)

// sleepers are identities of which those are awake that were used last, as many as the
// budget has room for.
type sleepers struct {
	room   *rookery.Room
	awake  *list.List // of sleeper, the one that was used last first
	places map[int]*list.Element
	now    time.Duration
	used   map[int]time.Duration
}

const sleeperWeight = 10_000

func newSleepers(budget int64) *sleepers {
	return &sleepers{room: rookery.NewRoom(budget), awake: list.New(), places: make(map[int]*list.Element), used: make(map[int]time.Duration)}
}

// use uses one, 100 µs after the last, and makes room as the sweeper does.
func (s *sleepers) use(n int) {
	s.now += 100 * time.Microsecond
	idle := time.Duration(1<<63 - 1)
	if last, known := s.used[n]; known {
		idle = s.now - last
	}
	s.room.Used(idle)
	s.used[n] = s.now
	if at := s.places[n]; at != nil {
		s.awake.MoveToFront(at)
		return
	}
	s.places[n] = s.awake.PushFront(n)
	if int64(s.awake.Len())*sleeperWeight <= s.room.Budget() {
		return
	}
	s.room.Judge()
	for int64(s.awake.Len())*sleeperWeight > s.room.Budget()/10*9 {
		oldest := s.awake.Remove(s.awake.Back()).(int)
		s.room.Left(s.now - s.used[oldest])
		delete(s.places, oldest)
	}
}

// woken is how many of so many uses woke somebody.
func (s *sleepers) woken(uses int, next func() int) (woken int) {
	for range uses {
		n := next()
		if s.places[n] == nil {
			woken++
		}
		s.use(n)
	}
	return woken
}

// Memory is used where those who are awake are used again, and not where ever others
// are; and the one becomes the other.
func TestBudgetFollowsWhatItIsGoodFor(t *testing.T) {
	const most, least = 400 << 20, 100 << 20 // for 41,943 and 10,485
	random := rand.New(rand.NewPCG(1, 2))
	among := func(first, n int) func() int { return func() int { return first + random.IntN(n) } }
	few, many := among(0, 100), among(1_000_000, 1_000_000)
	s := newSleepers(most)
	for _, step := range []struct {
		name string
		next func() int
		fit  bool // else the least budget is used
	}{
		{"three fifths of what has room", among(0, 24_000), true},
		{"100,000 others", among(100_000, 100_000), false},
		{"20,000 of them", among(100_000, 20_000), true},
		{"a million", many, false},
		{"a few and a million", func() int {
			if random.IntN(2) == 0 {
				return few()
			}
			return many()
		}, false},
		{"nearly all that have room", among(0, 36_000), true},
	} {
		for range 1_000_000 {
			s.use(step.next())
		}
		if got := s.room.Budget(); (got == least) == step.fit {
			t.Errorf("%s: a budget of %d", step.name, got)
		}
		if woken := s.woken(100_000, step.next); step.fit && woken > 1_000 {
			t.Errorf("%s: of 100,000 uses %d woke somebody", step.name, woken)
		}
	}
}

// A budget that is small in any case is used as it is, and none is none.
func TestSmallBudgetIsUsedAsItIs(t *testing.T) {
	for _, budget := range []int64{1 << 20, 0, -1} {
		s := newSleepers(budget)
		for n := range 10_000 {
			if s.use(n); budget <= 0 {
				s.room.Left(time.Second)
				s.room.Judge()
			}
		}
		if got := s.room.Budget(); got != max(budget, 0) {
			t.Errorf("a budget of %d instead of %d", got, budget)
		}
	}
}
