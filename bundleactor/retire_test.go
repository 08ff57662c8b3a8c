package bundleactor

import (
	"errors"
	"testing"
	"time"

	"github.com/rookery-im/rookery/actors"
)

// T06: a retired installation shows no bundle and makes no prekey. The ones it
// has can be used for 14 days more and are then destroyed, also when the clock
// was ahead.
func TestRetiredInstallationOnlyKeepsItsPreKeys(t *testing.T) {
	h := host(t)
	first := h.get().prekey()
	h.now.Store(noon + 2*day)
	second := h.get().prekey()
	h.retired.Store(true)
	h.restart()
	for name, refused := range map[string]func(actors.Reply[Published]) any{
		"GetBundle":   func(r actors.Reply[Published]) any { return GetBundle{r} },
		"Rotate":      func(r actors.Reply[Published]) any { return Rotate{r} },
		"SetSiblings": func(r actors.Reply[Published]) any { return SetSiblings{Reply: r} },
	} {
		if _, err := ask(h, refused); !errors.Is(err, ErrRetired) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, test := range []struct {
		at          int64
		first, last bool
	}{
		{noon + 2*day, true, true},
		{noon + 16*day - 1, true, true},
		{noon + 16*day, false, false}, // both ended on the second day
		{noon + 60*day, false, false},
	} {
		h.tick(test.at)
		if got := h.find(first) != nil; got != test.first {
			t.Errorf("%d days on, the first prekey: %v", (test.at-noon)/day, got)
		}
		if got := h.find(second) != nil; got != test.last {
			t.Errorf("%d days on, the last prekey: %v", (test.at-noon)/day, got)
		}
		h.restart()
	}
}

func TestRetiringTwiceChangesNothing(t *testing.T) {
	keys, _ := rotate(t, nil, noon)
	s := State{Keys: keys}
	next, change := s.Retire(DefaultSchedule(), noon+hour)
	if len(change.Put) != 1 || change.Put[0].Expired != noon+hour || len(change.Drop) != 0 || keys[0].Expired != 0 {
		t.Fatalf("change %+v", change)
	}
	if _, change := next.Retire(DefaultSchedule(), noon+2*hour); !change.Empty() {
		t.Errorf("a second time: %+v", change)
	}
	if again, change := next.Retire(DefaultSchedule(), noon-hour); len(change.Put) != 1 || again.Keys[0].Expired != noon-hour {
		t.Errorf("by a clock that was ahead: %+v", change)
	}
	if _, change := (State{}).Retire(DefaultSchedule(), noon); !change.Empty() {
		t.Errorf("without prekeys: %+v", change)
	}
}

// A prekey that has ended is never shown again, however young it is, and is destroyed in
// its time; also if prekeys are kept for less time than they are shown.
func TestEndedPreKeyIsReplaced(t *testing.T) {
	by := installation(t)
	by.Schedule.Rotate = 30 * 24 * time.Hour
	s, _ := renew(t, by, State{}, nil, Asked, noon)
	s, _ = s.Retire(by.Schedule, noon+hour)
	for name, test := range map[string]struct {
		now  int64
		kept int
	}{
		"kept":      {noon + 2*hour, 2},
		"destroyed": {noon + 20*day, 1},
	} {
		next, change := renew(t, by, s, nil, Asked, test.now)
		current, _ := next.Keys.Current()
		if len(next.Keys) != test.kept || current.Version != 2 || current.Expired != 0 || next.Bundle.PreKeys[0].Version != 2 {
			t.Errorf("%s: %+v", name, next)
		}
		if test.kept == 2 && (next.Keys[0].Expired != noon+hour || len(change.Put) != 1) {
			t.Errorf("%s: its end was moved: %+v", name, change)
		}
	}
}
