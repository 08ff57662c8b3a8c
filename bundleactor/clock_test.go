package bundleactor

import (
	"errors"
	"math"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/x3dh"
)

const year = 365 * day

// peer has a right clock and takes bundles as everybody does.
type peer struct {
	t    *testing.T
	last int64
}

// takes tells whether the peer learns of the bundle at the right time now.
func (p *peer) takes(s State, now int64) bool {
	p.t.Helper()
	if err := x3dh.CheckBundle(&s.Bundle, now); err != nil {
		if !errors.Is(err, x3dh.ErrBundleTimestamp) {
			p.t.Fatal(err)
		}
		return false
	}
	if s.Bundle.Timestamp <= p.last {
		return false
	}
	p.last = s.Bundle.Timestamp
	return true
}

// jumped is an installation whose clock goes wrong after some days of use.
type jumped struct {
	t     *testing.T
	host  Installation
	store *memory.Store
	state State
}

// threeDays are the first days of use, the same for all, step by step only once.
var threeDays struct {
	once  sync.Once
	state State
}

func newJumped(t *testing.T) *jumped {
	t.Helper()
	threeDays.once.Do(func() {
		j := &jumped{t: t, host: installation(t), store: memory.New()}
		for at := noon - 3*day; at <= noon; at += hour {
			j.renew(at)
		}
		threeDays.state = j.state
	})
	j := &jumped{t: t, host: installation(t), store: memory.New()}
	j.state = stored(t, j.store, threeDays.state, Change{Put: threeDays.state.Keys, Publication: true})
	return j
}

// renew makes a step by the clock, kept over a restart. What holds after every
// step is checked.
func (j *jumped) renew(clock int64) {
	j.t.Helper()
	next, change := renew(j.t, j.host, j.state, nil, Asked, clock)
	back := next.Bundle.Timestamp < j.state.Bundle.Timestamp
	if next.Bundle.Timestamp == j.state.Bundle.Timestamp && !reflect.DeepEqual(next.Bundle, j.state.Bundle) {
		j.t.Fatalf("two bundles signed at %d", next.Bundle.Timestamp)
	}
	if ran := j.state.Doubted != 0 && clock-j.state.Doubted >= day; back && (!ran || j.state.Bundle.Timestamp <= clock+day) {
		j.t.Fatalf("by the clock %d, signed at %d after %d", clock, next.Bundle.Timestamp, j.state.Bundle.Timestamp)
	}
	if err := x3dh.CheckBundle(&next.Bundle, clock); next.Doubted == 0 && err != nil {
		j.t.Fatalf("by the clock %d, believed, nobody believes the bundle: %v", clock, err)
	}
	j.state = stored(j.t, j.store, next, change)
}

// T08: a reading of the clock that is anywhere does no harm: the bundle is
// believed by peers with a right clock while it lasts, and afterwards.
func TestPassingJumpOfTheClockDoesNoHarm(t *testing.T) {
	for name, clock := range map[string]int64{
		"start of time":     math.MinInt64,
		"ten years back":    noon - 10*year,
		"before 1970":       -1,
		"zero":              0,
		"a year back":       noon - year,
		"two days back":     noon - 2*day,
		"ten years ahead":   noon + 10*year,
		"13 months ahead":   noon + 400*day,
		"nearly the end":    math.MaxInt64 - 1,
		"the end of time":   math.MaxInt64,
		"a minute back":     noon - int64(time.Minute),
		"a few hours ahead": noon + 5*hour,
	} {
		t.Run(name, func(t *testing.T) {
			j, p := newJumped(t), &peer{t: t}
			if !p.takes(j.state, noon) {
				t.Fatal("not believed before the jump")
			}
			keys := j.state.Keys
			for i := range int64(3) {
				j.renew(clock)
				if err := x3dh.CheckBundle(&j.state.Bundle, noon+i); err != nil {
					t.Errorf("during the jump: %v", err)
				}
				p.takes(j.state, noon+i)
			}
			for i := int64(1); i < 40; i++ {
				j.renew(noon + i*hour)
				if i > 5 && !p.takes(j.state, noon+i*hour) {
					t.Fatalf("%d hours after the jump the bundle is not taken", i)
				}
			}
			if j.state.Doubted != 0 || len(j.state.Keys) > len(keys)+3 || find(t, j.state.Keys, keys[0].Key.Public()) == nil {
				t.Errorf("after the jump %+v, before %+v", j.state, keys)
			}
		})
	}
}

// T08: a clock that was wrong for long, and was believed: when it comes back the
// bundle says that it is doubted, and is believed by everybody after 24 hours
// although its timestamps go back.
func TestBundleFromTheFutureComesBack(t *testing.T) {
	for name, ahead := range map[string]int64{
		"100 days":  100 * day,
		"10 years":  10 * year,
		"200 years": 200 * year,
	} {
		t.Run(name, func(t *testing.T) {
			j, p := newJumped(t), &peer{t: t}
			p.takes(j.state, noon)
			for i := range int64(72) {
				j.renew(noon + ahead + i*hour)
			}
			if j.state.Doubted != 0 || j.state.Bundle.Timestamp < noon+ahead {
				t.Fatal("the wrong clock was never believed: nothing to come back from")
			}
			future := len(j.state.Keys)
			right := noon + 72*hour
			for i := range int64(24) {
				j.renew(right + i*hour)
				if p.takes(j.state, right+i*hour) {
					t.Fatalf("taken after %d hours: the future was not that far", i)
				}
				if !j.state.Published(j.host.Schedule).Doubted {
					t.Fatalf("after %d hours nothing is said", i)
				}
			}
			for i := int64(24); i < 20*24; i++ {
				j.renew(right + i*hour)
				if !p.takes(j.state, right+i*hour) {
					t.Fatalf("not taken after %d hours", i)
				}
				if j.state.Published(j.host.Schedule).Doubted {
					t.Fatalf("doubted after %d hours", i)
				}
			}
			if len(j.state.Keys) != 15 {
				t.Errorf("%d prekeys, %d when the clock came back: not those of 14 days", len(j.state.Keys), future)
			}
		})
	}
}

// T08: a clock that has stopped, that runs before 2018 or that jumps about is
// never believed.
func TestImpossibleClockIsNeverBelieved(t *testing.T) {
	for name, clock := range map[string]func(i int64) int64{
		"stopped long ago":        func(int64) int64 { return noon - 3*year },
		"stopped at the end":      func(int64) int64 { return math.MaxInt64 },
		"runs from 1970":          func(i int64) int64 { return i * hour },
		"runs from 2016":          func(i int64) int64 { return 1_460_000_000_000_000_000 + i*hour },
		"runs to the end":         func(i int64) int64 { return math.MaxInt64 - (100-i)*hour },
		"jumps by two days":       func(i int64) int64 { return noon - 3*year + i*2*day },
		"jumps back and forth":    func(i int64) int64 { return noon - 3*year + i%20*hour },
		"goes back each 20 hours": func(i int64) int64 { return noon - 3*year + (i-i/20*10)*hour },
		"runs for less than day":  func(i int64) int64 { return noon - 3*year + i%24*hour - i/24*day },
	} {
		t.Run(name, func(t *testing.T) {
			j := newJumped(t)
			last := j.state.Bundle.Timestamp
			for i := range int64(100) {
				j.renew(clock(i))
				if j.state.Doubted == 0 {
					t.Fatalf("believed at step %d", i)
				}
			}
			if moved := j.state.Bundle.Timestamp - last; moved < 1 || moved > 100 {
				t.Errorf("time moved by %d ns", moved)
			}
		})
	}
}

// T08: an installation that was away for less than a year goes on at once, one
// that was away for longer after a day.
func TestLongAbsenceIsBelievedInTheEnd(t *testing.T) {
	j := newJumped(t)
	back := noon + year
	if j.renew(back); j.state.Doubted != 0 || j.state.Bundle.Timestamp != back {
		t.Errorf("after a year: %+v", j.state)
	}
	back += year + 1
	for i := range int64(24) {
		if j.renew(back + i*hour); j.state.Doubted != back {
			t.Fatalf("after %d hours doubted since %d", i, j.state.Doubted)
		}
	}
	if j.renew(back + day); j.state.Doubted != 0 || j.state.Bundle.Timestamp != back+day {
		t.Errorf("a day after two years: %+v", j.state)
	}
}

// T08: a doubted clock is read hourly, whatever the schedule, and by sweeps.
func TestDoubtEndsWithoutAnybodyAsking(t *testing.T) {
	for name, start := range map[string]int64{
		"two years later": noon + 2*year,
		"a year earlier":  noon - year,
	} {
		j := newJumped(t)
		j.host.Schedule.Refresh = 100 * 24 * time.Hour
		for i := range int64(25) {
			next, change := renew(t, j.host, j.state, nil, Swept, start+i*hour)
			if i < 24 && next.Doubted != start {
				t.Fatalf("%s: after %d hours doubted since %d", name, i, next.Doubted)
			}
			if p := next.Published(j.host.Schedule); i < 24 && p.Until != start+(i+1)*hour {
				t.Fatalf("%s: after %d hours good until %d", name, i, p.Until)
			}
			j.state = stored(t, j.store, next, change)
		}
		if j.state.Doubted != 0 || j.state.Bundle.Timestamp != start+day {
			t.Errorf("%s: %+v", name, j.state)
		}
	}
}

// T08: no time overflows.
func TestBundleIsGoodAtTheEndOfTime(t *testing.T) {
	j := newJumped(t)
	j.renew(math.MaxInt64 - hour/2)
	if p := j.state.Published(j.host.Schedule); p.Until != math.MaxInt64 || !p.Good(math.MaxInt64-1) {
		t.Errorf("good until %d", p.Until)
	}
}

// T08: without anything signed before, a clock that cannot be right makes nothing.
func TestFirstBundleNeedsAPossibleClock(t *testing.T) {
	for _, now := range []int64{math.MinInt64, -1, 0, 1, earliest - 1, latest + 1, math.MaxInt64} {
		state, change, err := State{}.Renew(installation(t), nil, Asked, now, seeded("first"))
		if !errors.Is(err, ErrClock) || !reflect.DeepEqual(state, State{}) || !change.Empty() {
			t.Errorf("at %d: %+v, %+v, %v", now, state, change, err)
		}
	}
	for _, now := range []int64{earliest, noon, latest} {
		state, _ := renew(t, installation(t), State{}, nil, Asked, now)
		if err := x3dh.CheckBundle(&state.Bundle, now); err != nil {
			t.Errorf("at %d: %v", now, err)
		}
	}
}
