package sealing_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// epochs lists how many records are sealed under each epoch.
func epochs(t testing.TB, store *sealing.Store) map[uint32]uint64 {
	t.Helper()
	stats, err := store.Stats(t.Context())
	ok(t, err)
	under := make(map[uint32]uint64)
	for _, epoch := range stats.Epochs {
		under[epoch.ID] = epoch.Records
	}
	return under
}

// TestRotationBesideTrafficLosesNoWrite: writers, each with a model of its own
// records, rotations one after the other, and readers of everything. Whatever
// they interleave to, each record is what its writer wrote last. Most of the
// rounds are over a store below that costs little, which leaves more of them to
// meet a rotation.
func TestRotationBesideTrafficLosesNoWrite(t *testing.T) {
	t.Run("memory", func(t *testing.T) { rotateBesideTraffic(t, inMemory(newKeyFile(t)), 1500, 25) })
	t.Run("database", func(t *testing.T) { rotateBesideTraffic(t, on(vfs.NewMem(), newKeyFile(t)), 200, 10) })
}

// rotateBesideTraffic goes on for so many rounds of each writer at least, and until
// so many rotations have ended beside it.
func rotateBesideTraffic(t *testing.T, options sealing.Options, rounds int, least int64) {
	const writers, names, seed = 4, 400, 1
	t.Logf("seed %d: go test -run TestRotationBesideTrafficLosesNoWrite ./persistence/sealing", seed)
	store := open(t, options)
	defer shut(t, store)
	var traffic, rotations sync.WaitGroup
	var rotated atomic.Int64
	models := make([]map[persistence.Name]string, writers)
	for writer := range writers {
		models[writer] = make(map[persistence.Name]string)
		random := rand.New(rand.NewPCG(seed, uint64(writer)))
		traffic.Go(func() {
			model := models[writer]
			for round := 0; (round < rounds || rotated.Load() < least) && !t.Failed(); round++ {
				batch := persistence.Batch{}
				for range 1 + random.IntN(12) {
					// Writers' names lie between each other's.
					name := named(fmt.Sprintf("%06d %d", random.IntN(names), writer))
					if random.IntN(5) == 0 {
						batch.Records = append(batch.Records, persistence.Record{Name: name, Delete: true})
						delete(model, name)
						continue
					}
					value := fmt.Sprintf("%d of %d", round, writer)
					batch.Records = append(batch.Records, persistence.Record{Name: name, Value: []byte(value)})
					model[name] = value
				}
				if err := store.Apply(context.Background(), batch); err != nil {
					t.Error(err)
					return
				}
				for _, record := range batch.Records {
					value, err := store.Get(context.Background(), record.Name)
					want, found := model[record.Name]
					if found != (err == nil) || err != nil && !errors.Is(err, persistence.ErrNotFound) || string(value) != want {
						t.Errorf("%s is %q, error %v, want %q", record.Name, value, err, want)
						return
					}
				}
			}
		})
	}
	ended := make(chan struct{})
	rotations.Go(func() {
		for {
			select {
			case <-ended:
				return
			default:
			}
			if err := store.Rotate(context.Background()); err != nil {
				t.Error(err)
				return
			}
			rotated.Add(1)
		}
	})
	rotations.Go(func() {
		for {
			select {
			case <-ended:
				return
			default:
			}
			if err := store.Scan(context.Background(), "", func(persistence.Name, []byte) error { return nil }); err != nil {
				t.Error(err)
				return
			}
		}
	})
	traffic.Wait()
	close(ended)
	rotations.Wait()
	ok(t, store.Rotate(t.Context()))
	want := make(map[persistence.Name]string)
	for _, model := range models {
		maps.Copy(want, model)
	}
	got := make(map[persistence.Name]string)
	ok(t, store.Scan(t.Context(), "", func(name persistence.Name, value []byte) error {
		got[name] = string(value)
		return nil
	}))
	if !maps.Equal(got, want) {
		t.Fatalf("%d records, want %d, or they differ", len(got), len(want))
	}
	if under := epochs(t, store); len(under) != 1 {
		t.Fatalf("records under epochs %v after the last rotation", under)
	}
	t.Logf("%d rotations", rotated.Load())
}

// TestScanOutlastsTheKeysOfItsTime: a slow reader, a backup say, shows the state
// at its beginning across rotations.
func TestScanOutlastsTheKeysOfItsTime(t *testing.T) {
	store := open(t, on(vfs.NewMem(), newKeyFile(t)))
	defer shut(t, store)
	apply(t, store, 0, 20)
	count := 0
	ok(t, store.Scan(t.Context(), named("")[:1], func(_ persistence.Name, value []byte) error {
		if want := string(pair(count).Records[0].Value); string(value) != want {
			t.Fatalf("record %d is %q", count, value)
		}
		count++
		if count%5 == 0 {
			ok(t, store.Rotate(t.Context()))
			apply(t, store, 0, 20)
		}
		return nil
	}))
	if count != 20 {
		t.Fatalf("%d records", count)
	}
}

// interrupted makes the n-th batch from now on end a context.
type interrupted struct {
	persistence.Store
	left   atomic.Int64
	cancel context.CancelFunc
}

func (i *interrupted) Apply(ctx context.Context, batch persistence.Batch) error {
	if i.left.Add(-1) == 0 {
		i.cancel()
	}
	return i.Store.Apply(ctx, batch)
}

// TestInterruptedRotationLosesNothing: cancelled at any step it leaves older keys
// and records under them; so does a kill. The next rotation ends them.
func TestInterruptedRotationLosesNothing(t *testing.T) {
	const pairs = 600
	for at := range int64(6) {
		disk, keyFile := vfs.NewCrashableMem(), newKeyFile(t)
		options := on(disk, keyFile)
		ctx, cancel := context.WithCancel(t.Context())
		between := &interrupted{cancel: cancel}
		records := options.Records
		options.Records = func(dir string) (persistence.Store, error) {
			store, err := records(dir)
			between.Store = store
			return between, err
		}
		store := open(t, options)
		load(t, store, 0, pairs)
		between.left.Store(at + 1)
		if err := store.Rotate(ctx); !errors.Is(err, context.Canceled) && at < 5 {
			t.Fatalf("batch %d: got %v, want context.Canceled", at, err)
		}
		if under := epochs(t, store); at < 5 && len(under) < 2 {
			t.Fatalf("batch %d: the older key is destroyed, records under %v", at, under)
		}
		apply(t, store, pairs, pairs+1)
		ok(t, survivors(t.Context(), store, pairs+1, pairs+1))
		killed := copied(disk)

		ok(t, store.Rotate(t.Context()))
		if under := epochs(t, store); len(under) != 1 {
			t.Fatalf("batch %d: the next rotation leaves %v", at, under)
		}
		ok(t, survivors(t.Context(), store, pairs+1, pairs+1))
		shut(t, store)

		store = open(t, on(killed, keyFile))
		ok(t, survivors(t.Context(), store, pairs+1, pairs+1))
		ok(t, store.Rotate(t.Context()))
		if under := epochs(t, store); len(under) != 1 {
			t.Fatalf("batch %d: a rotation after the kill leaves %v", at, under)
		}
		shut(t, store)
		cancel()
	}
}

// during calls back before each walk over the store below goes on.
type during struct {
	persistence.Store
	walk func()
}

func (d *during) ScanAfter(ctx context.Context, after persistence.Name, limit int, fn func(persistence.Name, []byte) error) error {
	d.walk()
	return d.Store.ScanAfter(ctx, after, limit, fn)
}

// TestFailedBatchFailsTheRotation: a batch of the traffic that has failed while
// records were prepared may or may not be there. No key is destroyed, and no
// record written over; nor when a batch of the rotation itself fails.
func TestFailedBatchFailsTheRotation(t *testing.T) {
	for _, landed := range []bool{false, true} {
		for _, own := range []bool{false, true} {
			options, _ := over(t)
			w := newWitness(t)
			options = w.watch(options)
			between := &during{walk: func() {}}
			records := options.Records
			options.Records = func(dir string) (persistence.Store, error) {
				store, err := records(dir)
				between.Store = store
				return between, err
			}
			store := open(t, options)
			apply(t, store, 0, 300)
			failOnce := func() {
				w.fail = func() (before, after bool) {
					w.fail = nil
					return !landed, landed
				}
			}
			if own {
				failOnce()
			} else {
				between.walk = func() {
					between.walk = func() {}
					failOnce()
					if err := store.Apply(t.Context(), pair(300)); !errors.Is(err, errUnlucky) {
						t.Fatalf("got %v, want the failure", err)
					}
				}
			}
			if err := store.Rotate(t.Context()); err == nil {
				t.Fatalf("landed %t, own %t: the rotation tells nothing", landed, own)
			}
			if under := epochs(t, store); len(under) < 2 {
				t.Fatalf("landed %t, own %t: the older key is destroyed, records under %v", landed, own, under)
			}
			apply(t, store, 300, 301)
			ok(t, store.Rotate(t.Context()))
			ok(t, survivors(t.Context(), store, 301, 301))
			shut(t, store)
		}
	}
}

// TestProcessThatIsKilledAtEachStartKeepsStarting: every start begins an epoch,
// and there is an end to their number.
func TestProcessThatIsKilledAtEachStartKeepsStarting(t *testing.T) {
	live := func(t *testing.T, start int, options sealing.Options) *sealing.Store {
		t.Helper()
		store := open(t, options)
		apply(t, store, start, start+1)
		ok(t, survivors(t.Context(), store, start+1, start+1))
		if under := epochs(t, store); len(under) > keyring.MaxEpochs/2+1 {
			t.Fatalf("start %d: %d epochs", start, len(under))
		}
		return store
	}
	t.Run("memory", func(t *testing.T) {
		options, _ := over(t)
		for start := range 3 * keyring.MaxEpochs {
			live(t, start, options) // and is never closed
		}
		shut(t, open(t, options))
	})
	t.Run("database", func(t *testing.T) {
		disk, keyFile := vfs.NewCrashableMem(), newKeyFile(t)
		for start := range 3 * keyring.MaxEpochs {
			store := live(t, start, on(disk, keyFile))
			disk = copied(disk)
			shut(t, store) // leaves the copy as the kill has left it
		}
		shut(t, open(t, on(disk, keyFile)))
	})
}

// TestStatsCount says what is there.
func TestStatsCount(t *testing.T) {
	store := open(t, on(vfs.NewMem(), newKeyFile(t)))
	defer shut(t, store)
	apply(t, store, 0, 10)
	_, err := store.Own(t.Context(), persistence.OwnerID{1})
	ok(t, err)
	stats, err := store.Stats(t.Context())
	ok(t, err)
	kinds := make(map[persistence.Kind]uint64)
	for _, kind := range stats.Kinds {
		kinds[kind.Kind] = kind.Records
		if kind.Bytes < kind.Records {
			t.Errorf("%v: %d bytes", kind.Kind, kind.Bytes)
		}
	}
	want := map[persistence.Kind]uint64{persistence.KindIdentity: 1, persistence.KindSession: 10, persistence.KindFence: 1}
	if !maps.Equal(kinds, want) {
		t.Errorf("kinds %v, want %v", kinds, want)
	}
	if last := stats.Epochs[len(stats.Epochs)-1]; last.Records != 11 || last.Created.IsZero() {
		t.Errorf("current epoch %+v", last)
	}
	if stats.Commits != 11 || stats.Recovery != 0 || stats.Pending {
		t.Errorf("%d commits, recovery %d, pending %t", stats.Commits, stats.Recovery, stats.Pending)
	}
}
