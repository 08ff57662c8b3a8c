package sealing_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
)

// BenchmarkApply compares a sealed store with the one below it: batches of so
// many records of 300 bytes.
func BenchmarkApply(b *testing.B) {
	for _, records := range []int{1, 64, 1024} {
		batch := batchOf(records)
		run := func(b *testing.B, store persistence.Store) {
			b.ReportAllocs()
			for b.Loop() {
				ok(b, store.Apply(b.Context(), batch))
			}
			b.StopTimer()
			shut(b, store)
		}
		b.Run(fmt.Sprintf("records=%d/sealed", records), func(b *testing.B) {
			options := onDisk(b)
			options.Records = func(dir string) (persistence.Store, error) { return pebble.Open(dir, pebble.Options{}) }
			run(b, open(b, options))
		})
		b.Run(fmt.Sprintf("records=%d/bare", records), func(b *testing.B) {
			store, err := pebble.Open(filepath.Join(b.TempDir(), "store"), pebble.Options{})
			ok(b, err)
			run(b, store)
		})
	}
}

// batchOf has values that do not compress, as sealed ones do not.
func batchOf(records int) (batch persistence.Batch) {
	random := rand.NewChaCha8([32]byte{})
	for i := range records {
		value := make([]byte, 300)
		_, _ = random.Read(value) // never fails
		batch.Records = append(batch.Records, persistence.Record{Name: numbered(i), Value: value})
	}
	return batch
}

// BenchmarkSeal is the work without a disk: what sealing and opening a batch of
// 1,024 records of 300 bytes costs.
func BenchmarkSeal(b *testing.B) {
	options := inMemory(newKeyFile(b))
	options.Records = func(string) (persistence.Store, error) { return &sink{}, nil }
	options.Files = nil
	options.Dir = b.TempDir()
	store := open(b, options)
	batch := batchOf(1024)
	b.ReportAllocs()
	for b.Loop() {
		ok(b, store.Apply(b.Context(), batch))
	}
	b.StopTimer()
	shut(b, store)
}

// sink keeps nothing but the head.
type sink struct {
	persistence.Store
	head []byte
}

func (s *sink) Get(_ context.Context, name persistence.Name) ([]byte, error) {
	if s.head == nil {
		return nil, &persistence.RecordError{Op: "get", Name: name, Err: persistence.ErrNotFound}
	}
	return s.head, nil
}

func (s *sink) ScanAfter(context.Context, persistence.Name, int, func(persistence.Name, []byte) error) error {
	return nil
}

func (s *sink) Apply(_ context.Context, batch persistence.Batch) error {
	s.head = append(s.head[:0], batch.Records[len(batch.Records)-1].Value...)
	return nil
}

func (s *sink) Close() error { return nil }

// BenchmarkReseal has a store of 1,000,000 records of 300 bytes under traffic:
// batches of 64 of them without a pause between, alone, beside a rotation at the
// pace that a bound of an hour gives, and beside one at full speed. One run takes
// four minutes:
//
//	go test -run ^$ -bench Reseal -benchtime 1x ./persistence/sealing
func BenchmarkReseal(b *testing.B) {
	const records, batchRecords = 1_000_000, 64
	options := onDisk(b)
	options.Records = func(dir string) (persistence.Store, error) { return pebble.Open(dir, pebble.Options{}) }
	options.Bound = time.Hour
	store := open(b, options)
	value := make([]byte, 300)
	for i := 0; i < records; {
		var batch persistence.Batch
		for range 4096 {
			batch.Records = append(batch.Records, persistence.Record{Name: numbered(i), Value: value})
			i++
		}
		ok(b, store.Apply(b.Context(), batch))
	}
	random := rand.New(rand.NewPCG(1, 0))
	traffic := func(b *testing.B, until func(elapsed time.Duration) bool) {
		var latencies []time.Duration
		batch := persistence.Batch{Records: make([]persistence.Record, batchRecords)}
		begun := time.Now()
		for !until(time.Since(begun)) {
			for i := range batch.Records {
				batch.Records[i] = persistence.Record{Name: numbered(random.IntN(records)), Value: value}
			}
			start := time.Now()
			ok(b, store.Apply(b.Context(), batch))
			latencies = append(latencies, time.Since(start))
		}
		rate := float64(len(latencies)*batchRecords) / time.Since(begun).Seconds()
		slices.Sort(latencies)
		for name, part := range map[string]float64{"p50-us": 0.5, "p99-us": 0.99, "p999-us": 0.999, "max-us": 1} {
			b.ReportMetric(float64(latencies[int(part*float64(len(latencies)-1))].Microseconds()), name)
		}
		b.ReportMetric(rate, "records/s")
		b.ReportMetric(0, "ns/op")
	}
	for10s := func(elapsed time.Duration) bool { return elapsed > 10*time.Second }
	alone := func(b *testing.B) {
		for range b.N {
			traffic(b, for10s)
		}
	}
	beside := func(rotate func(context.Context) error, limit time.Duration) func(*testing.B) {
		return func(b *testing.B) {
			for range b.N {
				ended := make(chan error, 1)
				begun := time.Now()
				ctx, cancel := context.WithCancel(b.Context())
				go func() { ended <- rotate(ctx) }()
				traffic(b, func(elapsed time.Duration) bool { return len(ended) > 0 || elapsed > limit })
				cancel()
				switch err := <-ended; {
				case err == nil:
					b.ReportMetric(time.Since(begun).Seconds(), "rotation-s")
				case !errors.Is(err, context.Canceled):
					b.Fatal(err)
				}
			}
		}
	}
	for range 3 { // in turn, since a busy machine changes as they run
		b.Run("alone", alone)
		b.Run("background", beside(store.RotateSlowly, 20*time.Second))
		b.Run("full-speed", beside(store.Rotate, 20*time.Second))
	}
	b.Run("to-the-end", beside(store.Rotate, 2*time.Minute))
	shut(b, store)
}
