package report

import (
	"testing"
	"time"

	"github.com/rookery-im/rookery/internal/load"
)

// example is a result with a figure for nearly everything.
func example() *load.Result {
	l := load.Latency{
		Count: 1000, Mean: 3 * time.Millisecond, P50: 2 * time.Millisecond, P90: 5 * time.Millisecond,
		P99: 60 * time.Millisecond, P999: 90 * time.Millisecond, Max: 100 * time.Millisecond,
		Distribution: []load.Quantile{{Percentile: 0, Within: time.Millisecond}, {Percentile: 50, Within: 2 * time.Millisecond}, {Percentile: 99, Within: 60 * time.Millisecond}, {Percentile: 100, Within: 100 * time.Millisecond}},
	}
	r := &load.Result{
		Format:  load.ResultFormat,
		Started: time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC),
		Config: load.Config{
			Scenario: load.OneWay, Identities: 100, Contacts: 2, Devices: 1, Payload: load.Sizes{{Bytes: 100, Weight: 1}},
			Rate: 1000, Duration: 10 * time.Second, WarmUp: time.Second, Drain: time.Minute, Seed: 1,
		},
		Place:   load.Place{Transport: "memory", Durability: "durable"},
		Machine: load.Machine{System: "linux/amd64", Processors: 2, Go: "go1.26", Memory: 8 << 30},
		Opening: load.Opening{Sessions: 200, Open: 50 * time.Millisecond, First: 80 * time.Millisecond},
		Took:    11 * time.Second, Drained: 20 * time.Millisecond,
		Throughput: 990, Delivery: l, Durable: l,
		Outcomes: load.Outcomes{Sent: 11000, Expected: 11000, Delivered: 10998, Lost: 2, DuplicatesRefused: 3, Causes: map[string]int64{"duplicate": 3}},
		Resources: load.Resources{
			User: 900 * time.Millisecond, System: 200 * time.Millisecond, MemoryStart: 50 << 20, MemoryEnd: 90 << 20, MemoryPeak: 100 << 20,
			MemoryFirst: 80 << 20, MemoryLast: 88 << 20, GoroutinesFirst: 100, GoroutinesLast: 100,
			Sessions: 200, Disk: 10 << 20, Envelopes: 11000, Wire: 5_500_000, Batches: 700,
		},
	}
	for i := range 11 {
		r.Timeline = append(r.Timeline, load.Sample{
			At: time.Duration(i+1) * time.Second, Sent: 1000, Delivered: 1000, Rate: float64(900 + 20*i), Latency: l,
			Memory: int64(60+3*i) << 20, Goroutines: 100 + i, Processors: 1.5,
		})
	}
	return r
}

func mustParse(t *testing.T, texts ...string) (all []Threshold) {
	t.Helper()
	for _, text := range texts {
		threshold, err := ParseThreshold(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, threshold)
	}
	return all
}
