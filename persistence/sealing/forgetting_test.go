package sealing_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
)

// TestRotationForgetsWhatWasOverwrittenAndDeleted is T45 for the store: after a
// rotation no value that is not live can be opened, neither from any file, nor
// from a copy of every sealed value that there ever was, with the keyring that
// is left. No value is in any file in the clear.
func TestRotationForgetsWhatWasOverwrittenAndDeleted(t *testing.T) {
	disk := vfs.NewCrashableMem()
	w := newWitness(t)
	options := w.watch(on(disk, newKeyFile(t)))
	store := open(t, options)
	const seed, batches, names = 1, 600, 200
	random := rand.New(rand.NewPCG(seed, 0))
	secrets, live := make(map[string]bool), make(map[persistence.Name]string)
	for range batches {
		batch := persistence.Batch{}
		for range 4 {
			name := numbered(random.IntN(names))
			if random.IntN(4) == 0 {
				batch.Records = append(batch.Records, persistence.Record{Name: name, Delete: true})
				delete(live, name)
				continue
			}
			value := make([]byte, 32)
			for i := range 4 {
				binary.BigEndian.PutUint64(value[8*i:], random.Uint64())
			}
			batch.Records = append(batch.Records, persistence.Record{Name: name, Value: value})
			secrets[string(value)], live[name] = true, string(value)
		}
		ok(t, store.Apply(t.Context(), batch))
	}
	current := make(map[string]bool)
	for _, value := range live {
		current[value] = true
	}
	// opened counts the values that can be had, and those of them that nobody may
	// have any more.
	opened := func() (all, consumed int) {
		keys := keysOf(t, options)
		for b := range w.blobs() {
			for _, aead := range keys {
				value, err := b.unseal(aead)
				if err != nil || !secrets[string(value)] {
					continue
				}
				all++
				if !current[string(value)] {
					consumed++
				}
			}
		}
		return all, consumed
	}
	if all, consumed := opened(); all < len(secrets) || consumed == 0 {
		t.Fatalf("before the rotation %d of %d values can be had, %d consumed ones: the test sees nothing", all, len(secrets), consumed)
	}

	ok(t, store.Rotate(t.Context()))
	check := func(when string) {
		t.Helper()
		if all, consumed := opened(); all < len(live) || consumed > 0 {
			t.Errorf("%s: %d values can be had, %d of them consumed ones; %d are live", when, all, consumed, len(live))
		}
		for name, content := range image(t, copied(disk)) { // a compaction may be removing files
			for secret := range secrets {
				if strings.Contains(content, secret) {
					t.Errorf("%s: a value is in %s in the clear", when, name)
				}
			}
		}
		for name, value := range live {
			has(t, store, name, value)
		}
	}
	check("after the rotation")

	// The last words: what this epoch has written goes with Close.
	put(t, store, numbered(0), "newer")
	current, live = map[string]bool{}, map[persistence.Name]string{}
	for i := range names {
		ok(t, store.Apply(t.Context(), persistence.Batch{Records: []persistence.Record{{Name: numbered(i), Delete: true}}}))
	}
	shut(t, store)
	store = open(t, options)
	check("after Close")
	shut(t, store)
}

// TestEpochsEndWithinTheBound: nobody has to ask for it.
func TestEpochsEndWithinTheBound(t *testing.T) {
	options := on(vfs.NewMem(), newKeyFile(t))
	options.Bound = 400 * time.Millisecond
	store := open(t, options)
	defer shut(t, store)
	load(t, store, 0, 300)
	for range 3 {
		stats, err := store.Stats(t.Context())
		ok(t, err)
		written := stats.Epochs[len(stats.Epochs)-1].ID
		// Generous: the machine may have much else to do.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		for stats.Epochs[0].ID <= written {
			if err := ctx.Err(); err != nil {
				t.Fatalf("epoch %d is still there: %+v", written, stats.Epochs)
			}
			time.Sleep(10 * time.Millisecond)
			stats, err = store.Stats(ctx)
			ok(t, err)
		}
		cancel()
	}
	ok(t, survivors(t.Context(), store, 300, 300))
}
