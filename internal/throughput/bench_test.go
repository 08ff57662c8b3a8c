package throughput

import (
	"flag"
	"testing"

	"github.com/rookery-im/rookery/internal/bench/measure"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/memory"
)

var (
	rounds = flag.Int("rounds", 5, "turns of both sides of each comparison")
	alone  = flag.Bool("alone", false, "leave out what the engine is compared with (for a profile)")
	pairs  = flag.Int("pairs", Full.Pairs, "pairs of identities that talk at the same time")
)

func options(dir string, sizes Sizes) Options {
	return Options{
		Dir:     dir,
		Network: func() transport.Transport { return memory.New(1, memory.Faults{}) },
		Records: func(dir string) (persistence.Store, error) { return pebble.Open(dir, pebble.Options{}) },
		Sizes:   sizes,
	}
}

// BenchmarkDurable is what "rookery bench --only durable" shows, here for profiles:
// -alone -cpuprofile.
func BenchmarkDurable(b *testing.B) {
	sizes := Full
	sizes.Pairs = *pairs
	for _, c := range Comparisons(options(b.TempDir(), sizes)) {
		b.Run(c.ID, func(b *testing.B) {
			r, err := c.Run(b.Context(), measure.Settings{Rounds: *rounds, Alone: *alone})
			if err != nil {
				b.Fatal(err)
			}
			own := r.Own()
			b.ReportMetric(own.Rate(), "messages/s")
			b.ReportMetric(own.ProcessorNanoseconds/1000, "cpu-us/message")
			b.ReportMetric(own.Batches, "batches")
			for _, other := range r.Ways[1:] {
				b.ReportMetric(100/other.Times, "%of-compared")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
