package rookery_test

import (
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/transport/memory"
)

// TestSleepersAreFewObjects: the collector looks for each object, and most of what it
// looks through belongs to identities that sleep.
func TestSleepersAreFewObjects(t *testing.T) {
	const (
		people = 1024
		most   = 7 // of each: two functions for each of its subscriptions, and what is shared
	)
	opened := func(people int) int64 {
		w := newWorldWatchedBy(nil, t, backends[1], func(o *rookery.Options) {
			o.Transport = memory.New(1, memory.Faults{})
		})
		for range people {
			w.person(1)
		}
		w.close()
		w.engine = nil
		before := collected().HeapObjects
		w.open()
		return int64(collected().HeapObjects) - int64(before)
	}
	each := float64(opened(people)-opened(0)) / people
	t.Logf("%.1f objects for each identity that sleeps", each)
	if each > most {
		t.Errorf("%.1f objects for each identity that sleeps, want %d at most", each, most)
	}
}
