package measure

import (
	"fmt"
	"io"
)

// WriteText writes results for a terminal, with a line for each way that the own one
// is compared with.
func WriteText(to io.Writer, all []Result) error {
	for _, r := range all {
		own := r.Own()
		if err := line(to, r.Title, r.Basis.Figure(own), own.cost(r.Basis)); err != nil {
			return err
		}
		for _, other := range r.Ways[1:] {
			share := r.Basis.Ratio(other)
			if r.Wanted > 0 && other.Name == r.Ways[1].Name {
				share += ", wanted " + Share(r.Wanted)
			}
			if other.Wakes > 0 {
				share += "; " + other.wakes()
			}
			if err := line(to, "    "+other.Name, r.Basis.Figure(other), share); err != nil {
				return err
			}
		}
	}
	return nil
}

func line(to io.Writer, name, figure, rest string) error {
	_, err := fmt.Fprintf(to, "  %-62s %14s   %s\n", name, figure, rest)
	return err
}

// Figure is what one way takes or does: µs for one operation by processor time,
// operations per second by the clock.
func (b Basis) Figure(w WayResult) string {
	if b == Clock {
		return fmt.Sprintf("%.0f/s", w.Rate())
	}
	return Micros(w.Nanoseconds) + " µs"
}

// Ratio is how the own way stands to another: how many times as long it takes by
// processor time, its share of the rate by the clock.
func (b Basis) Ratio(other WayResult) string {
	if b == Clock {
		return Share(1 / other.Times)
	}
	return Times(other.Times) + " times"
}

// cost is what a way takes besides.
func (w WayResult) cost(b Basis) string {
	if b == Processor {
		return fmt.Sprintf("%.0f allocations, %.0f bytes", w.Allocations, w.Bytes)
	}
	text := Micros(w.ProcessorNanoseconds) + " µs of processors"
	if w.Batches > 0 {
		text += fmt.Sprintf("; %.0f batches, %.0f commits and %.0f records in one; %.0f bytes to disk", w.Batches, w.Commits, w.Records, w.Written)
	}
	if w.Wakes > 0 {
		text += "; " + w.wakes()
	}
	return text
}

func (w WayResult) wakes() string {
	return fmt.Sprintf("%.2f wakes for each", w.Wakes)
}

// Micros shows nanoseconds as microseconds, with as many digits as are worth it.
func Micros(ns float64) string {
	switch us := ns / 1000; {
	case us < 10:
		return fmt.Sprintf("%.2f", us)
	case us < 1000:
		return fmt.Sprintf("%.1f", us)
	default:
		return fmt.Sprintf("%.0f", us)
	}
}

// Times shows a ratio of times; small ones with the digits that they have.
func Times(ratio float64) string {
	switch {
	case ratio < 0.1:
		return fmt.Sprintf("%.4f", ratio)
	case ratio < 10:
		return fmt.Sprintf("%.2f", ratio)
	default:
		return fmt.Sprintf("%.0f", ratio)
	}
}

// Share shows a ratio of rates, below one as a percentage.
func Share(ratio float64) string {
	if ratio < 0.995 {
		return fmt.Sprintf("%.0f %%", 100*ratio)
	}
	return fmt.Sprintf("%.1fx", ratio)
}
