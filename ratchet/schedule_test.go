package ratchet

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// tightLimits make every limit matter within a few dozen messages.
func tightLimits() Limits { return Limits{MaxSkip: 4, MaxKeep: 14, MaxStored: 6} }

// T25: whatever a network does to the messages of two parties, each is
// delivered at most once, with its own plaintext, and refused for exactly the
// reason the rules give; no message key is used twice.
func TestAnyScheduleFollowsTheRules(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		rapid.Check(t, func(rt *rapid.T) {
			alice, bob := newPair(t, suite)
			w := newWorld(alice, bob, tightLimits())
			for range rapid.IntRange(30, 100).Draw(rt, "steps") {
				if err := w.step(func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "choice") }); err != nil {
					rt.Fatal(err)
				}
			}
		})
	})
}

var (
	scheduleSeed  = flag.Uint64("schedule", 0, "run only the schedule with this number")
	scheduleCount = flag.Uint64("schedules", 2000, "run so many schedules")
)

// T25: many long schedules, the same in every run; -schedules 100000 runs as many. Afterwards every kind of
// outcome must have been seen, or the test proves less than it says.
// Spec: draft.dropped.1 draft.out-of-order.1
func TestSeededSchedulesFollowTheRules(t *testing.T) {
	total := map[string]int{}
	for seed := uint64(1); seed <= *scheduleCount; seed++ {
		if *scheduleSeed != 0 && *scheduleSeed != seed {
			continue
		}
		suite := bothSuites[seed%2]
		alice, bob := newPair(t, suite)
		limits := tightLimits()
		if seed%3 == 0 {
			limits = DeployedLimits()
		}
		w := newWorld(alice, bob, limits)
		source := rand.New(rand.NewPCG(seed, 0))
		for range 100 {
			if err := w.step(source.IntN); err != nil {
				t.Fatalf("%v\nrepeat with: go test ./ratchet -run %s -schedule %d", err, t.Name(), seed)
			}
		}
		for kind, n := range w.outcomes {
			total[kind] += n
		}
	}
	if *scheduleSeed != 0 {
		return
	}
	t.Log(total)
	for _, kind := range []string{
		"sent", "delivered", "lost", "forged", "keys stored", "refused, never delivered",
		fmt.Sprint(ErrMessageKeyGone), fmt.Sprint(ErrTooManySkipped), fmt.Sprint(ErrUnknownRatchetKey), fmt.Sprint(ErrMAC),
	} {
		if total[kind] < 20 {
			t.Errorf("%q happened %d times only", kind, total[kind])
		}
	}
}
