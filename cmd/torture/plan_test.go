package main

import (
	"testing"
	"time"
)

func plans(seed uint64, n int) []plan {
	p := &planner{dice: newDice(seed), drainEvery: 20}
	var out []plan
	for i := range n {
		out = append(out, p.next(i == n-1))
	}
	return out
}

func TestSeedDecidesThePlan(t *testing.T) {
	first, second := plans(1, 200), plans(1, 200)
	for i := range first {
		if first[i] != second[i] {
			t.Fatalf("life %d: %v and %v", i, first[i], second[i])
		}
	}
	if other := plans(2, 200); other[0] == first[0] && other[1] == first[1] {
		t.Error("the seed makes no difference")
	}
}

func TestPlansCoverEveryHookAndEnding(t *testing.T) {
	endings, passed := make(map[ending]int), make(map[hook]int)
	var ahead time.Duration
	for _, p := range plans(1, 1000) {
		endings[p.Ending]++
		if p.Ending == atHook {
			passed[p.Hook]++
			if p.Pass < 1 {
				t.Errorf("pass %d", p.Pass)
			}
		} else if p.Hook != "" {
			t.Errorf("life %d: ending %s at hook %s", p.Life, p.Ending, p.Hook)
		}
		if p.Ahead < ahead {
			t.Errorf("life %d: the clock goes back by %v", p.Life, ahead-p.Ahead)
		}
		ahead = p.Ahead
		if p.Drain != ((p.Life+1)%20 == 0) {
			t.Errorf("life %d: drain %t", p.Life, p.Drain)
		}
	}
	for _, e := range []ending{atRandom, atHook, inClose, atRest, byClose} {
		if endings[e] < 10 {
			t.Errorf("ending %s: %d of 1,000", e, endings[e])
		}
	}
	for _, h := range hooks {
		if passed[h] < 30 {
			t.Errorf("hook %s: %d of 1,000", h, passed[h])
		}
	}
	if ahead < 50*clockStep {
		t.Errorf("the clock is %v ahead in the end", ahead)
	}
}

// A round that ends by Close would count one kill too few.
func TestLastLifeOfARoundDrainsAndIsKilled(t *testing.T) {
	for seed := range uint64(50) {
		all := plans(seed, 7)
		if last := all[6]; !last.Drain || last.Ending != atRest {
			t.Errorf("seed %d: %v", seed, last)
		}
	}
}
