package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"

	"github.com/rookery-im/rookery/internal/load"
)

//go:embed report.html.tmpl
var pageText string

var page = template.Must(template.New("report").Parse(pageText))

// WriteHTML writes one file that shows everything: it has no scripts, takes nothing
// from anywhere, and forbids its browser to.
func (r *Report) WriteHTML(w io.Writer) error {
	return page.Execute(w, struct {
		Headline, Pace, Started string
		Cards                   []row
		Charts                  []*chart
		Sections                []section
		Thresholds              []Outcome
		Failed                  bool
	}{r.headline(), r.pace(), r.Started.UTC().Format(time.RFC3339), r.cards(), r.charts(), r.sections(), r.Thresholds, Failed(r.Thresholds)})
}

// cards are the figures that everybody looks for.
func (r *Report) cards() []row {
	all := []row{{"throughput", r.figure("throughput")}}
	for _, name := range []string{"p50", "p99", "p99.9", "max"} {
		all = append(all, row{name + " to the handler", r.figure(name)})
	}
	return append(all,
		row{"lost", r.figure("lost")},
		row{"processor per message", r.figure("cpu_per_message")},
		row{"memory at most", r.figure("memory")},
	)
}

func (r *Report) charts() []*chart {
	return []*chart{r.rates(), r.latencies(), r.percentiles(), r.memory(), r.processors(), r.goroutines()}
}

// seconds along the x axis.
func (r *Report) overTime(title, note string, y axis, lines ...line) *chart {
	c := &chart{
		Title: title, Note: note, y: y, lines: lines, shade: r.Config.WarmUp.Seconds(),
		x: axis{show: func(v float64) string { return fmt.Sprintf("%g s", math.Round(v*100)/100) }},
	}
	if n := len(r.Timeline); n > 0 {
		c.x.to = r.Timeline[n-1].At.Seconds()
		c.shade = min(c.shade, c.x.to)
	}
	for i, s := range r.Timeline {
		words := []string{fmt.Sprintf("%.1f s", s.At.Seconds())}
		for _, l := range lines {
			if v := l.points[i].y; !math.IsNaN(v) {
				words = append(words, strings.TrimSpace(l.name+" "+y.show(v)))
			}
		}
		c.tips = append(c.tips, tip{s.At.Seconds(), strings.Join(words, ", ")})
	}
	return c
}

// over draws one figure of each sample.
func (r *Report) over(name string, color int, of func(load.Sample) float64) line {
	l := line{name: name, color: color}
	for _, s := range r.Timeline {
		l.points = append(l.points, point{s.At.Seconds(), of(s)})
	}
	return l
}

func highest(lines ...line) (most float64) {
	for _, l := range lines {
		for _, p := range l.points {
			if !math.IsNaN(p.y) {
				most = max(most, p.y)
			}
		}
	}
	return most * 1.05
}

func (r *Report) rates() *chart {
	last := time.Duration(0)
	sent := r.over("sent", 2, func(s load.Sample) float64 {
		took := s.At - last
		last = s.At
		if took <= 0 {
			return math.NaN()
		}
		return float64(s.Sent) / took.Seconds()
	})
	delivered := r.over("delivered", 1, func(s load.Sample) float64 { return s.Rate })
	return r.overTime("Messages per second", "Deliveries count once for each device.",
		axis{to: highest(sent, delivered), show: showCount}, sent, delivered)
}

func showNS(v float64) string {
	text := showDuration(time.Duration(v))
	for _, empty := range []string{".00 ", ".0 "} {
		text = strings.Replace(text, empty, " ", 1)
	}
	return text
}

func (r *Report) latencies() *chart {
	of := func(pick func(load.Latency) time.Duration) func(load.Sample) float64 {
		return func(s load.Sample) float64 {
			if s.Latency.Count == 0 {
				return math.NaN()
			}
			return float64(pick(s.Latency))
		}
	}
	return r.overTime("Latency to the handler over time", "Percentiles of each interval; the axis is logarithmic.", axis{log: true, show: showNS},
		r.over("max", 4, of(func(l load.Latency) time.Duration { return l.Max })),
		r.over("p99", 3, of(func(l load.Latency) time.Duration { return l.P99 })),
		r.over("p90", 2, of(func(l load.Latency) time.Duration { return l.P90 })),
		r.over("p50", 1, of(func(l load.Latency) time.Duration { return l.P50 })),
	)
}

// percentiles has what is slow on a scale of its own: each step to the right is a
// tenth of what was beyond the last one.
func (r *Report) percentiles() *chart {
	c := &chart{
		Title: "Latency by percentile", Note: "Both axes are logarithmic: each step to the right leaves a tenth of the messages.",
		y: axis{log: true, show: showNS},
		x: axis{log: true, from: 1, to: 10, show: func(v float64) string { return fmt.Sprintf("%g %%", math.Round((100-100/v)*1e6)/1e6) }},
	}
	for i, of := range []struct {
		name string
		all  []load.Quantile
	}{{"to the handler", r.Delivery.Distribution}, {"to durable", r.Durable.Distribution}} {
		l := line{name: of.name, color: i + 1}
		for _, q := range of.all {
			if q.Percentile >= 100 { // beyond it is nobody
				continue
			}
			x := 100 / (100 - q.Percentile)
			c.x.to = max(c.x.to, x)
			l.points = append(l.points, point{x, float64(q.Within)})
			if i == 0 {
				c.tips = append(c.tips, tip{x, fmt.Sprintf("%g %% within %s", math.Round(q.Percentile*1e4)/1e4, showNS(float64(q.Within)))})
			}
		}
		c.lines = append(c.lines, l)
	}
	return c
}

func (r *Report) memory() *chart {
	l := r.over("", 1, func(s load.Sample) float64 { return float64(s.Memory) })
	return r.overTime("Resident memory", "", axis{to: highest(l), ticks: binaryMarks(highest(l)), show: func(v float64) string {
		return strings.Replace(showSize(v), ".0 ", " ", 1)
	}}, l)
}

// binaryMarks are round sizes up to one.
func binaryMarks(most float64) (all []float64) {
	step := 1.0
	for most/step > 5 {
		step *= 2
	}
	for v := 0.0; v <= most; v += step {
		all = append(all, v)
	}
	return all
}

func (r *Report) processors() *chart {
	l := r.over("", 1, func(s load.Sample) float64 { return s.Processors })
	return r.overTime("Busy processors", fmt.Sprintf("Of %d; user and system, the tester included.", r.Machine.Processors),
		axis{to: max(highest(l), float64(r.Machine.Processors)), show: func(v float64) string { return fmt.Sprintf("%.1f", v) }}, l)
}

func (r *Report) goroutines() *chart {
	l := r.over("", 1, func(s load.Sample) float64 { return float64(s.Goroutines) })
	return r.overTime("Goroutines", "Without those of the tester that send.", axis{to: highest(l), show: showCount}, l)
}
