package pebble_test

import (
	"errors"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
)

// written is a disk with a store of so many pairs, closed or as if the process
// had been killed.
func written(t *testing.T, pairs int, closed bool, options func(vfs.FS) pebble.Options) *vfs.MemFS {
	t.Helper()
	disk := vfs.NewCrashableMem()
	store, err := pebble.Open("store", options(disk))
	if err != nil {
		t.Fatal(err)
	}
	for i := range pairs {
		if err := store.Apply(t.Context(), pair(i)); err != nil {
			t.Fatal(err)
		}
	}
	if closed {
		shut(t, store)
		return disk
	}
	killed := disk.CrashClone(vfs.CrashCloneCfg{})
	shut(t, store)
	return killed
}

// opened opens a store and reads all of it.
func opened(t *testing.T, disk vfs.FS, pairs int) error {
	t.Helper()
	store, err := pebble.Open("store", small(disk))
	if err != nil {
		return err
	}
	err = survivors(t.Context(), store, pairs, pairs)
	_ = store.Close() // a damaged table may also fail a compaction
	return err
}

// oneLog keeps everything in the log.
func oneLog(disk vfs.FS) pebble.Options { return pebble.Options{FS: disk, CacheBytes: 1 << 20} }

// TestFlippedBitInTheLogIsReported is T05 and finding 2, on the first log of a
// new store: a flipped bit makes Open or a read report corruption, and never
// shows an older state as the present one. After Close that goes for every bit;
// after a kill for all before the last block, in which damage cannot be told
// from a write that the kill has cut.
func TestFlippedBitInTheLogIsReported(t *testing.T) {
	const pairs, block = 300, 32 << 10 // few enough for one log
	for _, closed := range []bool{true, false} {
		disk := written(t, pairs, closed, oneLog)
		end := len(contentOf(t, disk, newestLog(t, disk)))
		if end < 3*block {
			t.Fatalf("the log has only %d bytes", end)
		}
		if !closed {
			end -= end%block + 1
		}
		for percent := range 100 {
			damaged := disk.CrashClone(vfs.CrashCloneCfg{})
			log := newestLog(t, damaged)
			content := contentOf(t, damaged, log)
			content[(end-1)*(percent+1)/100] ^= 1 << (percent % 8)
			replace(t, damaged, log, content)
			if err := opened(t, damaged, pairs); !errors.Is(err, persistence.ErrCorrupt) {
				t.Errorf("closed %t, a bit at %d %% of the log: %v, want ErrCorrupt", closed, percent, err)
			}
		}
	}
}

// TestDamageToAClosedStoreIsReported: what Pebble itself would take for the end
// of the log or of the manifest, or for a new store.
func TestDamageToAClosedStoreIsReported(t *testing.T) {
	const pairs = 400
	disk := written(t, pairs, true, small)
	cut := func(t *testing.T, disk vfs.FS, name string) {
		content := contentOf(t, disk, name)
		replace(t, disk, name, content[:len(content)-40])
	}
	remove := func(t *testing.T, disk vfs.FS, name string) {
		if err := disk.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, damage := range map[string]struct {
		prefix, suffix string
		do             func(*testing.T, vfs.FS, string)
	}{
		"cut log":           {"", ".log", cut},
		"missing log":       {"", ".log", remove},
		"cut manifest":      {"MANIFEST-", "", cut},
		"missing manifest":  {"MANIFEST-", "", remove},
		"missing marker":    {"marker.manifest", "", remove},
		"missing format":    {"marker.format-version", "", remove},
		"missing table":     {"", ".sst", remove},
		"cut table":         {"", ".sst", cut},
		"cut list of files": {"CLOSED", "", cut},
	} {
		t.Run(name, func(t *testing.T) {
			damaged := disk.CrashClone(vfs.CrashCloneCfg{})
			names, err := damaged.List("store")
			if err != nil {
				t.Fatal(err)
			}
			last := ""
			for _, name := range names {
				if strings.HasPrefix(name, damage.prefix) && strings.HasSuffix(name, damage.suffix) {
					last = max(last, name)
				}
			}
			damage.do(t, damaged, path.Join("store", last))
			err = opened(t, damaged, pairs)
			var told *persistence.StoreError
			if !errors.Is(err, persistence.ErrCorrupt) || !errors.As(err, &told) || told.Path != "store" {
				t.Fatalf("got %v, want ErrCorrupt of this store", err)
			}
		})
	}
	if err := opened(t, disk, pairs); err != nil {
		t.Fatalf("the undamaged store: %v", err)
	}
}

// TestAnyFlippedBitIsReportedOrHarmless is T05 over all files of a closed store.
func TestAnyFlippedBitIsReportedOrHarmless(t *testing.T) {
	const seed, flips, batches = 1, 300, 400
	t.Logf("seed %d: go test -run TestAnyFlippedBitIsReportedOrHarmless ./persistence/pebble", seed)
	disk := written(t, batches, true, small)
	random := rand.New(rand.NewPCG(seed, 0))
	reported := 0
	for flip := range flips {
		damaged := disk.CrashClone(vfs.CrashCloneCfg{})
		names, err := damaged.List("store")
		if err != nil {
			t.Fatal(err)
		}
		name := path.Join("store", names[random.IntN(len(names))])
		content := contentOf(t, damaged, name)
		if len(content) == 0 {
			continue // markers and the lock are empty: their names are what counts
		}
		at := random.IntN(len(content))
		content[at] ^= 1 << random.IntN(8)
		replace(t, damaged, name, content)
		err = opened(t, damaged, batches)
		switch {
		case errors.Is(err, persistence.ErrCorrupt):
			reported++
		case err != nil:
			t.Errorf("flip %d, %s at %d of %d: %v, want ErrCorrupt or all records", flip, name, at, len(content), err)
		}
	}
	t.Logf("%d of %d reported", reported, flips)
	if reported == 0 {
		t.Fatal("nothing was reported: the flips do no damage")
	}
}
