package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/pebble/faultydisk"
)

// refusals are the ways in which a disk takes no writes for a time.
var refusals = map[string]struct {
	errno syscall.Errno
	kind  error
	step  int64 // between the write operations that meet it
}{
	"full":      {syscall.ENOSPC, persistence.ErrFull, 1},
	"quota":     {syscall.EDQUOT, persistence.ErrFull, 7},
	"read-only": {syscall.EROFS, persistence.ErrReadOnly, 7},
}

// space is a disk that takes writes up to a number of them and then refuses
// all, until freed.
type space struct {
	errno  syscall.Errno
	left   atomic.Int64
	writes atomic.Int64
}

func (s *space) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	s.writes.Add(1)
	if s.left.Add(-1) >= 0 {
		return nil
	}
	return &diskError{op: fmt.Sprint(op.Kind), errno: s.errno}
}

func (s *space) String() string { return "space" }

func (s *space) free() { s.left.Store(1 << 40) }

// probing makes a store look for space often.
func probing(disk vfs.FS) pebble.Options {
	options := small(disk)
	options.MemTableBytes = 8 << 10 // several logs and tables within a run
	options.Headroom, options.ProbeEvery = 4<<10, time.Millisecond
	return options
}

// applied applies a batch, again and again until the disk takes it.
func applied(ctx context.Context, store persistence.Store, batch persistence.Batch, while error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := store.Apply(ctx, batch)
		if !errors.Is(err, while) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// TestFullDiskIsReadUntilThereIsSpace is T04 for the store: it meets the full
// disk at every write operation in turn (every 7th for its kin). Nothing exits; what was acknowledged is
// read while the disk is full; batches are refused with the kind and change
// nothing; with space the same store writes again; and all is there when it is
// opened again.
func TestFullDiskIsReadUntilThereIsSpace(t *testing.T) {
	for name, refusal := range refusals {
		t.Run(name, func(t *testing.T) {
			met := 0
			for index := int64(0); ; index += refusal.step {
				disk := vfs.NewCrashableMem()
				full := &space{errno: refusal.errno}
				full.left.Store(index)
				reached, err := fill(t.Context(), disk, full, refusal.kind)
				if err != nil {
					t.Fatalf("write %d: %v", index, err)
				}
				if full.writes.Load() <= index {
					break
				}
				if reached {
					met++
				}
			}
			t.Logf("met the full disk %d times", met)
			if met < 10 {
				t.Fatalf("only %d batches met the full disk", met)
			}
		})
	}
}

// fill runs a store into a full disk and out of it again. It tells whether a
// batch was refused.
func fill(ctx context.Context, disk *vfs.MemFS, full *space, kind error) (refused bool, err error) {
	const batches = 40
	store, err := pebble.Open("store", probing(faultydisk.New(disk, full)))
	if err != nil {
		if !errors.Is(err, kind) || !errors.Is(err, full.errno) {
			return false, fmt.Errorf("open: %w, want %w", err, kind)
		}
		full.free()
		if store, err = pebble.Open("store", probing(faultydisk.New(disk, full))); err != nil {
			return false, fmt.Errorf("open with space: %w", err)
		}
	}
	for i := range batches {
		err := store.Apply(ctx, pair(i))
		if err == nil {
			continue
		}
		if !errors.Is(err, kind) || !errors.Is(err, full.errno) {
			return true, fmt.Errorf("batch %d: %w, want %w", i, err, kind)
		}
		refused = true
		// The refused batch is there as a whole or not at all, and stays what it is.
		for range 2 {
			if err := survivors(ctx, store, i, i+1); err != nil {
				return true, fmt.Errorf("while the disk is full: %w", err)
			}
			if err := store.Apply(ctx, pair(batches)); !errors.Is(err, kind) {
				return true, fmt.Errorf("a batch for the full disk: %w, want %w", err, kind)
			}
			if _, err := store.Own(ctx, persistence.OwnerID{1}); !errors.Is(err, kind) {
				return true, fmt.Errorf("an owner for the full disk: %w, want %w", err, kind)
			}
		}
		full.free()
		if err := applied(ctx, store, pair(i), kind); err != nil {
			return true, fmt.Errorf("batch %d with space: %w", i, err)
		}
	}
	if err := survivors(ctx, store, batches, batches); err != nil {
		return refused, err
	}
	full.free() // a flush may still meet the end of the disk, also while it is closed
	if err := store.Close(); err != nil && !errors.Is(err, kind) {
		return refused, err
	}
	// The machine stops before anything else is synced.
	for what, left := range map[string]*vfs.MemFS{"opening again": disk, "opening after a crash": disk.CrashClone(vfs.CrashCloneCfg{})} {
		again, err := pebble.Open("store", small(left))
		if err != nil {
			return refused, fmt.Errorf("%s: %w", what, err)
		}
		if err := errors.Join(survivors(ctx, again, batches, batches), again.Close()); err != nil {
			return refused, fmt.Errorf("%s: %w", what, err)
		}
	}
	return refused, nil
}

// TestFullDiskMetAgainOnTheWayBack: the space that was found is gone when the
// store wants to write, at each operation of its opening.
func TestFullDiskMetAgainOnTheWayBack(t *testing.T) {
	const batches = 10
	disk := vfs.NewMem()
	full := &space{errno: syscall.ENOSPC}
	full.free()
	store, err := pebble.Open("store", probing(faultydisk.New(disk, full)))
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	for space, enough := int64(0), false; !enough; space++ {
		for range batches {
			// A write in the background may have been refused before there was
			// enough, and be told now.
			if err := applied(t.Context(), store, pair(next), persistence.ErrFull); err != nil {
				t.Fatal(err)
			}
			next++
		}
		full.left.Store(0)
		if err := store.Apply(t.Context(), pair(next)); !errors.Is(err, persistence.ErrFull) {
			t.Fatalf("%v, want ErrFull", err)
		}
		full.left.Store(space) // enough for the probe, perhaps
		used := full.writes.Load() + space
		for deadline := time.Now().Add(time.Minute); full.writes.Load() <= used && !enough; time.Sleep(100 * time.Microsecond) {
			if time.Now().After(deadline) {
				t.Fatalf("space for %d operations was never used", space)
			}
			enough = store.Apply(t.Context(), pair(next)) == nil
		}
		if enough && space < 20 {
			t.Fatalf("space for %d operations was enough: nothing was met on the way back", space)
		}
		if err := survivors(t.Context(), store, next, next+1); err != nil {
			t.Fatalf("space for %d operations: %v", space, err)
		}
		full.free()
		if err := applied(t.Context(), store, pair(next), persistence.ErrFull); err != nil {
			t.Fatalf("space for %d operations, and then enough: %v", space, err)
		}
		next++
	}
	shut(t, store)
	if store, err = pebble.Open("store", small(disk)); err != nil {
		t.Fatal(err)
	}
	if err := survivors(t.Context(), store, next, next); err != nil {
		t.Error(err)
	}
	shut(t, store)
}

// TestFailureInTheBackgroundRefusesNoBatchThatIsThere: when only tables and
// manifests cannot be written a batch is in the log, and acknowledged, or it is
// refused and will not be there.
func TestFailureInTheBackgroundRefusesNoBatchThatIsThere(t *testing.T) {
	refused := 0
	for index := range int64(40) {
		disk := vfs.NewMem()
		full := &space{errno: syscall.ENOSPC}
		full.left.Store(index)
		store, err := pebble.Open("store", probing(faultydisk.New(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if name := path.Base(op.Path); strings.HasSuffix(name, ".sst") || strings.Contains(name, "MANIFEST-") {
				return full.MaybeError(op)
			}
			return nil
		}))))
		if err != nil {
			full.free()
			continue // met while it was opened
		}
		next := 0
		for range 100 {
			err := store.Apply(t.Context(), pair(next))
			if err == nil {
				next++
				continue
			}
			if !errors.Is(err, persistence.ErrFull) {
				t.Fatalf("write %d: %v, want ErrFull", index, err)
			}
			refused++
			if err := survivors(t.Context(), store, next, next); err != nil {
				t.Fatalf("write %d: after a refusal: %v", index, err)
			}
			break
		}
		full.free()
		_ = store.Close() // perhaps the disk was full for its last table
		if store, err = pebble.Open("store", small(disk)); err != nil {
			t.Fatal(err)
		}
		if err := survivors(t.Context(), store, next, next); err != nil {
			t.Fatalf("write %d: %v", index, err)
		}
		shut(t, store)
	}
	if refused < 10 {
		t.Fatalf("only %d batches were refused", refused)
	}
}

// TestScanGoesOnWhileTheDiskFillsUpAndEmpties: one scan outlives the change to
// reading, its callback reads, and the change back waits for it.
func TestScanGoesOnWhileTheDiskFillsUpAndEmpties(t *testing.T) {
	const batches = 100
	disk := vfs.NewMem()
	full := &space{errno: syscall.ENOSPC}
	full.free()
	store, err := pebble.Open("store", probing(faultydisk.New(disk, full)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range batches {
		if err := store.Apply(t.Context(), pair(i)); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	err = store.Scan(t.Context(), persistence.NewName(persistence.KindSession), func(persistence.Name, []byte) error {
		if seen == batches/4 {
			full.left.Store(0)
			if err := store.Apply(t.Context(), pair(batches)); !errors.Is(err, persistence.ErrFull) {
				return fmt.Errorf("%w, want ErrFull", err)
			}
		}
		if seen == batches/2 {
			full.free()
			if err := applied(t.Context(), store, pair(batches), persistence.ErrFull); err != nil {
				return err
			}
		}
		seen++
		_, err := store.Get(t.Context(), numbered(0))
		return err
	})
	if err != nil || seen != batches {
		t.Fatalf("%d records, %v, want %d", seen, err, batches)
	}
	// A scan of a store that only reads holds up its change back, not itself.
	full.left.Store(0)
	if err := store.Apply(t.Context(), pair(batches+1)); !errors.Is(err, persistence.ErrFull) {
		t.Fatalf("%v, want ErrFull", err)
	}
	seen = 0
	err = store.Scan(t.Context(), persistence.NewName(persistence.KindSession), func(persistence.Name, []byte) error {
		if seen == 0 {
			full.free()
			time.Sleep(20 * time.Millisecond) // many looks for space
			if err := store.Apply(t.Context(), pair(batches+1)); !errors.Is(err, persistence.ErrFull) {
				return fmt.Errorf("%w, want ErrFull until the scan has ended", err)
			}
		}
		seen++
		_, err := store.Get(t.Context(), numbered(0))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := applied(t.Context(), store, pair(batches+1), persistence.ErrFull); err != nil {
		t.Fatal(err)
	}
	shut(t, store)
}

// TestFullDiskUnderFire: readers and writers of all sides while the disk fills
// up and empties again and again; and Close at any moment of it.
func TestFullDiskUnderFire(t *testing.T) {
	const rounds, writers, readers = 8, 3, 3
	for round := range rounds {
		disk := vfs.NewMem()
		full := &space{errno: syscall.ENOSPC}
		full.free()
		store, err := pebble.Open("store", probing(faultydisk.New(disk, full)))
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var acknowledged [writers]int // how many
		for writer := range writers {
			all.Go(func() {
				for i := 0; ; i++ {
					batch := persistence.Batch{Records: []persistence.Record{{Name: persistence.NewName(persistence.KindSession, []byte{byte(writer)}), Value: fmt.Append(nil, i+1)}}}
					switch err := store.Apply(t.Context(), batch); {
					case err == nil:
						acknowledged[writer] = i + 1
					case errors.Is(err, persistence.ErrClosed):
						return
					case !errors.Is(err, persistence.ErrFull):
						t.Errorf("a writer: %v", err)
						return
					}
				}
			})
		}
		for range readers {
			all.Go(func() {
				for {
					err := store.Scan(t.Context(), "", func(name persistence.Name, _ []byte) error {
						_, err := store.Get(t.Context(), name)
						if errors.Is(err, persistence.ErrNotFound) {
							return nil // it was seen before it was refused
						}
						return err
					})
					if errors.Is(err, persistence.ErrClosed) {
						return
					}
					if err != nil {
						t.Errorf("a reader: %v", err)
						return
					}
				}
			})
		}
		for turn := range 4 + round%2 {
			time.Sleep(5 * time.Millisecond)
			if turn%2 == 0 {
				full.left.Store(0)
			} else {
				full.free()
			}
		}
		// That the disk is full may be met by Close before any writer.
		if err := store.Close(); err != nil && !errors.Is(err, persistence.ErrFull) {
			t.Fatal(err)
		}
		all.Wait()
		again, err := pebble.Open("store", small(disk))
		if err != nil {
			t.Fatal(err)
		}
		for writer, want := range acknowledged {
			value, err := again.Get(t.Context(), persistence.NewName(persistence.KindSession, []byte{byte(writer)}))
			if got, _ := strconv.Atoi(string(value)); got < want {
				t.Errorf("round %d: writer %d has %q, %v; %d was acknowledged", round, writer, value, err, want)
			}
		}
		shut(t, again)
	}
}
