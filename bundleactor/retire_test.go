package bundleactor

import (
	"errors"
	"testing"

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
