package sealing_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// scene is a store that has come to batch 600, and copies of its disk at 100 and
// at 599: all as a kill leaves them. The anchor is outside the store's directory.
type scene struct {
	options           func(vfs.FS) sealing.Options
	now, then, before *vfs.MemFS
}

func newScene(t *testing.T, restart bool) scene {
	keyFile := newKeyFile(t)
	disk := vfs.NewCrashableMem()
	ok(t, disk.MkdirAll("elsewhere", 0o700))
	options := func(disk vfs.FS) sealing.Options {
		options := on(disk, keyFile)
		options.Anchor = "elsewhere/anchor"
		return options
	}
	store := open(t, options(disk))
	load(t, store, 0, 100)
	then := copied(disk)
	if restart {
		shut(t, store)
		store = open(t, options(disk))
	}
	load(t, store, 100, 599)
	before := copied(disk)
	apply(t, store, 599, 600)
	now := copied(disk)
	shut(t, store)
	return scene{options, now, then, before}
}

// TestStoreThatHasGoneBackIsTold is T06: copies put back, cut logs, strange
// anchors. The store opens, says so until a new start is made, and logs why.
func TestStoreThatHasGoneBackIsTold(t *testing.T) {
	same, restarted := newScene(t, false), newScene(t, true)
	for name, test := range map[string]struct {
		scene  scene
		damage func(t *testing.T, s scene, disk *vfs.MemFS)
		reason string
		count  int // batches that are there; -1 for none
	}{
		"records of a copy": {same, func(t *testing.T, s scene, disk *vfs.MemFS) {
			exchange(t, disk, s.then, "store/records")
		}, "older than the anchor", 100},
		"directory of a copy": {same, func(t *testing.T, s scene, disk *vfs.MemFS) {
			exchange(t, disk, s.then, "store")
		}, "older than the anchor", 100},
		"directory of an earlier run": {restarted, func(t *testing.T, s scene, disk *vfs.MemFS) {
			exchange(t, disk, s.then, "store")
		}, "of a run", 100},
		"copy that ran elsewhere": {same, func(t *testing.T, s scene, disk *vfs.MemFS) {
			other := copied(s.then)
			store := open(t, s.options(other))
			apply(t, store, 100, 150)
			shut(t, store)
			exchange(t, disk, other, "store")
		}, "of a run", 150},
		"copy of now that ran elsewhere": {same, func(t *testing.T, s scene, disk *vfs.MemFS) {
			other := copied(s.now)
			store := open(t, s.options(other))
			apply(t, store, 600, 601)
			shut(t, store)
			exchange(t, disk, other, "store")
		}, "of a run", 601},
		"cut log": {same, func(t *testing.T, s scene, disk *vfs.MemFS) {
			// What is behind the last batch is of an earlier use of the file.
			log := newestLog(t, disk)
			content := contentOf(t, disk, log)
			last := 0
			if newestLog(t, s.before) == log { // else the last batch is its first
				for before := contentOf(t, s.before, log); content[last] == before[last]; {
					last++
				}
			}
			replace(t, disk, log, content[:last+100])
		}, "older than the anchor", 599},
		"no anchor": {same, func(t *testing.T, _ scene, disk *vfs.MemFS) {
			ok(t, disk.Remove("elsewhere/anchor"))
		}, "missing", 600},
		"damaged anchor": {same, func(t *testing.T, _ scene, disk *vfs.MemFS) {
			content := contentOf(t, disk, "elsewhere/anchor")
			content[100] ^= 1
			content[4096+100] ^= 1
			replace(t, disk, "elsewhere/anchor", content)
		}, "damaged", 600},
		"cut anchor": {same, func(t *testing.T, _ scene, disk *vfs.MemFS) {
			replace(t, disk, "elsewhere/anchor", nil)
		}, "damaged", 600},
		"anchor of another store": {same, func(t *testing.T, _ scene, disk *vfs.MemFS) {
			other := restarted
			exchange(t, disk, other.now, "elsewhere/anchor")
		}, "another store", 600},
		"anchor of a copy": {same, func(t *testing.T, s scene, disk *vfs.MemFS) {
			exchange(t, disk, s.then, "elsewhere/anchor")
		}, "newer than the anchor", 600},
		"no records": {same, func(t *testing.T, _ scene, disk *vfs.MemFS) {
			ok(t, disk.RemoveAll("store/records"))
		}, "no head", -1},
	} {
		t.Run(name, func(t *testing.T) {
			disk := copied(test.scene.now)
			test.damage(t, test.scene, disk)
			var log bytes.Buffer
			options := test.scene.options(disk)
			options.Logger = slog.New(slog.NewTextHandler(&log, nil))
			check := func(store *sealing.Store) {
				t.Helper()
				count := max(test.count, 0)
				ok(t, survivors(t.Context(), store, count, count))
			}

			// Reading alone tells it as well, and changes nothing.
			readOnly := options
			readOnly.ReadOnly = true
			store := open(t, readOnly)
			if !store.RolledBack() {
				t.Fatal("opened to read it is not told")
			}
			check(store)
			shut(t, store)

			store = open(t, options)
			number, pending := store.Recovery()
			if !store.RolledBack() || !store.Condition().RolledBack || !pending || number == 0 {
				t.Fatalf("it is not told: recovery %d, pending %t", number, pending)
			}
			if !strings.Contains(log.String(), test.reason) {
				t.Fatalf("the log says %q, want a reason with %q", log.String(), test.reason)
			}
			check(store)
			killed := copied(disk)
			shut(t, store)

			// It is still owed after a kill, under the same number.
			options = test.scene.options(killed)
			store = open(t, options)
			if again, pending := store.Recovery(); again != number || !pending {
				t.Fatalf("opened again: recovery %d, pending %t, want %d pending", again, pending, number)
			}
			check(store)
			ok(t, store.Recovered(t.Context()))
			put(t, store, named("new start"), "1")
			killed = copied(killed)
			shut(t, store)

			store = open(t, test.scene.options(killed))
			if again, pending := store.Recovery(); again != number || pending {
				t.Fatalf("after the new start: recovery %d, pending %t, want %d settled", again, pending, number)
			}
			has(t, store, named("new start"), "1")
			shut(t, store)
		})
	}
}

// TestStoreThatHasNotGoneBackIsNotTold: what crashes leave is no rollback.
func TestStoreThatHasNotGoneBackIsNotTold(t *testing.T) {
	s := newScene(t, true)
	tear := func(slot int) func(*testing.T, *vfs.MemFS) *vfs.MemFS {
		return func(t *testing.T, disk *vfs.MemFS) *vfs.MemFS {
			content := contentOf(t, disk, "elsewhere/anchor")
			content[slot*4096+2000] ^= 1
			replace(t, disk, "elsewhere/anchor", content)
			return disk
		}
	}
	for name, leave := range map[string]func(*testing.T, *vfs.MemFS) *vfs.MemFS{
		"killed":           func(_ *testing.T, disk *vfs.MemFS) *vfs.MemFS { return disk },
		"torn first slot":  tear(0),
		"torn second slot": tear(1),
		"killed many times": func(t *testing.T, disk *vfs.MemFS) *vfs.MemFS {
			for range 5 {
				store := open(t, s.options(disk))
				if store.RolledBack() {
					t.Fatal("told to have gone back")
				}
				disk = copied(disk)
				shut(t, store)
			}
			return disk
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := copied(s.now)
			disk = leave(t, disk)
			store := open(t, s.options(disk))
			if number, _ := store.Recovery(); store.RolledBack() || number != 0 {
				t.Fatalf("told to have gone back, recovery %d", number)
			}
			ok(t, survivors(t.Context(), store, 600, 600))
			shut(t, store)
		})
	}
}

// TestAnchorThatCannotBeMadeCostsNothing: a store that is started again and again
// while the disk of its anchor is not mounted is as it was when it is.
func TestAnchorThatCannotBeMadeCostsNothing(t *testing.T) {
	disk := vfs.NewMem()
	ok(t, disk.MkdirAll("elsewhere", 0o700))
	options, records := over(t)
	options.Files, options.Anchor = on(disk, "").Files, "elsewhere/anchor"
	options.Records = func(dir string) (persistence.Store, error) { return records, disk.MkdirAll(dir, 0o700) }
	shut(t, open(t, options))
	apply(t, open(t, options), 0, 100) // and killed
	ok(t, disk.Rename("elsewhere", "unmounted"))
	before := contentOf(t, disk, "store/keyring")
	for range 2 * keyring.MaxEpochs {
		_, err := sealing.Open(t.Context(), options)
		wantStoreError(t, err, fs.ErrNotExist)
	}
	if !bytes.Equal(before, contentOf(t, disk, "store/keyring")) {
		t.Error("epochs were spent")
	}
	ok(t, disk.Rename("unmounted", "elsewhere"))
	store := open(t, options)
	if store.RolledBack() {
		t.Error("told to have gone back")
	}
	ok(t, survivors(t.Context(), store, 100, 100))
	shut(t, store)
}

// TestRecordsOfADestroyedEpochAreRefused is T06 for a copy whose keys are gone:
// there is nothing to recover, and nothing is written.
func TestRecordsOfADestroyedEpochAreRefused(t *testing.T) {
	s := newScene(t, true)
	disk := copied(s.now)
	shut(t, open(t, s.options(disk)))
	exchange(t, disk, s.then, "store/records")
	before := contentOf(t, disk, "store/keyring")
	_, err := sealing.Open(t.Context(), s.options(disk))
	wantStoreError(t, err, sealing.ErrNoKey, persistence.ErrCorrupt)
	if !bytes.Equal(before, contentOf(t, disk, "store/keyring")) {
		t.Fatal("the keyring was written")
	}
}

// TestRestoredStoreOwesARecovery: the next Open after MarkRestored, and only that.
func TestRestoredStoreOwesARecovery(t *testing.T) {
	disk, keyFile := vfs.NewMem(), newKeyFile(t)
	store := open(t, on(disk, keyFile))
	apply(t, store, 0, 10)
	ok(t, store.MarkRestored(t.Context()))
	if store.RolledBack() {
		t.Fatal("it is the next Open that tells")
	}
	shut(t, store)
	store = open(t, on(disk, keyFile))
	number, pending := store.Recovery()
	if !pending || number == 0 {
		t.Fatalf("recovery %d, pending %t", number, pending)
	}
	ok(t, survivors(t.Context(), store, 10, 10))
	ok(t, store.Recovered(t.Context()))
	shut(t, store)
	store = open(t, on(disk, keyFile))
	if again, pending := store.Recovery(); pending || again != number {
		t.Fatalf("opened again: recovery %d, pending %t", again, pending)
	}
	shut(t, store)
}

func newestLog(t testing.TB, disk vfs.FS) string {
	t.Helper()
	newest := ""
	for _, name := range files(t, disk, "store/records") {
		if path.Ext(name) == ".log" {
			newest = max(newest, name)
		}
	}
	return newest
}
