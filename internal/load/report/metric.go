package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/rookery-im/rookery/internal/load"
)

// unit is what a metric is counted in.
type unit uint8

const (
	count    unit = iota
	duration      // ns
	size          // bytes
	share         // 0.05 is 5 %
	rate          // per second
)

// Metric is one figure of a result. It has a name in thresholds and in comparisons.
type Metric struct {
	Name  string
	Title string
	unit  unit
	// better is +1 if more is better, -1 if less is, 0 if neither.
	better int
	// value gives false where it was not measured.
	value func(*load.Result) (float64, bool)
}

func given[N int | int64 | float64 | time.Duration](of func(*load.Result) N) func(*load.Result) (float64, bool) {
	return func(r *load.Result) (float64, bool) { return float64(of(r)), true }
}

// measured is for figures that are 0 when they are not known.
func measured[N int | int64 | float64 | time.Duration](of func(*load.Result) N) func(*load.Result) (float64, bool) {
	return func(r *load.Result) (float64, bool) { v := float64(of(r)); return v, v > 0 }
}

// per divides, if there is something to divide by.
func per(of, by func(*load.Result) int64) func(*load.Result) (float64, bool) {
	return func(r *load.Result) (float64, bool) {
		a, b := float64(of(r)), float64(by(r))
		return a / b, a > 0 && b > 0
	}
}

func growth(first, last func(*load.Result) float64) func(*load.Result) (float64, bool) {
	return func(r *load.Result) (float64, bool) {
		before, after := first(r), last(r)
		return after/before - 1, before > 0 && after > 0
	}
}

// latency is for figures of which there are none without messages.
func latency(all func(*load.Result) load.Latency, one func(load.Latency) time.Duration) func(*load.Result) (float64, bool) {
	return func(r *load.Result) (float64, bool) {
		l := all(r)
		return float64(one(l)), l.Count > 0
	}
}

func delivery(r *load.Result) load.Latency { return r.Delivery }
func durable(r *load.Result) load.Latency  { return r.Durable }
func delivered(r *load.Result) int64       { return r.Outcomes.Delivered }
func sent(r *load.Result) int64            { return r.Outcomes.Sent }
func sessions(r *load.Result) int64        { return int64(r.Resources.Sessions) }
func identities(r *load.Result) int64      { return int64(r.Config.Identities) }
func disk(r *load.Result) int64            { return r.Resources.Disk }
func atEnd(r *load.Result) int64           { return r.Resources.MemoryEnd }

// Metrics are all there are, in the order in which they are shown.
var Metrics = slices.Concat(
	[]Metric{{"throughput", "messages delivered per second", rate, +1, measured(func(r *load.Result) float64 { return r.Throughput })}},
	percentiles("", "send to handler", delivery),
	percentiles("durable_", "send to durable", durable),
	[]Metric{
		{"cpu", "processor time", duration, -1, measured(processor)},
		{"cpu_per_message", "processor time per message", duration, -1, per(func(r *load.Result) int64 { return int64(processor(r)) }, delivered)},
		{"memory", "memory, highest", size, -1, measured(func(r *load.Result) int64 { return r.Resources.MemoryPeak })},
		{"memory_start", "memory at the start", size, -1, measured(func(r *load.Result) int64 { return r.Resources.MemoryStart })},
		{"memory_end", "memory at the end", size, -1, measured(atEnd)},
		{"memory_growth", "growth of memory", share, -1, growth(
			func(r *load.Result) float64 { return r.Resources.MemoryFirst }, func(r *load.Result) float64 { return r.Resources.MemoryLast })},
		{"memory_per_identity", "memory at the end per identity", size, -1, per(atEnd, identities)},
		{"memory_per_session", "memory at the end per session", size, -1, per(atEnd, sessions)},
		{"goroutine_growth", "growth of goroutines", share, -1, growth(
			func(r *load.Result) float64 { return r.Resources.GoroutinesFirst }, func(r *load.Result) float64 { return r.Resources.GoroutinesLast })},
		{"disk", "room on the disk", size, -1, measured(disk)},
		{"disk_per_session", "room on the disk per session", size, -1, per(disk, sessions)},
		{"bytes_per_message", "bytes to the network per message", size, -1, per(func(r *load.Result) int64 { return r.Resources.Wire }, sent)},
		{"wakes_per_message", "identities woken per message", count, 0, per(func(r *load.Result) int64 { return r.Resources.Wakes }, sent)},
		{"open", "opening the engine", duration, -1, measured(func(r *load.Result) time.Duration { return r.Opening.Open })},
		{"first_message", "from opening to the first message", duration, -1, measured(func(r *load.Result) time.Duration { return r.Opening.First })},
		{"drain", "until the rest had arrived", duration, -1, given(func(r *load.Result) time.Duration { return r.Drained })},
		{"pairs_per_second", "pairs established per second", rate, +1, func(r *load.Result) (float64, bool) {
			if r.SetUp == nil {
				return 0, false
			}
			return r.SetUp.PairsPerSecond, r.SetUp.PairsPerSecond > 0
		}},
	},
	outcomes(),
)

func processor(r *load.Result) time.Duration { return r.Resources.User + r.Resources.System }

func percentiles(prefix, title string, of func(*load.Result) load.Latency) []Metric {
	one := func(name, what string, pick func(load.Latency) time.Duration) Metric {
		return Metric{prefix + name, title + ", " + what, duration, -1, latency(of, pick)}
	}
	return []Metric{
		one("mean", "mean", func(l load.Latency) time.Duration { return l.Mean }),
		one("p50", "p50", func(l load.Latency) time.Duration { return l.P50 }),
		one("p90", "p90", func(l load.Latency) time.Duration { return l.P90 }),
		one("p99", "p99", func(l load.Latency) time.Duration { return l.P99 }),
		one("p99.9", "p99.9", func(l load.Latency) time.Duration { return l.P999 }),
		one("max", "longest", func(l load.Latency) time.Duration { return l.Max }),
	}
}

func outcomes() []Metric {
	one := func(name, title string, better int, of func(load.Outcomes) int64) Metric {
		return Metric{name, title, count, better, given(func(r *load.Result) int64 { return of(r.Outcomes) })}
	}
	return []Metric{
		one("sent", "messages sent", 0, func(o load.Outcomes) int64 { return o.Sent }),
		one("delivered", "delivered", 0, func(o load.Outcomes) int64 { return o.Delivered }),
		one("lost", "lost", -1, func(o load.Outcomes) int64 { return o.Lost }),
		one("duplicates", "delivered twice", -1, func(o load.Outcomes) int64 { return o.Duplicates }),
		one("out_of_order", "out of order", -1, func(o load.Outcomes) int64 { return o.OutOfOrder }),
		one("wrong", "of another sender than they say", -1, func(o load.Outcomes) int64 { return o.Wrong }),
		one("failed", "sends that failed", -1, func(o load.Outcomes) int64 { return o.Failed }),
		one("overloaded", "sends put off, no room", -1, func(o load.Outcomes) int64 { return o.Overloaded }),
		one("short", "sent to fewer devices", -1, func(o load.Outcomes) int64 { return o.Short }),
		one("unsent", "given up by the engine", -1, func(o load.Outcomes) int64 { return o.Unsent }),
		one("copies", "copies for own devices", 0, func(o load.Outcomes) int64 { return o.Copies }),
		one("decrypted", "decrypted", 0, func(o load.Outcomes) int64 { return o.Decrypted }),
		one("duplicates_refused", "duplicates refused", 0, func(o load.Outcomes) int64 { return o.DuplicatesRefused }),
		one("refused", "refused for other causes", -1, func(o load.Outcomes) int64 { return o.Refused }),
		one("advertised", "bundles sent back, not read", -1, func(o load.Outcomes) int64 { return o.Advertised }),
		one("sessions_started", "sessions made", 0, func(o load.Outcomes) int64 { return o.Started }),
		one("rekeys", "re-keys", 0, func(o load.Outcomes) int64 { return o.Rekeys }),
		one("ratchet_steps", "halves of DH ratchet steps", 0, func(o load.Outcomes) int64 { return o.RatchetSteps }),
		one("left_over", "of earlier runs", 0, func(o load.Outcomes) int64 { return o.LeftOver }),
		one("foreign", "of somebody else", 0, func(o load.Outcomes) int64 { return o.Foreign }),
	}
}

// find gives the metric of a name.
func find(name string) (Metric, error) {
	i := slices.IndexFunc(Metrics, func(m Metric) bool { return m.Name == name })
	if i >= 0 {
		return Metrics[i], nil
	}
	names := make([]string, len(Metrics))
	for i, m := range Metrics {
		names[i] = m.Name
	}
	return Metric{}, fmt.Errorf("%w: there is no %q; there are %s", ErrThreshold, name, strings.Join(names, ", "))
}

// show writes a value of the metric.
func (m Metric) show(v float64) string {
	switch m.unit {
	case duration:
		return showDuration(time.Duration(v))
	case size:
		return showSize(v)
	case share:
		return fmt.Sprintf("%+.1f %%", 100*v)
	case rate:
		return fmt.Sprintf("%s/s", showCount(v))
	default:
		return showCount(v)
	}
}

func showCount(v float64) string {
	if v != math.Trunc(v) && v < 100 {
		return fmt.Sprintf("%.1f", v)
	}
	digits := fmt.Sprintf("%.0f", v)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func showDuration(d time.Duration) string {
	switch {
	case d >= 100*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
	default:
		return fmt.Sprintf("%.1f µs", float64(d)/float64(time.Microsecond))
	}
}

var sizes = []string{"B", "KiB", "MiB", "GiB", "TiB"}

func showSize(v float64) string {
	i := 0
	for ; v >= 1024 && i < len(sizes)-1; i++ {
		v /= 1024
	}
	if i == 0 {
		return fmt.Sprintf("%.0f B", v)
	}
	return fmt.Sprintf("%.1f %s", v, sizes[i])
}
