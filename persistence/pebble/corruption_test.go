package pebble_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/cell"
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
	return openedWith(t, disk, pairs, pairs)
}

// openedWith is opened where some of the last pairs may be missing.
func openedWith(t *testing.T, disk vfs.FS, least, most int) error {
	t.Helper()
	store, err := pebble.Open("store", small(disk))
	if err != nil {
		return err
	}
	err = survivors(t.Context(), store, least, most)
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

// kindOfFile is what a file of a store is called without its number.
func kindOfFile(name string) string {
	switch {
	case strings.HasSuffix(name, ".log"), strings.HasSuffix(name, ".sst"):
		return path.Ext(name)
	case strings.Contains(name, "-"):
		return name[:strings.Index(name, "-")]
	}
	return name
}

// TestAnyFlippedBitIsReportedOrHarmless is T05 over all files of a store, closed
// and killed: either ErrCorrupt, or every record is right. Only the end of the
// log of a killed store may be lost, in whole batches: that looks like a write
// that the kill has cut, and whoever keeps count of the batches sees it.
func TestAnyFlippedBitIsReportedOrHarmless(t *testing.T) {
	const seed, flips, batches = 1, 40, 400
	t.Logf("seed %d: go test -run TestAnyFlippedBitIsReportedOrHarmless ./persistence/pebble", seed)
	for _, closed := range []bool{true, false} {
		disk := written(t, batches, closed, small)
		random := rand.New(rand.NewPCG(seed, 0))
		names, err := disk.List("store")
		if err != nil {
			t.Fatal(err)
		}
		files := make(map[string][]string)
		for _, name := range slices.Sorted(slices.Values(names)) {
			if len(contentOf(t, disk, path.Join("store", name))) > 0 { // of markers and the lock the names are what counts
				files[kindOfFile(name)] = append(files[kindOfFile(name)], name)
			}
		}
		kinds := []string{".log", ".sst", "MANIFEST", "OPTIONS", "sum.MANIFEST"}
		if closed {
			kinds = append(kinds, "CLOSED")
		}
		if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, slices.Sorted(slices.Values(kinds))) {
			t.Fatalf("closed %t: files of kinds %q, want %q", closed, got, kinds)
		}
		for _, kind := range kinds {
			reported, least := 0, batches
			if kind == ".log" && !closed {
				least = 0
			}
			for range flips {
				damaged := disk.CrashClone(vfs.CrashCloneCfg{})
				name := files[kind][random.IntN(len(files[kind]))]
				content := contentOf(t, damaged, path.Join("store", name))
				at, bit := random.IntN(len(content)), random.IntN(8)
				content[at] ^= 1 << bit
				replace(t, damaged, path.Join("store", name), content)
				err := openedWith(t, damaged, least, batches)
				switch {
				case errors.Is(err, persistence.ErrCorrupt):
					reported++
				case err != nil:
					t.Errorf("closed %t, bit %d of byte %d of %d of %s: %v, want ErrCorrupt or all records", closed, bit, at, len(content), name, err)
				}
			}
			t.Logf("closed %t, %s: %d of %d reported", closed, kind, reported, flips)
			if reported == 0 && least == batches && kind != "OPTIONS" && kind != "sum.MANIFEST" {
				t.Errorf("closed %t, %s: nothing was reported: the flips do no damage", closed, kind)
			}
		}
	}
}

// TestDamagedManifestOfAKilledStoreIsReported is T05 where Pebble itself goes on
// with the tables of an earlier moment: every byte of the manifest that was
// synced, and its sum.
func TestDamagedManifestOfAKilledStoreIsReported(t *testing.T) {
	const batches = 600
	disk := written(t, batches, false, small)
	current, err := atomicfs.ReadMarker(disk, "store", "manifest")
	if err != nil {
		t.Fatal(err)
	}
	name := path.Join("store", current)
	content := contentOf(t, disk, name)
	// What the sum speaks for: a flush may have been between the two syncs.
	note, value, err := cell.Open(pebble.Files(disk), path.Join("store", "sum."+current))
	if err == nil {
		err = note.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	synced := int(binary.BigEndian.Uint64(value))
	if synced < 150 || synced > len(content) {
		t.Fatalf("%d bytes of the manifest are synced, it has %d", synced, len(content))
	}
	check := func(what string, damage func(vfs.FS)) {
		t.Helper()
		damaged := disk.CrashClone(vfs.CrashCloneCfg{})
		damage(damaged)
		if err := opened(t, damaged, batches); !errors.Is(err, persistence.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", what, err)
		}
	}
	for at := range synced {
		check(fmt.Sprintf("byte %d of %d", at, len(content)), func(damaged vfs.FS) {
			changed := slices.Clone(content)
			changed[at] ^= 1 << (at % 8)
			replace(t, damaged, name, changed)
		})
	}
	check("the last synced byte is cut", func(damaged vfs.FS) { replace(t, damaged, name, content[:synced-1]) })
	check("the sum is missing", func(damaged vfs.FS) {
		if err := damaged.Remove(path.Join("store", "sum."+current)); err != nil {
			t.Fatal(err)
		}
	})
	check("the sum is damaged in both slots", func(damaged vfs.FS) {
		sum := path.Join("store", "sum."+current)
		changed := contentOf(t, damaged, sum)
		changed[100] ^= 1
		changed[len(changed)-1] ^= 1
		replace(t, damaged, sum, changed)
	})
}

// TestSumsGoWithTheirManifests: also those of manifests that a crash has kept
// from being removed.
func TestSumsGoWithTheirManifests(t *testing.T) {
	disk := vfs.NewMem()
	for round := range 3 {
		store, err := pebble.Open("store", small(disk))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			if err := store.Apply(t.Context(), pair(i)); err != nil {
				t.Fatal(err)
			}
		}
		shut(t, store)
		names, err := disk.List("store")
		if err != nil {
			t.Fatal(err)
		}
		sums := 0
		for _, name := range names {
			of, found := strings.CutPrefix(name, "sum.")
			if !found {
				continue
			}
			sums++
			if !slices.Contains(names, of) {
				t.Errorf("round %d: %s is left over: %q", round, name, names)
			}
		}
		if sums == 0 {
			t.Errorf("round %d: no sum in %q", round, names)
		}
		for _, left := range []string{"sum.MANIFEST-000000", "sum.MANIFEST-999999.new", "SPACE"} {
			replace(t, disk, path.Join("store", left), []byte("left by a crash"))
		}
	}
}
