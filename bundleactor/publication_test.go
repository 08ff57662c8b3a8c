package bundleactor

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/rookery-im/rookery/persistence"
)

const (
	publish = 6 * hour
	minute  = int64(time.Minute)
)

// early and late are the owners at both ends of the spread.
var (
	early = persistence.OwnerID{}
	late  = func() (owner persistence.OwnerID) {
		binary.BigEndian.PutUint64(owner[:], uint64(12*minute-1)<<1)
		return owner
	}()
)

// Spec: 5.bundle-rotation.2
func TestAnnouncementIsDue(t *testing.T) {
	host := installation(t)
	made, _ := renew(t, host, State{}, nil, Asked, noon)
	announced, _ := renew(t, host, made, nil, Announced, noon)
	changed, _ := renew(t, host, announced, []Sibling{sibling(t, another, 1)}, Asked, noon+hour)
	twice, _ := renew(t, host, changed, nil, Asked, noon+2*hour)
	again, _ := renew(t, host, changed, []Sibling{sibling(t, another, 1)}, Announced, noon+2*hour)
	old := announced // by a version that did not note when
	old.Announced = 0
	const spread = 12 * minute
	for name, test := range map[string]struct {
		state   State
		started int64
		at      int64 // the first time at which early announces; late is spread later
		once    bool  // late does so at the same time
	}{
		"made since the start":        {state: made, started: noon - hour, at: noon, once: true},
		"made in an earlier life":     {state: made, started: noon + day, at: noon + day},
		"not noted when":              {state: old, started: noon + hour, at: noon + hour},
		"announced":                   {state: announced, started: noon, at: noon + publish},
		"announced, started since":    {state: announced, started: noon + publish - minute, at: noon + publish},
		"announced, away for a day":   {state: announced, started: noon + day, at: noon + day},
		"changed":                     {state: changed, started: noon, at: noon + hour},
		"changed twice":               {state: twice, started: noon, at: noon + hour},
		"changed by a faster clock":   {state: changed, started: noon + minute, at: noon + minute},
		"changed, started since":      {state: changed, started: noon + 3*hour, at: noon + 3*hour},
		"changed and announced":       {state: again, started: noon, at: noon + 2*hour + publish},
		"announced by a wrong clock":  {state: announced, started: noon - year, at: noon - year},
		"changed by a wrong clock":    {state: changed, started: noon - year, at: noon - year},
		"clock went back since start": {state: announced, started: noon, at: noon + publish},
	} {
		due := func(owner persistence.OwnerID, now int64) bool {
			return test.state.AnnounceDue(host.Schedule, owner, test.started, now)
		}
		if !due(early, test.at) || test.at > max(test.started, test.state.Changed) && due(early, test.at-1) {
			t.Errorf("%s: not at its time", name)
		}
		if test.once {
			if !due(late, test.at) {
				t.Errorf("%s: waits", name)
			}
			continue
		}
		if due(late, test.at+spread-2) || !due(late, test.at+spread-1) {
			t.Errorf("%s: not spread", name)
		}
	}
	if (State{}).AnnounceDue(host.Schedule, early, noon, noon+day) {
		t.Error("nothing is announced")
	}
}

func TestScheduleWithoutPublicationAnnouncesChangesOnly(t *testing.T) {
	host := installation(t)
	host.Schedule.Publish = 0
	state, _ := renew(t, host, State{}, nil, Asked, noon)
	if !state.AnnounceDue(host.Schedule, late, noon-1, noon) {
		t.Error("a first bundle is not announced")
	}
	state, _ = renew(t, host, state, nil, Announced, noon)
	if state.AnnounceDue(host.Schedule, late, noon-1, noon+100*day) {
		t.Error("announced although nothing changed")
	}
	state, _ = renew(t, host, state, []Sibling{sibling(t, another, 1)}, Asked, noon)
	if !state.AnnounceDue(host.Schedule, late, noon-1, noon) {
		t.Error("a change is not announced")
	}
}

// T08: no time overflows.
func TestAnnouncementsAtTheEndOfTime(t *testing.T) {
	state, _ := renew(t, installation(t), State{}, nil, Asked, noon)
	for _, end := range []int64{math.MaxInt64 - 1, math.MaxInt64 - publish, math.MaxInt64 - publish - 1} {
		state.Announced, state.Changed = end, 0
		if state.AnnounceDue(DefaultSchedule(), late, noon, end+1) {
			t.Errorf("announced at %d and again 1 ns later", end)
		}
	}
}

// A thousand installations that start together, or were made together, do not
// publish together.
func TestAnnouncementsOfManyAreSpread(t *testing.T) {
	const many = 1000
	host := installation(t)
	made, _ := renew(t, host, State{}, nil, Asked, noon)
	made, _ = renew(t, host, made, nil, Announced, noon)
	start := noon + day
	perMinute := make(map[int64]int)
	for i := range many {
		owner := persistence.NewOwnerID(binary.BigEndian.AppendUint32(nil, uint32(i)), ours)
		state := made
		for now := start; now < start+day; now += minute {
			if state.AnnounceDue(host.Schedule, owner, start, now) {
				perMinute[(now-start)/minute]++
				state.Announced = now
			}
		}
	}
	total := 0
	for at, n := range perMinute {
		total += n
		if n > 2*many/12 {
			t.Errorf("%d in minute %d", n, at)
		}
	}
	if total < 3*many || total > 4*many {
		t.Errorf("%d publications of %d installations in a day", total, many)
	}
}
