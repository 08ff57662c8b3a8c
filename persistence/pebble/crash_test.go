package pebble_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/pebble/faultydisk"
)

// crashPoint is the disk after a crash at one moment, with what the writer had
// been told and had asked for by then.
type crashPoint struct {
	disk         *vfs.MemFS
	unsynced     int // percent of the unsynced that reached the disk
	acknowledged int
	attempted    int
}

// crashes notes what a crash before each write operation would leave, with none,
// half and all of what was not synced in turn.
type crashes struct {
	disk                    *vfs.MemFS
	acknowledged, attempted atomic.Int64

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
	point := crashPoint{unsynced: len(c.points) % 3 * 50, acknowledged: int(c.acknowledged.Load())}
	point.disk = c.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: point.unsynced, RNG: c.random})
	point.attempted = int(c.attempted.Load())
	c.points = append(c.points, point)
	return nil
}

func (c *crashes) String() string { return "crashes" }

// TestCrashKeepsEveryAcknowledgedBatchWhole is T02 for the store: a crash at any
// file operation, from the first Open to the end of Close, leaves a store that
// opens with every acknowledged batch, each all or nothing.
func TestCrashKeepsEveryAcknowledgedBatchWhole(t *testing.T) {
	const batches = 80
	for seed := range uint64(3) { // turns which operation meets which percentage
		t.Logf("seed %d: go test -run TestCrashKeepsEveryAcknowledgedBatchWhole ./persistence/pebble", seed)
		watch := &crashes{disk: vfs.NewCrashableMem(), random: rand.New(rand.NewPCG(seed, 0))}
		watch.points = make([]crashPoint, seed)
		options := small(faultydisk.New(watch.disk, watch))
		options.MemTableBytes = 8 << 10 // logs and tables turn over
		for range 2 {
			store, err := pebble.Open("store", options)
			if err != nil {
				t.Fatal(err)
			}
			for range batches / 2 {
				i := int(watch.attempted.Add(1)) - 1
				if err := store.Apply(t.Context(), pair(i)); err != nil {
					t.Fatal(err)
				}
				watch.acknowledged.Add(1)
			}
			shut(t, store)
		}
		points := watch.points[seed:]
		for i, point := range points {
			again, err := pebble.Open("store", small(point.disk))
			if err == nil {
				err = survivors(t.Context(), again, point.acknowledged, point.attempted)
				shut(t, again)
			}
			if err != nil {
				t.Fatalf("crash at operation %d of %d with %d %% of the unsynced, %d batches acknowledged: %v",
					i, len(points), point.unsynced, point.acknowledged, err)
			}
		}
		t.Logf("%d crashes", len(points))
		if len(points) < 2*batches {
			t.Fatalf("only %d crashes", len(points))
		}
	}
}
