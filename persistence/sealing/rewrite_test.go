package sealing_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/sealing"
)

var _ rewriter = (*pebble.Store)(nil) // else a walk goes through batches and nobody notices

// counted counts how a store below is written to.
type counted struct {
	*pebble.Store
	batched, rewritten *int // records
}

func (c counted) Apply(ctx context.Context, batch persistence.Batch) error {
	*c.batched += len(batch.Records)
	return c.Store.Apply(ctx, batch)
}

func (c counted) Rewrite(ctx context.Context, after persistence.Name, records []persistence.Record) error {
	*c.rewritten += len(records)
	return c.Store.Rewrite(ctx, after, records)
}

// TestCloseExchangesRecordsWhereTheStoreBelowCan: nobody waits at close, so what is
// sealed anew takes the place of what it replaces, and leaves the next run nothing to
// merge. Whatever is not sealed anew is still there: ownership, the head, and what
// cannot be opened, bit by bit.
func TestCloseExchangesRecordsWhereTheStoreBelowCan(t *testing.T) {
	const pairs = 600
	disk := vfs.NewCrashableMem()
	options := on(disk, newKeyFile(t))
	records, batched, rewritten := options.Records, 0, 0
	options.Records = func(dir string) (persistence.Store, error) {
		store, err := records(dir)
		if err != nil {
			return nil, err
		}
		return counted{store.(*pebble.Store), &batched, &rewritten}, nil
	}
	store := open(t, options)
	load(t, store, 0, pairs)
	owner := persistence.NewOwnerID([]byte("identity"), "installation")
	for range 3 {
		_, err := store.Own(t.Context(), owner)
		ok(t, err)
	}
	put(t, store, named("empty"), "")
	shut(t, store)

	below, err := records(filepath.Join(options.Dir, "records"))
	ok(t, err)
	broken := raw(t, below, numbered(7))
	broken[len(broken)-1] ^= 1
	lay(t, below, numbered(7), broken)
	shut(t, below)

	store = open(t, options)
	put(t, store, named("later"), "of the second run")
	batched, rewritten = 0, 0
	shut(t, store)
	const own = 2 // the head, under the last epoch and to say that it was closed
	if batched != own || rewritten < pairs {
		t.Errorf("the close writes %d records in batches, want %d, and exchanges %d, want all", batched, own, rewritten)
	}

	below, err = records(filepath.Join(options.Dir, "records"))
	ok(t, err)
	if got := raw(t, below, numbered(7)); string(got) != string(broken) {
		t.Error("a record that cannot be opened was changed")
	}
	if got := string(raw(t, below, persistence.FenceName(owner))); got != "\x00\x00\x00\x00\x00\x00\x00\x03" {
		t.Errorf("the epoch of ownership is %x", got)
	}
	shut(t, below)
	store = open(t, options)
	defer shut(t, store)
	refused(t, store, numbered(7), sealing.ErrNoKey)
	for i := range pairs {
		if i != 7 {
			has(t, store, numbered(i), string(pair(i).Records[0].Value))
		}
	}
	has(t, store, named("later"), "of the second run")
	has(t, store, named("empty"), "")
	if store.RolledBack() {
		t.Error("told to have gone back")
	}
}

// TestCloseThatIsCutShortIsTakenUpByTheNext: what a close has exchanged before it was
// cut short stays so, with the key of before, and nothing is lost; the next one ends
// what is left. So it is if the step that failed was exchanged all the same.
func TestCloseThatIsCutShortIsTakenUpByTheNext(t *testing.T) {
	const records, size, steps = 60, 400 << 10, 3 // as many as that take
	for _, landed := range []bool{false, true} {
		anew := uint64(0) // sealed anew by a step less
		for at := 0; at <= steps; at += oneIn {
			disk, keyFile := vfs.NewCrashableMem(), newKeyFile(t)
			options := on(disk, keyFile)
			below := options.Records
			options.Records = func(dir string) (persistence.Store, error) {
				store, err := below(dir)
				if err != nil {
					return nil, err
				}
				return &failingExchange{Store: store.(*pebble.Store), left: at, landed: landed}, nil
			}
			store := open(t, options)
			for i := range records {
				put(t, store, numbered(i), string(make([]byte, size)))
			}
			shut(t, store)

			next := open(t, on(disk, keyFile))
			under := epochs(t, next) // 2 and 3 are of the first run and its close, 4 is of this one
			switch cut := at < steps; {
			case cut && (len(under) != 4 || under[2]+under[3] != records):
				t.Errorf("landed %t, %d steps: records under %v", landed, at, under)
			case cut && (landed || at > 0) && under[3] <= anew:
				t.Errorf("landed %t, %d steps: records under %v, with a step less %d under 3", landed, at, under, anew)
			case !cut && (len(under) != 2 || under[3] != records):
				t.Errorf("landed %t, all steps: records under %v", landed, under)
			}
			anew = under[3]
			for i := range records {
				has(t, next, numbered(i), string(make([]byte, size)))
			}
			shut(t, next)
			next = open(t, on(disk, keyFile))
			if under := epochs(t, next); len(under) != 2 || next.RolledBack() {
				t.Errorf("landed %t, %d steps: after the next close records under %v, gone back %t", landed, at, under, next.RolledBack())
			}
			shut(t, next)
		}
	}
}

// failingExchange fails after a number of steps, with or without having done one more.
type failingExchange struct {
	*pebble.Store
	left   int
	landed bool
}

func (f *failingExchange) Rewrite(ctx context.Context, after persistence.Name, records []persistence.Record) error {
	f.left--
	if f.left >= 0 || f.landed {
		if err := f.Store.Rewrite(ctx, after, records); err != nil {
			return err
		}
	}
	if f.left < 0 {
		return errUnlucky
	}
	return nil
}
