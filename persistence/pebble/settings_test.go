package pebble_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	cockroach "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
)

// variants are the settings of Pebble that were weighed for the decision
// docs/adr/0014-pebble-options.md, each a change of one thing that Open sets or
// leaves as it is.
var variants = []struct {
	name   string
	adjust func(*cockroach.Options)
}{
	{"the same again", func(*cockroach.Options) {}}, // what a difference has to exceed
	{"compression: snappy", levels(func(l *cockroach.LevelOptions) {
		l.Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
	})},
	{"blocks: 8 KiB", levels(func(l *cockroach.LevelOptions) { l.BlockSize = 8 << 10 })},
	{"blocks: 16 KiB", levels(func(l *cockroach.LevelOptions) { l.BlockSize = 16 << 10 })},
	{"bloom filters: none", levels(func(l *cockroach.LevelOptions) { l.FilterPolicy = cockroach.NoFilterPolicy })},
	{"bloom filters: all levels", levels(func(l *cockroach.LevelOptions) { l.FilterPolicy = bloom.FilterPolicy(10) })},
	{"memtables: 4 MiB", func(o *cockroach.Options) { o.MemTableSize = 4 << 20 }},
	{"memtables: 16 MiB", func(o *cockroach.Options) { o.MemTableSize = 16 << 20 }},
	{"memtables: 64 MiB", func(o *cockroach.Options) { o.MemTableSize = 64 << 20 }},
	{"memtables: up to 4", func(o *cockroach.Options) { o.MemTableStopWritesThreshold = 4 }},
	{"level 0: from 8, stop 24", func(o *cockroach.Options) { o.L0CompactionThreshold, o.L0StopWritesThreshold = 8, 24 }},
	{"compactions: 2", func(o *cockroach.Options) { o.CompactionConcurrencyRange = func() (int, int) { return 1, 2 } }},
	{"tables: of several kinds", func(o *cockroach.Options) { o.Experimental.SpanPolicyFunc = nil }},
	{"log: flushed on the way", func(o *cockroach.Options) { o.WALBytesPerSync = 512 << 10 }},
	{"cache: 64 MiB", func(o *cockroach.Options) { o.CacheSize = 64<<20 + int64(2*o.MemTableSize) }},
}

func levels(change func(*cockroach.LevelOptions)) func(*cockroach.Options) {
	return func(o *cockroach.Options) {
		for i := range o.Levels {
			change(&o.Levels[i])
		}
	}
}

// load is the work that the settings are measured on: what the engine asks of a
// store, with values that cannot be compressed, as sealed ones.
type load struct {
	*testing.B
	store    *pebble.Store
	random   *rand.ChaCha8
	pick     *rand.Rand
	sessions int
}

func (l *load) value(size int) []byte {
	value := make([]byte, size)
	_, _ = l.random.Read(value)
	return value
}

// session names one of 4 sessions of a contact: 16 bytes of owner, 33 of peer,
// then what tells the session.
func (l *load) session(i int) persistence.Name {
	contact := binary.BigEndian.AppendUint64(nil, uint64(i/4)*0x9e3779b97f4a7c15)
	return persistence.NewName(persistence.KindSession, append(make([]byte, 8), contact...), append(make([]byte, 25), contact...), []byte{byte(i % 4)})
}

func (l *load) apply(records []persistence.Record) {
	if err := l.store.Apply(context.Background(), persistence.Batch{Records: records}); err != nil {
		l.Fatal(err)
	}
}

// fill makes every session once.
func (l *load) fill() {
	const batch = 4000
	order := l.pick.Perm(l.sessions)
	for len(order) > 0 {
		n := min(batch, len(order))
		records := make([]persistence.Record, n)
		for i, at := range order[:n] {
			records[i] = persistence.Record{Name: l.session(at), Value: l.value(350)}
		}
		l.apply(records)
		order = order[n:]
	}
}

// traffic advances sessions, four in five of them among the busiest fifth, and
// keeps each message in the outbox for one batch.
func (l *load) traffic(batches int) (records int, slowest time.Duration) {
	const advanced, messages = 600, 300
	for batch := range batches {
		changes := make([]persistence.Record, 0, advanced+2*messages)
		for range advanced {
			within := l.sessions
			if l.pick.IntN(5) > 0 {
				within /= 5
			}
			changes = append(changes, persistence.Record{Name: l.session(l.pick.IntN(within)), Value: l.value(350)})
		}
		for i := range messages {
			outbox := func(batch int) persistence.Name {
				return persistence.NewName(persistence.KindOutbox, binary.BigEndian.AppendUint64(nil, uint64(i)*0x9e3779b97f4a7c15), fmt.Append(nil, batch))
			}
			changes = append(changes, persistence.Record{Name: outbox(batch), Value: l.value(600)})
			if batch > 0 {
				changes = append(changes, persistence.Record{Name: outbox(batch - 1), Delete: true})
			}
		}
		began := time.Now()
		l.apply(changes)
		slowest = max(slowest, time.Since(began))
		records += len(changes)
	}
	return records, slowest
}

// idle waits until flushes and compactions are done: they are part of what was
// written, and not of what is read afterwards.
func (l *load) idle() *cockroach.Metrics {
	for quiet := 0; ; time.Sleep(20 * time.Millisecond) {
		metrics := l.store.Metrics()
		if metrics.Flush.NumInProgress > 0 || metrics.Compact.NumInProgress > 0 {
			quiet = 0
		} else if quiet++; quiet == 5 {
			return metrics
		}
	}
}

// each is the time of the processors, in µs, that one of n calls takes.
func (l *load) each(n int, call func(i int) error) float64 {
	began := processors()
	for i := range n {
		if err := call(i); err != nil {
			l.Fatal(err)
		}
	}
	return us(processors()-began) / float64(n)
}

// processors is the time that this process has had of the processors. Unlike
// that of the clock it leaves out what others on the machine do.
func processors() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// measures are the units of what run gives. The times are of the processors but
// for the slowest batch.
var measures = []string{"µs/record", "ms/slowest", "written/value", "µs/get", "µs/absent", "µs/scan", "MB"}

// run fills a new store, has traffic on it and reads.
func run(b *testing.B, round int, adjust func(*cockroach.Options)) []float64 {
	const sessions, batches, gets, scans = 200_000, 120, 20_000, 10_000
	l := &load{B: b, sessions: sessions, random: rand.NewChaCha8([32]byte{byte(round)}), pick: rand.New(rand.NewPCG(uint64(round), 0))}
	dir := filepath.Join(b.TempDir(), "store")
	var err error
	if l.store, err = pebble.Open(dir, pebble.Adjusted(pebble.Options{}, adjust)); err != nil {
		b.Fatal(err)
	}
	began := processors()
	l.fill()
	records, slowest := l.traffic(batches)
	metrics := l.idle()
	took := processors() - began
	written, values := metrics.WAL.BytesWritten, uint64(350*sessions+batches*(600*350+300*600))
	for i := range metrics.Levels {
		written += metrics.Levels[i].TableBytesFlushed + metrics.Levels[i].TableBytesCompacted
	}
	get := l.each(gets, func(int) error {
		_, err := l.store.Get(context.Background(), l.session(l.pick.IntN(sessions)))
		return err
	})
	absent := l.each(gets, func(i int) error {
		if _, err := l.store.Get(context.Background(), l.session(sessions+i)); err == nil {
			return fmt.Errorf("session %d is there", sessions+i)
		}
		return nil
	})
	scan := l.each(scans, func(int) error {
		name := l.session(l.pick.IntN(sessions))
		return l.store.Scan(context.Background(), name[:len(name)-3], func(persistence.Name, []byte) error { return nil })
	})
	size := l.store.Metrics().DiskSpaceUsage()
	if err := errors.Join(l.store.Close(), os.RemoveAll(dir)); err != nil {
		b.Fatal(err)
	}
	return []float64{
		us(took) / float64(sessions+records), float64(slowest.Milliseconds()), float64(written) / float64(values),
		get, absent, scan, float64(size) / 1e6,
	}
}

// BenchmarkSettings measures each variant right after the settings as they are,
// in as many rounds as asked for, and reports the medians of the variant and of
// its ratios to what was measured right before it.
//
//	go test -run '^$' -bench 'Settings$' -benchtime 3x -timeout 60m ./persistence/pebble
func BenchmarkSettings(b *testing.B) {
	values, ratios := make(map[string][][]float64), make(map[string][][]float64)
	for round := 0; b.Loop(); round++ {
		for _, variant := range variants {
			base := run(b, round, func(*cockroach.Options) {})
			got := run(b, round, variant.adjust)
			ratio := make([]float64, len(got))
			for m := range got {
				ratio[m] = got[m] / base[m]
			}
			values[variant.name] = append(values[variant.name], got)
			ratios[variant.name] = append(ratios[variant.name], ratio)
		}
	}
	for _, variant := range variants {
		line := fmt.Sprintf("%-24s", variant.name)
		for m, unit := range measures {
			line += fmt.Sprintf("  %7.2f %s (%.2f)", median(values[variant.name], m), unit, median(ratios[variant.name], m))
		}
		fmt.Println(line)
	}
}

func us(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func median(rounds [][]float64, m int) float64 {
	var all []float64
	for _, round := range rounds {
		all = append(all, round[m])
	}
	slices.Sort(all)
	return all[len(all)/2]
}
