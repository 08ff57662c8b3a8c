package deviceactor

import (
	"fmt"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/rookery-im/rookery/x3dh"
)

const day = int64(24 * time.Hour)

// stepAt is one thing that happens to a contact, at a time in days.
type stepAt struct {
	days float64
	do   func(c Contact, now int64) (Contact, Effects)
	told string
}

func takes(timestamp int64, sender string, named ...string) func(Contact, int64) (Contact, Effects) {
	b := bundleOf(timestamp)
	for i, id := range named {
		b.PreKeys = append(b.PreKeys, signed(id, uint32(timestamp), byte(i+1)))
	}
	return func(c Contact, now int64) (Contact, Effects) { return c.TakeBundle(here, b, sender, now) }
}

func hears(id string) func(Contact, int64) (Contact, Effects) {
	return func(c Contact, now int64) (Contact, Effects) { return c.heard(here, id, now) }
}

func ages(c Contact, now int64) (Contact, Effects) { return c.Age(now) }

// A device is stale 7 days after a bundle of its identity has left it out, if no
// bundle came from itself since; nothing else makes it stale.
// Spec: draft.stale-devices.1 draft.stale-devices.2 draft.stale-devices.3
func TestDeviceThatBundlesLeaveOutBecomesStale(t *testing.T) {
	both := stepAt{0, takes(100, "a", "a", "b"), "new a, new b"}
	for _, test := range []struct {
		name    string
		steps   []stepAt
		targets string // at the end
	}{
		{"silence alone", []stepAt{both, {1000, ages, ""}}, "[a b]"},
		{"left out", []stepAt{both, {1, takes(200, "a", "a"), ""}, {7.9, ages, ""}, {8, ages, "stale b"}, {9, ages, ""}, {900, ages, ""}}, "[a]"},
		{"told with the next bundle", []stepAt{both, {1, takes(200, "a", "a"), ""}, {9, takes(300, "a", "a"), "stale b"}, {10, takes(400, "a", "a"), ""}}, "[a]"},
		{"the timer starts once", []stepAt{both, {1, takes(200, "a", "a"), ""}, {5, takes(300, "a", "a"), ""}, {8, ages, "stale b"}}, "[a]"},
		{"left out by an older bundle", []stepAt{both, {1, takes(99, "a", "a"), ""}, {100, ages, ""}}, "[a b]"},
		{"left out by a bundle as old", []stepAt{both, {1, takes(100, "a", "a"), ""}, {100, ages, ""}}, "[a b]"},
		{"named again by a sibling", []stepAt{both, {1, takes(200, "a", "a"), ""}, {2, takes(300, "a", "a", "b"), ""}, {8, ages, "stale b"}}, "[a]"},
		{"a sibling's messages", []stepAt{both, {1, takes(200, "a", "a"), ""}, {7, hears("a"), ""}, {8, ages, "stale b"}, {9, hears("a"), ""}}, "[a]"},
		{"messages of its own without a bundle", []stepAt{both, {1, takes(200, "a", "a"), ""}, {7, hears("b"), ""}, {8, ages, "stale b"}, {9, hears("b"), ""}}, "[a]"},
		{"a bundle of its own in time", []stepAt{both, {1, takes(200, "a", "a"), ""}, {7.9, takes(300, "b", "a", "b"), ""}, {100, ages, ""}}, "[a b]"},
		{"a bundle of its own later", []stepAt{both, {1, takes(200, "a", "a"), ""}, {8, ages, "stale b"}, {9, takes(300, "b", "a", "b"), "back b"}, {100, ages, ""}}, "[a b]"},
		{"a bundle of its own that came before", []stepAt{both, {0.5, takes(150, "b", "a", "b"), ""}, {1, takes(200, "a", "a"), ""}, {2, takes(150, "b", "a", "b"), ""}, {8, ages, "stale b"}}, "[a]"},
		{"a bundle of its own that was on its way", []stepAt{both, {1, takes(200, "a", "a"), ""}, {2, takes(150, "b", "a", "b"), ""}, {100, ages, ""}}, "[a b]"},
		{"left out again after it came back", []stepAt{
			both,
			{1, takes(200, "a", "a"), ""},
			{8, ages, "stale b"},
			{9, takes(300, "b", "b"), "back b"}, // which leaves a out in turn
			{10, takes(400, "a", "a"), ""},
			{16.9, ages, ""},
			{17, ages, "stale b"},
		}, "[a]"},
		{"each leaves the other out", []stepAt{both, {1, takes(200, "a", "a"), ""}, {1, takes(201, "b", "b"), ""}, {4, takes(300, "a", "a"), ""}, {4, takes(301, "b", "b"), ""}, {10, takes(400, "a", "a"), ""}, {10, takes(401, "b", "b"), ""}, {11.9, ages, ""}}, "[a b]"},
		{"only ever heard", []stepAt{{0, hears("b"), "new b"}, {1, takes(200, "a", "a"), "new a"}, {8, ages, "stale b"}}, "[a]"},
		{"all of them", []stepAt{both, {1, takes(200, "c", "c"), "new c"}, {2, takes(300, "d", "d"), "new d"}, {100, ages, "stale a, stale b, stale c"}}, "[d]"},
	} {
		var c Contact
		var now int64
		for i, step := range test.steps {
			now = noon + int64(step.days*float64(day))
			var e Effects
			c, e = step.do(c, now)
			if told(e) != step.told {
				t.Errorf("%s, step %d: told %q, want %q", test.name, i, told(e), step.told)
			}
		}
		if got := ids(c.Targets(here, now)); got != test.targets {
			t.Errorf("%s: targets %s, want %s", test.name, got, test.targets)
		}
	}
}

// Staleness is a matter of the time and not of when somebody looked.
func TestStaleDeviceGetsNothingBeforeAnybodySaidSo(t *testing.T) {
	c, _ := takes(100, "a", "a", "b")(Contact{}, noon)
	c, _ = takes(200, "a", "a")(c, noon)
	for _, test := range []struct {
		now  int64
		want string
	}{{noon + 7*day - 1, "[a b]"}, {noon + 7*day, "[a]"}} {
		if got := ids(c.Targets(here, test.now)); got != test.want {
			t.Errorf("after %v: %s, want %s", time.Duration(test.now-noon), got, test.want)
		}
	}
}

// A device that is stale takes no place among our own.
// Spec: 5.pairing.6
func TestStaleDeviceMakesRoomForAnother(t *testing.T) {
	c := ours
	for _, id := range []string{"a", "b", "c"} {
		c = c.put(Installation{ID: id, Enabled: id != "c", Entry: entry(100, 1, 1), OmittedSince: map[bool]int64{true: noon}[id == "a"]})
	}
	if _, _, err := c.Enable(here, "c", true, noon+6*day); err == nil {
		t.Error("a fourth installation was approved")
	}
	c, _, err := c.Enable(here, "c", true, noon+7*day)
	if err != nil || ids(c.Targets(here, noon+7*day)) != "[b c]" {
		t.Errorf("got %v, %s", err, ids(c.Targets(here, noon+7*day)))
	}
}

// T08: wherever the clock goes, nothing panics, and no device is stale that was
// not left out, or was left out less than 7 days before the time it is now.
func TestClockJumpsMakeNobodyStale(t *testing.T) {
	const decade = 3652 * day
	times := []int64{math.MinInt64, -noon, -1, 0, 1, staleAfter - 1, staleAfter, noon - decade, noon - 1, noon, noon + 1, noon + decade, math.MaxInt64 - 1, math.MaxInt64}
	for _, omitted := range times {
		in := Installation{ID: "a", Enabled: true, OmittedSince: omitted, Entry: entry(100, 1, 1)}
		c := Contact{}.put(in)
		for _, now := range times {
			gone := new(big.Int).Sub(big.NewInt(now), big.NewInt(omitted))
			want := omitted != 0 && gone.Cmp(big.NewInt(staleAfter)) >= 0
			name := fmt.Sprintf("left out at %d, now %d", omitted, now)
			if got := in.stale(now); got != want {
				t.Errorf("%s: stale %v, want %v", name, got, want)
			}
			next, e := c.Age(now)
			if aged, _ := next.Find("a"); aged.Stale != want || (told(e) == "stale a") != want {
				t.Errorf("%s: told %q", name, told(e))
			}
			c.Targets(here, now)
			next, _ = next.TakeBundle(here, bundleOf(200, signed("b", 1, 2)), "b", now)
			next, _ = next.heard(here, "c", now)
			next, _ = next.Age(now)
			next, _ = next.TakeBundle(here, bundleOf(300, signed("a", 1, 3)), "a", now)
			if in, _ := next.Find("a"); in.Stale || in.OmittedSince != 0 || in.stale(now) {
				t.Errorf("%s: a bundle of its own did not bring it back: %+v", name, in)
			}
		}
	}
}

// A clock that was ahead for a while and came back has done no harm: what was
// stale by it is not any more.
func TestClockThatComesBackBringsDevicesBack(t *testing.T) {
	c, _ := takes(100, "a", "a", "b")(Contact{}, noon)
	c, _ = takes(200, "a", "a")(c, noon)
	c, e := c.Age(noon + 3652*day)
	if told(e) != "stale b" {
		t.Fatalf("told %q", told(e))
	}
	if c, e = c.Age(noon + day); told(e) != "back b" || ids(c.Targets(here, noon+day)) != "[a b]" {
		t.Errorf("told %q", told(e))
	}
}

// T08: a clock that was behind for a while, and is set right, has not let the time
// of a device run out.
func TestClockThatWasBehindMakesNobodyStale(t *testing.T) {
	for _, behind := range []int64{1, day, 5 * 365 * day, 3652 * day, noon, noon + 1} {
		c, _ := takes(100, "a", "a", "b")(Contact{}, noon)
		c, _ = takes(200, "a", "a")(c, noon)
		c, e := c.Age(noon - behind)
		if told(e) != "" {
			t.Errorf("%d ns behind: told %q", behind, told(e))
		}
		if c, e = c.Age(noon + day); told(e) != "" || ids(c.Targets(here, noon+day)) != "[a b]" {
			t.Errorf("%d ns behind, then right: told %q", behind, told(e))
		}
		if _, e = c.Age(noon + 7*day); told(e) != "stale b" {
			t.Errorf("%d ns behind, 7 days later: told %q", behind, told(e))
		}
	}
}

// T08: a device that was heard while the clock was ahead does not seem to have
// been active last for ever after.
func TestActivityOfTheFutureBecomesNow(t *testing.T) {
	c := Contact{}
	for i, id := range []string{"a", "b", "c", "d"} {
		c = c.put(Installation{ID: id, Enabled: true, Active: noon + int64(i), FirstSeen: noon})
	}
	c, _ = c.heard(here, "a", noon+3652*day)
	c, _ = c.heard(here, "new", noon+3652*day)
	for _, now := range []int64{-noon, 0, x3dh.EarliestTimestamp - 1} {
		if next, e := c.Age(now); len(e.Installations) != 0 || next.Installations[0].Active != noon+3652*day {
			t.Errorf("a clock at %d is believed: %+v", now, e.Installations)
		}
	}
	c, e := c.Age(noon + 10)
	if got := ids(e.Installations); got != "[a new]" || told(e) != "" {
		t.Errorf("changed %s, told %q", got, told(e))
	}
	for _, in := range c.Installations {
		if in.Active > noon+10 || in.FirstSeen > noon+10 {
			t.Errorf("of the future: %+v", in)
		}
	}
	for i, id := range []string{"b", "c", "d"} {
		c, _ = c.heard(here, id, noon+20+int64(i))
	}
	if got := ids(c.Targets(here, noon+30)); got != "[b c d]" {
		t.Errorf("targets %s", got)
	}
}

// T32: the sender's bundle from before it knew a device, coming again, starts no
// timer: what it has signed since names the device.
func TestBundleThatComesAgainOmitsNobody(t *testing.T) {
	c, _ := Contact{}.TakeBundle(here, bundleOf(noon, signed("tablet", 1, 1)), "tablet", noon)
	before := bundleOf(noon+day, signed("phone", 1, 2))
	c, _ = c.TakeBundle(here, bundleOf(noon+2*day, signed("phone", 2, 3), signed("tablet", 1, 1)), "phone", noon+2*day)
	c, _ = c.TakeBundle(here, before, "phone", noon+3*day)
	if tablet, _ := c.Find("tablet"); tablet.OmittedSince != 0 {
		t.Error("an old bundle has started the timer")
	}
	c, _ = c.TakeBundle(here, bundleOf(noon+4*day, signed("phone", 2, 3)), "phone", noon+4*day)
	if tablet, _ := c.Find("tablet"); tablet.OmittedSince == 0 {
		t.Error("a new bundle has not")
	}
}
