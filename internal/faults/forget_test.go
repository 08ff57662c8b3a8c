package faults

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/leakscan"
	"github.com/rookery-im/rookery/internal/secret"
)

// forgetMemTable lets something stay in the log, and something be in tables.
const forgetMemTable = 128 << 10

// T45: after a rotation, and after Close, no secret that was used up in a busy
// run is in any file: not as it is, and not in anything that the keyring opens.
// Before the rotation the same search finds them.
func TestNothingConsumedIsLeftAfterARotation(t *testing.T) {
	t.Logf("seed %d: go test ./internal/faults -count=1 -run TestNothingConsumedIsLeftAfterARotation -crash.seed %d", *seedFlag, *seedFlag)
	disk, key := vfs.NewCrashableMem(), filepath.Join(t.TempDir(), "key")
	w := newWorld(disk, key, past{}, seed{*seedFlag, "forget"})
	b := leakscan.NewBook()
	w.book, w.memTable = b, forgetMemTable
	if err := all(w.open, func() error { return settle(w) }, func() error { return busy(w, "first") }); err != nil {
		t.Fatal(err)
	}
	w.store.still(func() { recoverable(t, "before the rotation", disk, key, b) })
	gone, _ := b.Consumed()
	if err := w.newEpoch(); err != nil {
		t.Fatal(err)
	}
	w.store.still(func() { forgotten(t, "after the rotation", disk, key, b, gone) })

	if err := busy(w, "second"); err != nil {
		t.Fatal(err)
	}
	w.store.still(func() { recoverable(t, "before Close", disk, key, b) })
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	gone, _ = b.Consumed()
	forgotten(t, "after Close", disk, key, b, gone)

	// A process that was killed could not rotate; the next one does so.
	// What nobody has acknowledged yet stays readable beside all that does not.
	unread := func() error {
		w.keep.Store(true)
		reported := len(w.ledger.read().delivered)
		if err := w.send(alice1, bob.public, line("third", 0, "left unread")); err != nil {
			return err
		}
		return w.until("the unread message", func(p past) bool { return len(p.delivered) > reported })
	}
	if err := all(w.open, func() error { return busy(w, "third") }, unread); err != nil {
		t.Fatal(err)
	}
	var killed *vfs.MemFS
	w.store.still(func() {
		killed = disk.CrashClone(vfs.CrashCloneCfg{})
		b.Shut(true)
	})
	later := newWorld(killed, key, w.ledger.read(), seed{*seedFlag, "forget later"})
	later.book, later.memTable = b, forgetMemTable
	later.keep.Store(true)
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	recoverable(t, "after a kill", killed, key, b)
	b.Shut(false)
	gone, _ = b.Consumed()
	if err := all(later.open, later.newEpoch); err != nil {
		t.Fatal(err)
	}
	later.store.still(func() { forgotten(t, "after a kill and a rotation", killed, key, b, gone) })
	if err := later.close(); err != nil {
		t.Fatal(err)
	}
	for _, text := range b.Wrong() {
		t.Error(text)
	}
	if b.Turns() < 100 {
		t.Errorf("only %d halves of DH ratchet steps", b.Turns())
	}
}

// recoverable holds that the search finds what is used up, so that it can fail.
func recoverable(t *testing.T, when string, disk *vfs.MemFS, key string, b *leakscan.Book) {
	t.Helper()
	gone, counts := b.Consumed()
	f := search(t, disk, key, gone)
	found := make(map[string]int)
	for s := range f.sealed {
		found[gone[s]]++
	}
	t.Logf("%s: %s used up; in %d files of %d KiB, %d sealed values opened: %s found, %d in the clear",
		when, tell(counts), f.files, f.bytes>>10, f.blobs, tell(found), len(f.raw))
	for _, what := range []string{"root key", "chain key", "skipped key", "ratchet private key", "payload"} {
		if found[what] < 3 {
			t.Errorf("%s: only %d of %s can be recovered: the search finds too little", when, found[what], what)
		}
	}
	if len(f.raw) > 0 {
		t.Errorf("%s: %d secrets lie in the clear", when, len(f.raw))
	}
}

// forgotten holds that nothing of what was used up before can be found, on the
// disk as it is and as a crash would leave it, and that all that is in use can.
func forgotten(t *testing.T, when string, disk *vfs.MemFS, key string, b *leakscan.Book, gone map[leakscan.Secret]string) {
	t.Helper()
	counts := make(map[string]int)
	for _, what := range gone {
		counts[what]++
	}
	live := b.Living()
	random := rand.New(rand.NewPCG(*seedFlag, 0))
	for _, state := range []struct {
		name string
		disk *vfs.MemFS
	}{
		{"as it is", disk},
		{"synced", disk.CrashClone(vfs.CrashCloneCfg{})},
		{"with removed files", disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: random})},
	} {
		f := search(t, state.disk, key, gone)
		t.Logf("%s, the disk %s: %s used up; %d files of %d KiB, %d sealed values opened: %d found, %d in the clear",
			when, state.name, tell(counts), f.files, f.bytes>>10, f.blobs, len(f.sealed), len(f.raw))
		for s := range f.sealed {
			t.Errorf("%s, the disk %s: a %s that is used up can be opened", when, state.name, gone[s])
		}
		for s := range f.raw {
			t.Errorf("%s, the disk %s: a %s that is used up lies in the clear", when, state.name, gone[s])
		}
		there := search(t, state.disk, key, live)
		if len(there.sealed) != len(live) {
			t.Errorf("%s, the disk %s: the search finds %d of the %d secrets in use", when, state.name, len(there.sealed), len(live))
		}
		if len(there.raw) > 0 {
			t.Errorf("%s, the disk %s: %d secrets in use lie in the clear", when, state.name, len(there.raw))
		}
		// The keyring's other slot is the one before.
		ring, err := contentOf(state.disk, home+"/keyring")
		if err != nil {
			t.Fatal(err)
		}
		if half := len(ring) / 2; zero(ring[:half]) == zero(ring[half:]) {
			t.Errorf("%s, the disk %s: the keyring has an older state", when, state.name)
		}
	}
}

func zero(b []byte) bool { return strings.Trim(string(b), "\x00") == "" }

func tell(counts map[string]int) string {
	total := 0
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		total += counts[what]
		parts = append(parts, fmt.Sprintf("%d %s", counts[what], what))
	}
	return fmt.Sprintf("%d (%s)", total, strings.Join(parts, ", "))
}

// line is a payload whose first 32 bytes are its own, either half of them: by
// those it is searched for.
func line(run string, round int, what string) string {
	said := fmt.Sprintf("%s busy run, round %d, %s", run, round, what)
	digest := sha256.Sum256([]byte(said))
	return fmt.Sprintf("%x %s", digest[:secret.KeySize/2], said)
}

// busy is a long conversation: messages both ways with turns of the DH ratchet,
// some out of order, some that never arrive, some sent directly.
func busy(w *world, name string) error {
	const rounds = 40
	for n := range rounds {
		say := func(from device, to rookery.PublicKey, k int) error {
			return w.send(from, to, line(name, n, fmt.Sprintf("message %d of %s", k, from.installation)))
		}
		w.air.hold()
		for k := range 3 {
			err := all(
				func() error { return say(alice1, bob.public, k) },
				func() error { return say(bob1, alice.public, k) },
			)
			if err != nil {
				return err
			}
		}
		if err := w.out(); err != nil {
			return err
		}
		// The newest first, and every tenth round one is lost for good.
		if n%10 == 9 {
			w.air.drop()
		}
		w.air.release()
		for k := range 2 {
			if err := w.carry(alice1, bob.public, line(name, n, fmt.Sprintf("carried %d from hand to hand", k))); err != nil {
				return err
			}
		}
		if err := w.arrived(); err != nil {
			return err
		}
	}
	return w.until("acknowledgements", func(p past) bool { return len(set(p.ended)) >= len(p.delivered) })
}
