package sealing_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/pebble/faultydisk"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// progress is what the one who uses a store has been told and has asked for.
type progress struct {
	acknowledged, attempted atomic.Int64
	oldest                  atomic.Int64 // every epoch before is told to be destroyed
}

// crashPoint is the disk after a crash at one moment, with the progress by then.
type crashPoint struct {
	disk                            *vfs.MemFS
	unsynced                        int // percent of the unsynced that reached the disk
	acknowledged, attempted, oldest int
}

// crashes notes what a crash before each write operation would leave, with none,
// half and all of what was not synced in turn.
type crashes struct {
	disk *vfs.MemFS
	progress

	mu     sync.Mutex
	random *rand.Rand
	points []crashPoint
}

func (c *crashes) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	point := crashPoint{
		unsynced:     len(c.points) % 3 * 50,
		acknowledged: int(c.acknowledged.Load()),
		oldest:       int(c.oldest.Load()),
	}
	point.disk = c.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: point.unsynced, RNG: c.random})
	point.attempted = int(c.attempted.Load())
	c.points = append(c.points, point)
	return nil
}

func (c *crashes) String() string { return "crashes" }

// live runs a store through what it goes through: two lives with batches, a
// rotation among them, and a close that rotates. It returns the first error.
func live(t *testing.T, options sealing.Options, p *progress) error {
	for range 2 {
		store, err := sealing.Open(t.Context(), options)
		if err != nil {
			return err
		}
		err = func() error {
			for i := range 16 {
				if i == 8 {
					if err := store.Rotate(t.Context()); err != nil {
						return err
					}
					stats, err := store.Stats(t.Context())
					if err != nil {
						return err
					}
					p.oldest.Store(int64(stats.Epochs[0].ID))
					if len(stats.Epochs) != 1 {
						t.Errorf("after a rotation there are epochs %v", stats.Epochs)
					}
				}
				next := int(p.attempted.Add(1)) - 1
				if err := store.Apply(t.Context(), pair(next)); err != nil {
					return err
				}
				p.acknowledged.Add(1)
			}
			return nil
		}()
		if err != nil {
			_ = store.Close() // that of a store that fails says no more
			return err
		}
		if err := store.Close(); err != nil {
			return err
		}
	}
	return nil
}

// TestCrashLosesNothingAndIsNoRollback is T02: a crash at any file operation of
// the records, the keyring and the anchor, from the first Open to the end of the
// last Close, leaves a store that opens, has every acknowledged batch whole, is
// not taken for one that has gone back, and has no key that a finished rotation
// has destroyed.
func TestCrashLosesNothingAndIsNoRollback(t *testing.T) {
	for seed := uint64(0); seed < 3; seed += oneIn { // turns which operation meets which percentage
		t.Logf("seed %d: go test -run TestCrashLosesNothingAndIsNoRollback ./persistence/sealing", seed)
		keyFile := newKeyFile(t)
		watch := &crashes{disk: vfs.NewCrashableMem(), random: rand.New(rand.NewPCG(seed, 0))}
		watch.points = make([]crashPoint, seed)
		options := on(faultydisk.New(watch.disk, watch), keyFile)
		options.Records = func(dir string) (persistence.Store, error) {
			return pebble.Open(dir, pebble.Options{FS: faultydisk.New(watch.disk, watch), MemTableBytes: 16 << 10, CacheBytes: 1 << 20})
		}
		ok(t, live(t, options, &watch.progress))
		points := watch.points[seed:]
		for i, point := range points {
			if err := recovers(t, point, keyFile); err != nil {
				t.Fatalf("crash at operation %d of %d with %d %% of the unsynced, %d batches acknowledged: %v",
					i, len(points), point.unsynced, point.acknowledged, err)
			}
		}
		t.Logf("%d crashes", len(points))
		if len(points) < 300 {
			t.Fatalf("only %d crashes", len(points))
		}
	}
}

// recovers opens what a crash has left.
func recovers(t *testing.T, point crashPoint, keyFile string) error {
	options := on(point.disk, keyFile)
	if point.oldest > 0 {
		ring, err := keyring.Open("store/keyring", options.Protector, keyring.Options{FS: options.Files})
		if err != nil {
			return err
		}
		if first := ring.Epochs()[0].ID; int(first) < point.oldest {
			return fmt.Errorf("epoch %d is there, all before %d were destroyed", first, point.oldest)
		}
		if err := ring.Close(); err != nil {
			return err
		}
	}
	store, err := sealing.Open(t.Context(), options)
	if err != nil {
		return err
	}
	err = survivors(t.Context(), store, point.acknowledged, point.attempted)
	if err == nil && store.RolledBack() {
		err = errors.New("it is taken for one that has gone back")
	}
	return errors.Join(err, store.Close())
}

// TestFailingDiskLosesNothing is T03 and T04: every write operation in turn fails,
// once, or from then on with a full disk. The error is a typed one, no acknowledged batch is lost, the
// store works again when it is opened on a disk that works, and is not taken for
// one that has gone back.
func TestFailingDiskLosesNothing(t *testing.T) {
	for cause, lasting := range map[error]bool{syscall.EIO: false, syscall.ENOSPC: true} {
		t.Run(fmt.Sprintf("lasting=%t", lasting), func(t *testing.T) {
			failures, keyFile := 0, newKeyFile(t)
			for index := int64(0); ; index += oneIn {
				reached, failed := failAt(t, keyFile, index, lasting, cause)
				if !reached || t.Failed() {
					break
				}
				if failed {
					failures++
				}
			}
			t.Logf("%d failures reached the caller", failures)
			if failures < 50/oneIn {
				t.Fatalf("only %d failures reached the caller", failures)
			}
		})
	}
}

// failAt lives on a disk whose index-th write operation fails. It tells whether
// there were that many, and whether a call failed for it.
func failAt(t *testing.T, keyFile string, index int64, lasting bool, cause error) (reached, failed bool) {
	t.Helper()
	disk := vfs.NewMem()
	var writes atomic.Int64
	broken := faultydisk.New(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		n := writes.Add(1) - 1
		if n == index || lasting && n > index {
			return cause
		}
		return nil
	}))
	var p progress
	err := live(t, on(broken, keyFile), &p)
	if err != nil {
		var whole *persistence.StoreError
		var record *persistence.RecordError
		if !errors.As(err, &whole) && !errors.As(err, &record) {
			t.Errorf("write %d: %v is no typed error", index, err)
		}
		if errors.Is(err, persistence.ErrCorrupt) {
			t.Errorf("write %d: a disk that fails is told as corruption: %v", index, err)
		}
	}
	point := crashPoint{
		disk: disk, acknowledged: int(p.acknowledged.Load()), attempted: int(p.attempted.Load()), oldest: int(p.oldest.Load()),
	}
	if again := recovers(t, point, keyFile); again != nil {
		t.Errorf("write %d of %s: after %v: %v", index, t.Name(), err, again)
	}
	return writes.Load() > index, err != nil
}
