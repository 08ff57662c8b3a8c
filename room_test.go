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
	random *rand.Rand
	awake  *list.List // their numbers, the one that was used last first
	places map[int]*list.Element
	began  time.Time
	pace   time.Duration // from one use to the next
	now    time.Duration
	used   map[int]time.Duration
}

// sleeperWeight is what one that is awake takes, in bytes.
const sleeperWeight = 10_000

func newSleepers(budget int64, pace time.Duration) *sleepers {
	return &sleepers{
		room: rookery.NewRoom(budget), random: rand.New(rand.NewPCG(1, 2)), awake: list.New(),
		places: make(map[int]*list.Element), used: make(map[int]time.Duration), began: time.Now(), pace: pace,
	}
}

// use uses one, makes room as the sweeper does, and tells whether it was woken.
func (s *sleepers) use(n int) (woken bool) {
	s.now += s.pace
	idle := time.Duration(1<<63 - 1)
	if last, known := s.used[n]; known {
		idle = s.now - last
	}
	s.room.Used(idle)
	s.used[n] = s.now
	if at := s.places[n]; at != nil {
		s.awake.MoveToFront(at)
		return false
	}
	s.places[n] = s.awake.PushFront(n)
	if int64(s.awake.Len())*sleeperWeight <= s.room.Budget() {
		return true
	}
	at := s.began.Add(s.now)
	s.room.Exceeded(at, false)
	for int64(s.awake.Len())*sleeperWeight > s.room.Budget()/10*9 {
		oldest := s.awake.Remove(s.awake.Back()).(int)
		s.room.Left(at, s.now-s.used[oldest])
		delete(s.places, oldest)
	}
	return true
}

// among draws from so many.
func (s *sleepers) among(n int) func() int { return func() int { return s.random.IntN(n) } }

// newcomers are used once each, and nobody else uses them.
func newcomers() func() int {
	next := 1 << 30
	return func() int { next++; return next }
}

// Memory is used where that saves wakes, and no more than the least where it does not,
// whatever was before.
func TestBudgetFollowsWhatItIsGoodFor(t *testing.T) {
	const most, least = 400 << 20, 100 << 20 // for 41,943 and 10,485
	for _, test := range []struct {
		name  string
		next  func(*sleepers) func() int
		least bool // it is what is used in the end
		woken int  // by 100,000 uses, at most
	}{
		{"fewer than there is room for", func(s *sleepers) func() int { return s.among(38_000) }, false, 100},
		{"more, of whom most find room", func(s *sleepers) func() int { return s.among(60_000) }, false, 40_000},
		{"one after the other, as many as there is room for", func(*sleepers) func() int {
			n := 0
			return func() int { n++; return n % 35_000 }
		}, false, 0},
		{"far too many", func(s *sleepers) func() int { return s.among(200_000) }, true, 100_000},
		{"always others", func(*sleepers) func() int { return newcomers() }, true, 100_000},
		{"always others beside a few", func(s *sleepers) func() int {
			few, others := s.among(100), newcomers()
			return func() int {
				if s.random.IntN(2) == 0 {
					return few()
				}
				return others()
			}
		}, true, 51_000},
	} {
		for n := range 4 {
			crowd, s := n/2 > 0, newSleepers(most, []time.Duration{100 * time.Microsecond, 20 * time.Millisecond}[n%2])
			if crowd {
				next := newcomers()
				for range 150_000 {
					s.use(next())
				}
				if got := s.room.Budget(); got != least {
					t.Fatalf("a crowd: a budget of %d", got)
				}
			}
			next := test.next(s)
			for range 300_000 {
				s.use(next())
			}
			woken := 0
			for range 100_000 {
				if s.use(next()) {
					woken++
				}
			}
			if got := s.room.Budget(); (got == least) != test.least || woken > test.woken {
				t.Errorf("%s, one each %v, after a crowd %v: a budget of %d, and %d of 100,000 uses woke somebody", test.name, s.pace, crowd, got, woken)
			}
		}
	}
}

// Where identities have many contacts each, the memory is those contacts', and of their
// use that of the identities says nothing.
func TestBudgetOfCrowdsIsUsed(t *testing.T) {
	s := newSleepers(400<<20, 100*time.Microsecond)
	next := newcomers()
	for range 500_000 {
		s.use(next())
	}
	for range 100 {
		at := s.began.Add(s.now)
		for range 1024 {
			s.room.Used(time.Hour)
		}
		s.room.Exceeded(at, true)
	}
	if got := s.room.Budget(); got != 400<<20 {
		t.Errorf("a budget of %d", got)
	}
}

// A budget that is small in any case is used as it is, and none is none.
func TestSmallBudgetIsUsedAsItIs(t *testing.T) {
	for _, budget := range []int64{1 << 20, 0, -1} {
		s := newSleepers(budget, time.Second)
		for n := range 10_000 {
			s.use(n)
		}
		if got := s.room.Budget(); got != max(budget, 0) {
			t.Errorf("a budget of %d instead of %d", got, budget)
		}
	}
}

// The engine notes the uses of its identities and who leaves: messages between ever
// others are worth less than the budget.
func TestEngineUsesLessOfItsBudgetWhereThatSavesNothing(t *testing.T) {
	const pair = 2 * (rookery.IdentityWeight + rookery.ContactWeight + rookery.SessionWeight)
	const most, least, pairs = 8 * pair, 5 * pair, 60
	w := newWorld(t, backends[1], func(o *rookery.Options) { o.MemoryBudget = most })
	w.engine.SetLeastBudget(least)
	var all []device
	for range 2 * pairs {
		all = append(all, w.person(1)[0])
	}
	for n := 0; n < len(all); n += 2 {
		w.introduce(w.at(all[n]), w.at(all[n+1]))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for sent := 0; w.engine.MemoryBudget() != least; sent++ {
		if sent == 20_000 {
			t.Fatalf("a budget of %d after %d messages, want %d", w.engine.MemoryBudget(), sent, int64(least))
		}
		n := 2 * random.IntN(pairs)
		w.send(all[n], all[n+1].key, "hello")
	}
}
