package sealing_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// TestNoNonceSealsTwoValues: over random histories of batches, failed and fenced
// ones, rotations, cancelled ones, crashes, and copies that are put back and run
// on, no key ever seals two values under one sequence. A nonce that is used
// twice gives both values and the key of the tags away.
func TestNoNonceSealsTwoValues(t *testing.T) {
	const seeds, steps = 6, 120
	for seed := range uint64(seeds) {
		t.Logf("seed %d: go test -run TestNoNonceSealsTwoValues ./persistence/sealing", seed)
		// What reaches the disk in a crash hangs on what was being written in the
		// background; what is done next must not hang on that.
		random, luck := rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 1))
		keyFile := newKeyFile(t)
		w := newWitness(t)
		w.fail = func() (before, after bool) {
			drawn := random.IntN(20)
			return drawn == 0, drawn == 1
		}
		disk := vfs.NewCrashableMem()
		copies := []*vfs.MemFS{}
		failures := 0
		start := func() *sealing.Store {
			for {
				store, err := sealing.Open(t.Context(), w.watch(on(disk, keyFile)))
				if err == nil {
					return store
				}
				if !errors.Is(err, errUnlucky) {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		}
		store := start()
		for step := range steps {
			var err error
			switch what := random.IntN(20); what {
			case 0, 1:
				err = store.Rotate(t.Context())
			case 2:
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				err = store.Rotate(ctx)
			case 3: // killed
				left := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(3) * 50, RNG: luck})
				_ = store.Close()
				disk = left
				store = start()
			case 4:
				copies = append(copies, copied(disk))
			case 5: // a copy of everything comes back, or goes on beside
				if len(copies) == 0 {
					continue
				}
				_ = store.Close()
				disk = copied(copies[random.IntN(len(copies))])
				store = start()
			case 6:
				_ = store.Close()
				store = start()
			case 7:
				err = store.Apply(t.Context(), persistence.Batch{
					Fences:  []persistence.Fence{{Epoch: 77}},
					Records: []persistence.Record{{Name: numbered(step), Value: []byte("fenced")}},
				})
			default:
				batch := persistence.Batch{}
				for range 1 + random.IntN(5) {
					value := make([]byte, random.IntN(40))
					for i := range value {
						value[i] = byte(random.Uint32())
					}
					batch.Records = append(batch.Records, persistence.Record{Name: numbered(random.IntN(30)), Value: value})
				}
				err = store.Apply(t.Context(), batch)
			}
			if err != nil {
				failures++
			}
		}
		w.fail = nil
		shut(t, store)
		t.Logf("%d nonces, %d failures", len(w.uses), failures)
		if len(w.uses) < 500 || failures < 5 {
			t.Fatalf("only %d nonces and %d failures", len(w.uses), failures)
		}
	}
}
