package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
)

// small makes tables and logs turn over within a test.
func small(fs vfs.FS) pebble.Options {
	return pebble.Options{FS: fs, MemTableBytes: 64 << 10, CacheBytes: 1 << 20}
}

func open(t *testing.T, fs vfs.FS) *pebble.Store {
	t.Helper()
	store, err := pebble.Open("store", small(fs))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func shut(t *testing.T, store *pebble.Store) {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func numbered(i int) persistence.Name {
	return persistence.NewName(persistence.KindSession, fmt.Appendf(nil, "%06d", i))
}

// pair is batch i: two records that tell its number, one of them written over by
// every batch.
func pair(i int) persistence.Batch {
	value := fmt.Appendf(nil, "%d %s", i, strings.Repeat("x", 200))
	return persistence.Batch{Records: []persistence.Record{
		{Name: numbered(i), Value: value},
		{Name: persistence.NewName(persistence.KindIdentity), Value: value},
	}}
}

// survivors checks what pairs there are: all up to a number that is at least
// acknowledged and at most attempted, whole, and nothing else.
func survivors(ctx context.Context, store persistence.Store, acknowledged, attempted int) error {
	count := 0
	err := store.Scan(ctx, persistence.NewName(persistence.KindSession), func(name persistence.Name, value []byte) error {
		if want := pair(count).Records[0]; name != want.Name || string(value) != string(want.Value) {
			return fmt.Errorf("record %d is %s = %.12q", count, name, value)
		}
		count++
		return nil
	})
	if err != nil {
		return err
	}
	if count < acknowledged || count > attempted {
		return fmt.Errorf("%d batches are there, of %d acknowledged and %d attempted", count, acknowledged, attempted)
	}
	if count == 0 {
		return nil
	}
	last, err := store.Get(ctx, persistence.NewName(persistence.KindIdentity))
	if err != nil || string(last) != string(pair(count - 1).Records[1].Value) {
		return fmt.Errorf("half of batch %d: the other record is %.12q, %w", count-1, last, err)
	}
	return nil
}

// TestCrashKeepsEveryAcknowledgedBatchWhole is T02 for the store: after each of
// many crash points, with none, half and all of what was not synced on disk, the
// store opens with every acknowledged batch, each all or nothing.
func TestCrashKeepsEveryAcknowledgedBatchWhole(t *testing.T) {
	const seed, batches = 1, 1200
	t.Logf("seed %d: go test -run TestCrashKeepsEveryAcknowledgedBatchWhole ./persistence/pebble", seed)
	disk := vfs.NewCrashableMem()
	store := open(t, disk)
	var acknowledged, attempted atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range batches {
			attempted.Store(int64(i + 1))
			if err := store.Apply(context.Background(), pair(i)); err != nil {
				t.Errorf("batch %d: %v", i, err)
				return
			}
			acknowledged.Store(int64(i + 1))
		}
	}()
	random := rand.New(rand.NewPCG(seed, 0))
	crashes := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		for _, percent := range []int{0, 50, 100} {
			before := int(acknowledged.Load())
			crashed := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: random})
			after := int(attempted.Load())
			again, err := pebble.Open("store", small(crashed))
			if err != nil {
				t.Fatalf("crash %d with %d %% of the unsynced, after %d batches: %v", crashes, percent, before, err)
			}
			if err := survivors(t.Context(), again, before, after); err != nil {
				t.Fatalf("crash %d with %d %% of the unsynced: %v", crashes, percent, err)
			}
			shut(t, again)
			crashes++
		}
	}
	t.Logf("%d crashes", crashes)
	if crashes < 9 {
		t.Fatalf("only %d crashes", crashes)
	}
}

// TestCrashWhileCreatingLeavesAStore: whatever was on disk when the process died
// in its first Open, the next one succeeds.
func TestCrashWhileCreatingLeavesAStore(t *testing.T) {
	const seed = 1
	t.Logf("seed %d: go test -run TestCrashWhileCreatingLeavesAStore ./persistence/pebble", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	disk := vfs.NewCrashableMem()
	var clones []*vfs.MemFS
	watched := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			for _, percent := range []int{0, 50, 100} {
				clones = append(clones, disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: random}))
			}
		}
		return nil
	}))
	store, err := pebble.Open("store", small(watched))
	if err != nil {
		t.Fatal(err)
	}
	points := len(clones)
	shut(t, store)
	for i, crashed := range clones[:points] {
		again, err := pebble.Open("store", small(crashed))
		if err != nil {
			t.Fatalf("crash point %d of %d: %v", i, points, err)
		}
		if err := again.Apply(t.Context(), pair(0)); err != nil {
			t.Fatalf("crash point %d of %d: %v", i, points, err)
		}
		shut(t, again)
	}
}

// TestDiskFailureIsACrashOfTheStoreAlone is T03 and T04 for the store: every
// write operation in turn fails with a full disk, from then on or once. The
// process goes on, no acknowledged batch is lost, and a failed store says so.
func TestDiskFailureIsACrashOfTheStoreAlone(t *testing.T) {
	for _, lasting := range []bool{true, false} {
		t.Run(fmt.Sprintf("lasting=%t", lasting), func(t *testing.T) {
			failures := 0
			for index := int64(0); ; index++ {
				reached, failed := failAt(t, index, lasting)
				if !reached {
					break
				}
				if failed {
					failures++
				}
			}
			t.Logf("%d failures reached the caller", failures)
			if failures < 20 {
				t.Fatalf("only %d failures reached the caller", failures)
			}
		})
	}
}

// failAt runs a store on a disk whose index-th write operation fails. It tells
// whether there were that many, and whether a call failed for it.
func failAt(t *testing.T, index int64, lasting bool) (reached, failed bool) {
	t.Helper()
	const batches = 40
	disk := vfs.NewMem()
	var writes atomic.Int64
	full := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		n := writes.Add(1) - 1
		if n == index || lasting && n > index {
			return &syscallError{op: fmt.Sprint(op.Kind)}
		}
		return nil
	}))
	options := small(full)
	options.MemTableBytes = 8 << 10 // several logs and tables within the run
	acknowledged, attempted := 0, 0
	store, err := pebble.Open("store", options)
	if err == nil {
		for i := range batches {
			attempted = i + 1
			if err = store.Apply(t.Context(), pair(i)); err != nil {
				break
			}
			acknowledged = i + 1
		}
		if err != nil {
			if _, again := store.Get(t.Context(), numbered(0)); !errors.Is(again, persistence.ErrFailed) {
				t.Errorf("write %d: after %v a read gives %v, want ErrFailed", index, err, again)
			}
			if again := store.Apply(t.Context(), pair(0)); !errors.Is(again, persistence.ErrFailed) {
				t.Errorf("write %d: after %v a batch gives %v, want ErrFailed", index, err, again)
			}
		}
		_ = store.Close() // it may be the failing write itself
	}
	if err != nil {
		if !errors.Is(err, persistence.ErrFailed) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("write %d: %v, want ErrFailed for a full disk", index, err)
		}
	}
	again, reopenErr := pebble.Open("store", small(disk))
	if reopenErr != nil {
		t.Fatalf("write %d, lasting %t, first error %v: reopening: %v", index, lasting, err, reopenErr)
	}
	if lost := survivors(t.Context(), again, acknowledged, attempted); lost != nil {
		t.Fatalf("write %d, lasting %t, first error %v: %v", index, lasting, err, lost)
	}
	shut(t, again)
	return writes.Load() > index, err != nil
}

// syscallError is a full disk as the operating system tells it.
type syscallError struct{ op string }

func (e *syscallError) Error() string { return e.op + ": " + syscall.ENOSPC.Error() }
func (e *syscallError) Unwrap() error { return syscall.ENOSPC }

// TestFlippedBitInTheLogIsReported is T05 and finding 2: a bit flipped anywhere
// before the log's last record makes Open or a read report corruption, and never
// shows an older state as the present one.
func TestFlippedBitInTheLogIsReported(t *testing.T) {
	const records = 1000
	disk := vfs.NewCrashableMem()
	store := open(t, disk)
	for i := range records {
		if err := store.Apply(t.Context(), persistence.Batch{Records: []persistence.Record{{
			Name: persistence.NewName(persistence.KindSession), Value: fmt.Appendf(nil, "state %d", i),
		}}}); err != nil {
			t.Fatal(err)
		}
	}
	shut(t, store)
	for _, percent := range []int{1, 10, 25, 50, 75, 90, 99} {
		damaged := disk.CrashClone(vfs.CrashCloneCfg{})
		log := newestLog(t, damaged)
		content := contentOf(t, damaged, log)
		content[len(content)*percent/100] ^= 0x10
		replace(t, damaged, log, content)
		again, err := pebble.Open("store", small(damaged))
		if err == nil {
			var value []byte
			value, err = again.Get(t.Context(), persistence.NewName(persistence.KindSession))
			t.Logf("a bit at %d %%: opened, reads %q, %v", percent, value, err)
			shut(t, again)
		}
		if !errors.Is(err, persistence.ErrCorrupt) {
			t.Errorf("a bit at %d %% of the log: %v, want ErrCorrupt", percent, err)
		}
	}
}

// TestAnyFlippedBitIsReportedOrHarmless is T05 over all files of a closed store.
func TestAnyFlippedBitIsReportedOrHarmless(t *testing.T) {
	const seed, flips, batches = 1, 300, 400
	t.Logf("seed %d: go test -run TestAnyFlippedBitIsReportedOrHarmless ./persistence/pebble", seed)
	disk := vfs.NewCrashableMem()
	store := open(t, disk)
	for i := range batches {
		if err := store.Apply(t.Context(), pair(i)); err != nil {
			t.Fatal(err)
		}
	}
	shut(t, store)
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
		again, err := pebble.Open("store", small(damaged))
		if err == nil {
			err = survivors(t.Context(), again, batches, batches)
			_ = again.Close() // a damaged table may also fail a compaction
		}
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

func newestLog(t *testing.T, disk vfs.FS) string {
	t.Helper()
	names, err := disk.List("store")
	if err != nil {
		t.Fatal(err)
	}
	newest := ""
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			newest = max(newest, name)
		}
	}
	return path.Join("store", newest)
}

func contentOf(t *testing.T, disk vfs.FS, name string) []byte {
	t.Helper()
	file, err := disk.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func replace(t *testing.T, disk vfs.FS, name string, content []byte) {
	t.Helper()
	file, err := disk.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}
