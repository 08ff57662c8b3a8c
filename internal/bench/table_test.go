package bench

import (
	"strings"
	"testing"

	"github.com/rookery-im/rookery/internal/bench/measure"
)

func way(name string, ns, times float64) measure.WayResult {
	return measure.WayResult{Name: name, Nanoseconds: ns, ProcessorNanoseconds: ns / 2, Times: times}
}

func waking(w measure.WayResult, wakes float64) measure.WayResult {
	w.Wakes = wakes
	return w
}

// A table has a column for what most stand beside, and a line for what only some do;
// what goes by the clock is shown as rates and shares of them.
func TestTables(t *testing.T) {
	for name, c := range map[string]struct {
		section Section
		want    []string
	}{
		"lines": {
			Section{Results: []measure.Result{{Title: "a", Basis: measure.Processor, Ways: []measure.WayResult{way("rookery", 2000, 1), way("x", 1000, 2), way("y", 4000, 0.5)}}}},
			[]string{"| | here, µs | compared with | µs | times that |", "| a | 2.00 | x | 1.00 | 2.00 |", "| a | 2.00 | y | 4.00 | 0.50 |"},
		},
		"columns": {
			Section{Columns: []string{"floor", "least"}, Results: []measure.Result{
				{Title: "a", Basis: measure.Processor, Ways: []measure.WayResult{way("rookery", 2000, 1), way("floor", 1000, 2)}},
				{Title: "b", Basis: measure.Processor, Ways: []measure.WayResult{way("rookery", 2000, 1), way("x", 4000, 0.5)}},
			}},
			[]string{
				"| | here, µs | floor, µs | times the floor | least, µs | times the least | allocations |",
				"| a | 2.00 | 1.00 | 2.00 | - | - | 0 |", "| b | 2.00 | - | - | - | - | 0 |", "\n\n| | here, µs | compared with |", "| b | 2.00 | x | 4.00 | 0.50 |",
			},
		},
		"rates": {
			Section{Results: []measure.Result{{Title: "a", Basis: measure.Clock, Wanted: 0.2, Ways: []measure.WayResult{way("rookery", 100_000, 1), way("x", 10_000, 10)}}}},
			[]string{"| a | 10000 | x | 100000 | 10 % | 20 % | 50.0 | 5.00 | - | - | - | - |"},
		},
		"columns of rates": {
			Section{Columns: []string{"x", "y"}, Results: []measure.Result{{Title: "a", Basis: measure.Clock, Ways: []measure.WayResult{way("rookery", 100_000, 1), waking(way("x", 10_000, 10), 1.82)}}}},
			[]string{"| a | 10000 | 50.0 | 0.00 | 100000 | 5.00 | 1.82 | 10 % | - | - | - | - |"},
		},
	} {
		var b strings.Builder
		c.section.writeTable(&b)
		for _, want := range c.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: no %q in\n%s", name, want, b.String())
			}
		}
	}
}
