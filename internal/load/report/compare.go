package report

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/rookery-im/rookery/internal/load"
)

// Change is one figure of two runs.
type Change struct {
	Metric Metric
	Before float64
	After  float64
}

// Worse tells whether it got worse, by more than runs of the same thing differ.
func (c Change) Worse() bool {
	const noise = 1.1
	switch {
	case c.Metric.unit == share:
		return c.After > c.Before+noise-1
	case c.Metric.better < 0:
		return c.After > c.Before*noise
	case c.Metric.better > 0:
		return c.Before > c.After*noise
	}
	return false
}

// ratio is after by before; infinite if there was nothing before.
func (c Change) ratio() float64 {
	if c.Before == c.After {
		return 1
	}
	return c.After / c.Before
}

func (c Change) showRatio() string {
	switch ratio := c.ratio(); {
	case c.Metric.unit == share:
		return fmt.Sprintf("%+.1f points", 100*(c.After-c.Before))
	case math.IsInf(ratio, 0):
		return "from none"
	default:
		return fmt.Sprintf("%.2fx", ratio)
	}
}

// Compare gives the figures that both runs have and that are not 0 in both.
func Compare(before, after *load.Result) []Change {
	var all []Change
	for _, m := range Metrics {
		a, had := m.value(before)
		b, has := m.value(after)
		if had && has && (a != 0 || b != 0) {
			all = append(all, Change{m, a, b})
		}
	}
	return all
}

// JudgeChange applies thresholds to two runs: ratios compare them, other limits are
// for the second.
func JudgeChange(before, after *load.Result, thresholds []Threshold) []Outcome {
	var all []Outcome
	for _, t := range thresholds {
		o := Outcome{Threshold: t.String(), Value: notMeasured, Failed: true}
		a, had := t.metric.value(before)
		b, has := t.metric.value(after)
		switch {
		case !has || t.ratio && !had:
		case t.ratio:
			c := Change{t.metric, a, b}
			o.Value, o.Failed = c.showRatio(), t.exceeded(c.ratio())
		default:
			o.Value, o.Failed = t.metric.show(b), t.exceeded(b)
		}
		all = append(all, o)
	}
	return all
}

// WriteChanges writes a comparison to read, with a word where something got worse.
func WriteChanges(w io.Writer, before, after *Report, thresholds []Outcome) error {
	var b strings.Builder
	if one, other := before.headline()+", "+before.pace(), after.headline()+", "+after.pace(); one != other {
		_, _ = fmt.Fprintf(&b, "these are different runs:\n  %s\n  %s\n", one, other)
	} else {
		_, _ = fmt.Fprintf(&b, "%s\n", one)
	}
	_, _ = fmt.Fprintf(&b, "  %-36s %14s %14s %12s\n", "", "before", "after", "")
	for _, c := range Compare(&before.Result, &after.Result) {
		mark := ""
		if c.Worse() {
			mark = "  worse"
		}
		_, _ = fmt.Fprintf(&b, "  %-36s %14s %14s %12s%s\n", c.Metric.Title, c.Metric.show(c.Before), c.Metric.show(c.After), c.showRatio(), mark)
	}
	if len(thresholds) > 0 {
		_, _ = fmt.Fprintln(&b, "thresholds:")
		for _, t := range thresholds {
			writeRow(&b, "fail if "+t.Threshold, t.verdict())
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
