package sealing_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// brokenBelow is a store that takes nothing while it is broken.
type brokenBelow struct {
	persistence.Store
	broken *bool
}

func (b brokenBelow) Apply(ctx context.Context, batch persistence.Batch) error {
	if *b.broken {
		return errBelow
	}
	return b.Store.Apply(ctx, batch)
}

var errBelow = errors.New("the store below is broken")

// Condition tells what a monitor asks for while it is so, and no longer.
func TestConditionFollowsTheStore(t *testing.T) {
	options, broken := on(vfs.NewMem(), newKeyFile(t)), false
	below := options.Records
	options.Records = func(dir string) (persistence.Store, error) {
		store, err := below(dir)
		return brokenBelow{store, &broken}, err
	}
	begun := time.Now().Truncate(time.Second)
	options.Now = func() time.Time { return begun }
	store := open(t, options)
	want := func(when string, unsettled, rolledBack bool) {
		t.Helper()
		c := store.Condition()
		if c.Unsettled != unsettled || c.RolledBack != rolledBack || c.Epochs == 0 || !c.Oldest.Equal(begun) {
			t.Errorf("%s: %+v", when, c)
		}
	}
	want("new", false, false)
	apply(t, store, 0, 1)
	want("written", false, false)
	broken = true
	if err := store.Apply(t.Context(), pair(1)); !errors.Is(err, errBelow) {
		t.Fatal(err)
	}
	want("broken", true, false)
	broken = false
	apply(t, store, 1, 2)
	want("mended", false, false)

	begun = begun.Add(time.Hour)
	ok(t, store.Rotate(t.Context()))
	if c := store.Condition(); c.Epochs != 1 {
		t.Errorf("%d epochs after a rotation", c.Epochs)
	}
	want("rotated", false, false)
	ok(t, store.MarkRestored(t.Context()))
	shut(t, store)
	if c := store.Condition(); c.Epochs != 0 || !c.Oldest.IsZero() {
		t.Errorf("closed: %+v", c)
	}
	options.Records = below
	store, err := sealing.Open(t.Context(), options)
	ok(t, err)
	if !store.Condition().RolledBack {
		t.Error("restored: not told")
	}
	ok(t, store.Recovered(t.Context()))
	if store.Condition().RolledBack {
		t.Error("recovered: still told")
	}
	shut(t, store)
}
