package sessionactor

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
)

var (
	onlySchedule  = flag.Int("schedule", -1, "run only the schedule with this number")
	schedulesEach = flag.Int("schedules", 0, "run so many schedules of each kind")
)

// schedule is one run of two devices on a network that loses, doubles, delays
// and reorders. Everything about it follows from its number.
type schedule struct {
	t        *testing.T
	name     string
	number   int
	random   *rand.Rand
	alice    *side
	bob      *side
	mail     map[*side][]packet
	read     map[string]bool
	changes  map[*side]int // of the session in use, to another one
	now      int64
	rotating int  // one event in so many is a new prekey; 0 for none
	codes    bool // half of the new prekeys are known to the other side at once
}

func (s *schedule) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("schedule %d: %s\nrepeat with: go test ./sessionactor -run '%s' -schedule %d",
		s.number, fmt.Sprintf(format, args...), s.name, s.number)
}

// acquainted are pairs of devices that know each other's bundle, with keys that
// many schedules share.
func acquainted(tb testing.TB) (pairs [8][2]device) {
	tb.Helper()
	for i := range pairs {
		alice, bob := newPair(tb, fmt.Sprint("acquainted ", i))
		pairs[i] = [2]device{*alice.device, *bob.device}
	}
	return pairs
}

func newSchedule(t *testing.T, name string, number int, pairs *[8][2]device) *schedule {
	pair := pairs[number%len(pairs)]
	source := seeded(fmt.Sprint("schedule ", number))
	for i := range pair {
		pair[i].prekeys, pair[i].rand = pair[i].prekeys[:1:1], source
	}
	return &schedule{
		t: t, name: name, number: number, random: rand.New(rand.NewPCG(uint64(number), 0)), now: 100,
		alice: newSide(&pair[0], &pair[1]), bob: newSide(&pair[1], &pair[0]),
		mail: make(map[*side][]packet), read: make(map[string]bool), changes: make(map[*side]int),
	}
}

func (s *schedule) run(steps int) {
	for range steps {
		s.now++
		who, peer := s.alice, s.bob
		if s.random.IntN(2) == 0 {
			who, peer = s.bob, s.alice
		}
		switch {
		case s.rotating > 0 && s.random.IntN(s.rotating) == 0:
			who.rotate(s.t, s.now)
			if s.codes && s.random.IntN(2) == 0 {
				peer.peer = who.entry()
			}
		case s.random.IntN(5) < 2:
			p := s.send(who)
			s.mail[peer] = append(s.mail[peer], p)
			if s.random.IntN(6) == 0 {
				s.mail[peer] = append(s.mail[peer], p)
			}
		case len(s.mail[who]) > 0:
			at := s.random.IntN(len(s.mail[who]))
			p := s.mail[who][at]
			s.mail[who] = append(s.mail[who][:at:at], s.mail[who][at+1:]...)
			if s.random.IntN(10) > 0 { // else it is lost
				s.arrive(who, p)
			}
		}
		who.only(s.t)
	}
}

func (s *schedule) send(who *side) packet {
	was := who.sessions.Active
	text := fmt.Sprint(who.installation, s.now)
	next, change, part, err := who.sessions.Send(&who.key, who.ends, who.outgoing(text), s.now, who.rand)
	if err != nil {
		s.fail("%v", err)
	}
	who.advance(s.t, next, change)
	s.count(who, was)
	return packet{part, who.entry(), text}
}

func (s *schedule) arrive(at *side, p packet) {
	was := at.sessions.Active
	got, err := at.try(s.t, p, s.now)
	switch {
	case err == nil && (got != p.payload || s.read[p.payload]):
		s.fail("%q read as %q, before: %v", p.payload, got, s.read[p.payload])
	case err != nil && !s.read[p.payload]:
		s.fail("%q refused: %v", p.payload, err)
	}
	s.read[p.payload] = true
	s.count(at, was)
}

func (s *schedule) count(who *side, was ID) {
	if (was != ID{}) && was != who.sessions.Active {
		s.changes[who]++
	}
}

// settle lets both sides speak twice; then they use one session.
func (s *schedule) settle() {
	for range 2 {
		s.now++
		s.arrive(s.bob, s.send(s.alice))
		s.arrive(s.alice, s.send(s.bob))
	}
	if s.alice.active(s.t).Order != s.bob.active(s.t).Order {
		s.fail("the sides use different sessions")
	}
}

// eachSchedule runs so many schedules, half of them beside the other half.
func eachSchedule(t *testing.T, total int, run func(s *schedule)) {
	total /= oneIn
	if *schedulesEach > 0 {
		total = *schedulesEach
	}
	pairs := acquainted(t)
	name := t.Name()
	for half := range 2 {
		t.Run(fmt.Sprint("half ", half), func(t *testing.T) {
			t.Parallel()
			for number := half; number < total; number += 2 {
				if *onlySchedule < 0 || *onlySchedule == number {
					run(newSchedule(t, name, number, &pairs))
				}
			}
		})
	}
}

// T41: no schedule of a concurrent start swings to and fro: at most two changes
// of the session in use on each side, and one session in the end.
// Spec: 5.concurrent-sessions.1
func TestConcurrentStartsDoNotSwing(t *testing.T) {
	eachSchedule(t, 10_000, func(s *schedule) {
		s.run(12)
		s.settle()
		if s.changes[s.alice] > 2 || s.changes[s.bob] > 2 {
			s.fail("%d and %d changes", s.changes[s.alice], s.changes[s.bob])
		}
	})
}

// T25, T41: messages lost, doubled and in any order, with re-keys in between:
// each is read exactly once, and both sides agree after two exchanges.
func TestRandomSchedulesReadEachMessageOnce(t *testing.T) {
	eachSchedule(t, 200, func(s *schedule) {
		s.rotating = 20
		s.run(120)
		s.settle()
	})
}

// T41: prekeys of both sides are replaced every few messages, so that sessions
// cross their rotations all the time, with and without contact codes that tell of
// them.
func TestCrossingRotationsSettleOnOneSession(t *testing.T) {
	eachSchedule(t, 1200, func(s *schedule) {
		s.rotating, s.codes = 8, s.number%3 > 0
		s.run(40)
		s.settle()
	})
}
