package actors

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

func TestAdmissionRefusesOverTheBounds(t *testing.T) {
	tests := []struct {
		name         string
		total, key   int
		before       []string
		acquire      string
		limit        string
		max          int
		wantInFlight int64
	}{
		{name: "below both", total: 3, key: 2, before: []string{"a", "b"}, acquire: "a", wantInFlight: 3},
		{name: "key full", total: 9, key: 2, before: []string{"a", "a"}, acquire: "a", limit: "key", max: 2, wantInFlight: 2},
		{name: "other key free", total: 9, key: 2, before: []string{"a", "a"}, acquire: "b", wantInFlight: 3},
		{name: "all full", total: 2, key: 2, before: []string{"a", "b"}, acquire: "c", limit: "global", max: 2, wantInFlight: 2},
		{name: "nothing allowed", total: 0, key: 1, acquire: "a", limit: "global", max: 0, wantInFlight: 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := NewAdmission[string](test.total, test.key)
			for _, key := range test.before {
				if err := a.Acquire(key, new(Place[string])); err != nil {
					t.Fatal(err)
				}
			}
			err := a.Acquire(test.acquire, new(Place[string]))
			var overloaded *OverloadedError
			switch {
			case test.limit == "":
				if err != nil {
					t.Errorf("refused: %v", err)
				}
			case !errors.Is(err, ErrOverloaded) || !errors.As(err, &overloaded):
				t.Errorf("got %v, want *OverloadedError", err)
			case overloaded.Limit != test.limit || overloaded.Max != test.max:
				t.Errorf("got %+v", overloaded)
			}
			counts := a.Counts()
			if counts.InFlight != test.wantInFlight {
				t.Errorf("in flight: got %d, want %d", counts.InFlight, test.wantInFlight)
			}
			if (counts.RefusedKey == 1) != (test.limit == "key") || (counts.RefusedGlobal == 1) != (test.limit == "global") {
				t.Errorf("refusals: %+v", counts)
			}
		})
	}
}

func TestAdmissionReleaseGivesThePlaceBackOnce(t *testing.T) {
	a := NewAdmission[string](1, 1)
	var place Place[string]
	place.Release() // there is none yet
	if err := a.Acquire("a", &place); err != nil {
		t.Fatal(err)
	}
	place.Release()
	place.Release()
	if got := a.Counts().InFlight; got != 0 {
		t.Fatalf("in flight: got %d, want 0", got)
	}
	if err := a.Acquire("b", &place); err != nil {
		t.Errorf("after release: %v", err)
	}
	if err := a.Acquire("b", new(Place[string])); !errors.Is(err, ErrOverloaded) {
		t.Errorf("the second release made room for two: %v", err)
	}
}

// Keys come and go with each message, and leave nothing to the collector.
func TestAdmissionAllocatesNothing(t *testing.T) {
	a := NewAdmission[[49]byte](10, 10)
	var place Place[[49]byte]
	n := testing.AllocsPerRun(100, func() {
		if err := a.Acquire([49]byte{1}, &place); err != nil {
			t.Error(err)
		}
		place.Release()
	})
	if n != 0 {
		t.Errorf("%v objects", n)
	}
}

// T13: refusals are typed and counted, nobody waits, and the bound holds under
// concurrent senders.
func TestAdmissionHoldsItsBoundUnderConcurrency(t *testing.T) {
	const maxTotal, senders, rounds = 16, 32, 500
	a := NewAdmission[string](maxTotal, 4)
	var wg sync.WaitGroup
	var inside, admitted, refused, most atomic.Int64
	for s := range senders {
		wg.Go(func() {
			for range rounds {
				var place Place[string]
				if err := a.Acquire(fmt.Sprint("key", s%8), &place); err != nil {
					refused.Add(1)
					continue
				}
				admitted.Add(1)
				now := inside.Add(1)
				for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
				}
				inside.Add(-1)
				place.Release()
			}
		})
	}
	wg.Wait()
	counts := a.Counts()
	if most.Load() > maxTotal {
		t.Errorf("%d were inside at once, the bound is %d", most.Load(), maxTotal)
	}
	if admitted.Load()+refused.Load() != senders*rounds || int64(counts.RefusedGlobal+counts.RefusedKey) != refused.Load() {
		t.Errorf("admitted %d, refused %d, counters %+v", admitted.Load(), refused.Load(), counts)
	}
	if counts.InFlight != 0 {
		t.Errorf("in flight at the end: %d", counts.InFlight)
	}
	// T18: keys of strangers must not stay in memory.
	for i := range a.shards {
		if n := len(a.shards[i].counts); n != 0 {
			t.Errorf("shard %d still holds %d keys", i, n)
		}
	}
}
