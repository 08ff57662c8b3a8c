package sealing_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// TestStoreThatWasClosedIsSealedAnewInItsTime: a store that was closed has nothing to
// forget when it is opened. What is used up from then on is forgotten within the
// bound, as ever; what a process that was killed has used up, at once.
func TestStoreThatWasClosedIsSealedAnewInItsTime(t *testing.T) {
	const bound, week = time.Hour, 7 * 24 * time.Hour
	for _, closed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			options, _ := over(t)
			before := open(t, options)
			apply(t, before, 0, 3000)
			if closed {
				shut(t, before)
			} // else the process was killed
			time.Sleep(week)
			options.Bound = bound
			store := open(t, options)
			defer shut(t, store)
			opened := time.Now()
			older := store.Condition().Epochs - 1
			if older == 0 {
				t.Fatal("the store has no key of the run before")
			}
			apply(t, store, 3000, 3001)

			time.Sleep(bound / 4)
			synctest.Wait()
			c := store.Condition()
			if walked := c.Epochs <= older; walked == closed {
				t.Errorf("closed %t: after a quarter of the bound there are %d keys, %d of them older", closed, c.Epochs, older)
			}
			if time.Since(c.Oldest) > bound/4 {
				t.Errorf("closed %t: told that something is to be forgotten for %v", closed, time.Since(c.Oldest))
			}

			time.Sleep(bound/2 + time.Minute - time.Since(opened.Add(bound/4)))
			synctest.Wait()
			if c := store.Condition(); c.Epochs != 1 || c.Oldest.Before(opened) {
				t.Errorf("closed %t: three quarters of the bound after it was opened there are %d keys, since %v", closed, c.Epochs, c.Oldest.Sub(opened))
			}
			ok(t, survivors(t.Context(), store, 3001, 3001))
		})
	}
}

// TestOnlyTheLastRotationLeavesAStoreClean: nothing that follows a close may make a
// later run believe that there is nothing to forget.
func TestOnlyTheLastRotationLeavesAStoreClean(t *testing.T) {
	at := func(options sealing.Options) bool { // opens and closes nothing for good
		options.ReadOnly = true
		store := open(t, options)
		defer shut(t, store)
		stats, err := store.Stats(t.Context())
		ok(t, err)
		return stats.Clean
	}
	options, records := over(t)
	store := open(t, options)
	apply(t, store, 0, 3)
	if at(options) {
		t.Error("a store in use is taken for clean")
	}
	ok(t, store.Rotate(t.Context()))
	if at(options) {
		t.Error("a store in use that has rotated is taken for clean")
	}
	apply(t, store, 3, 4)
	shut(t, store)
	if !at(options) {
		t.Error("a store that was closed is not clean")
	}
	old := raw(t, records, headName)

	store = open(t, options) // and killed before it has written anything
	if at(options) {
		t.Error("a store that was opened is taken for clean")
	}
	apply(t, store, 4, 5)
	shut(t, store)

	// The head of before is put back: its key is gone, and if it were there the
	// anchor would tell.
	lay(t, records, headName, old)
	if reopened, err := sealing.Open(t.Context(), options); err == nil {
		shut(t, reopened)
		t.Error("an older head opens the store")
	}
}

var headName = persistence.NewName(persistence.KindHead)
