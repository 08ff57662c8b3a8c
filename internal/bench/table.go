package bench

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-im/rookery/internal/bench/measure"
)

const none = "-"

// writeTable writes a section as a table in Markdown.
func (s Section) writeTable(to *strings.Builder) {
	switch {
	case s.Results[0].Basis == measure.Clock && len(s.Columns) > 0:
		s.writeRateColumns(to)
	case s.Results[0].Basis == measure.Clock:
		s.writeRates(to)
	case len(s.Columns) > 0:
		s.writeColumns(to)
	default:
		_, _ = fmt.Fprint(to, linesHead)
		for _, r := range s.Results {
			writeLines(to, r, r.Ways[1:])
		}
	}
}

// writeColumns is for operations that most stand beside the same. What only some
// stand beside follows in a second table.
func (s Section) writeColumns(to *strings.Builder) {
	head, rule := "| | here, µs |", "|---|--:|"
	for _, name := range s.Columns {
		head += fmt.Sprintf(" %s, µs | times the %s |", name, name)
		rule += "--:|--:|"
	}
	_, _ = fmt.Fprintf(to, "%s allocations |\n%s--:|\n", head, rule)
	for _, r := range s.Results {
		_, _ = fmt.Fprintf(to, "| %s | %s |", r.Title, measure.Micros(r.Own().Nanoseconds))
		for _, name := range s.Columns {
			figure, times := none, none
			if w, ok := r.Way(name); ok {
				figure, times = measure.Micros(w.Nanoseconds), measure.Times(w.Times)
			}
			_, _ = fmt.Fprintf(to, " %s | %s |", figure, times)
		}
		_, _ = fmt.Fprintf(to, " %.0f |\n", r.Own().Allocations)
	}
	first := true
	for _, r := range s.Results {
		others := slices.DeleteFunc(slices.Clone(r.Ways[1:]), func(w measure.WayResult) bool { return slices.Contains(s.Columns, w.Name) })
		if len(others) > 0 && first {
			_, _ = fmt.Fprint(to, "\n"+linesHead)
			first = false
		}
		writeLines(to, r, others)
	}
}

const linesHead = "| | here, µs | compared with | µs | times that |\n|---|--:|---|--:|--:|\n"

func writeLines(to *strings.Builder, r measure.Result, others []measure.WayResult) {
	for _, w := range others {
		_, _ = fmt.Fprintf(to, "| %s | %s | %s | %s | %s |\n", r.Title,
			measure.Micros(r.Own().Nanoseconds), w.Name, measure.Micros(w.Nanoseconds), measure.Times(w.Times))
	}
}

// writeRates is for what goes by the clock.
func (s Section) writeRates(to *strings.Builder) {
	_, _ = fmt.Fprintln(to, "| | messages/s | compared with | messages/s | ratio | wanted | CPU per message, µs | of it compared | synced batches | commits in one | records in one | bytes to disk per message |\n|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, r := range s.Results {
		own := r.Own()
		for _, w := range r.Ways[1:] {
			wanted := none
			if r.Wanted > 0 {
				wanted = measure.Share(r.Wanted)
			}
			_, _ = fmt.Fprintf(to, "| %s | %.0f | %s | %.0f | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.Title, own.Rate(), w.Name, w.Rate(),
				measure.Share(1/w.Times), wanted, measure.Micros(own.ProcessorNanoseconds), measure.Micros(w.ProcessorNanoseconds),
				count(own.Batches), count(own.Commits), count(own.Records), count(own.Written))
		}
	}
}

// writeRateColumns is for what goes by the clock and stands beside the same each time.
func (s Section) writeRateColumns(to *strings.Builder) {
	head, rule := "| | messages/s | CPU per message, µs | wakes per message |", "|---|--:|--:|--:|"
	for _, name := range s.Columns {
		head += fmt.Sprintf(" %s, messages/s | CPU per message, µs | wakes per message | share of that rate |", name)
		rule += "--:|--:|--:|--:|"
	}
	_, _ = fmt.Fprintf(to, "%s\n%s\n", head, rule)
	for _, r := range s.Results {
		own := r.Own()
		_, _ = fmt.Fprintf(to, "| %s | %.0f | %s | %.2f |", r.Title, own.Rate(), measure.Micros(own.ProcessorNanoseconds), own.Wakes)
		for _, name := range s.Columns {
			w, ok := r.Way(name)
			if !ok {
				_, _ = fmt.Fprintf(to, " %s | %s | %s | %s |", none, none, none, none)
				continue
			}
			_, _ = fmt.Fprintf(to, " %.0f | %s | %.2f | %s |", w.Rate(), measure.Micros(w.ProcessorNanoseconds), w.Wakes, measure.Share(1/w.Times))
		}
		_, _ = fmt.Fprintln(to)
	}
}

func count(n float64) string {
	if n == 0 {
		return none
	}
	return fmt.Sprintf("%.0f", n)
}
