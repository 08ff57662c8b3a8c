package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// What a histogram can hold: from about half a microsecond to a day, three digits.
const (
	finest  = int64(time.Microsecond)
	longest = int64(24 * time.Hour)
	digits  = 3
)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(finest, longest, digits) }

// latencies gathers times from many goroutines.
type latencies [8]struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
	_  [40]byte
}

func newLatencies() *latencies {
	l := &latencies{}
	for i := range l {
		l[i].h = newHistogram()
	}
	return l
}

// record notes a time; place spreads those who do it at once.
func (l *latencies) record(place int, d time.Duration) {
	one := &l[uint(place)%uint(len(l))]
	one.mu.Lock()
	defer one.mu.Unlock()
	_ = one.h.RecordValue(min(max(int64(d), 0), longest)) // always in range
}

// take moves what was gathered since the last time into a histogram.
func (l *latencies) take(into *hdrhistogram.Histogram) {
	for i := range l {
		one := &l[i]
		one.mu.Lock()
		if one.h.TotalCount() > 0 {
			into.Merge(one.h)
			one.h.Reset()
		}
		one.mu.Unlock()
	}
}

func (l *latencies) size() (bytes int64) {
	for i := range l {
		bytes += int64(l[i].h.ByteSize())
	}
	return bytes
}

// Latency is how long messages took, in ns.
type Latency struct {
	Count int64         `json:"count"`
	Mean  time.Duration `json:"mean_ns"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p99_9_ns"`
	Max   time.Duration `json:"max_ns"`
	// Distribution has the time that a share of the messages did not exceed, from
	// the fastest to the slowest.
	Distribution []Quantile `json:"distribution,omitempty"`
}

// Quantile is the time that a share of all messages did not exceed.
type Quantile struct {
	Percentile float64       `json:"percentile"` // 0 to 100
	Within     time.Duration `json:"within_ns"`
}

// ticks is how many points of a distribution lie between any share and half of what
// is beyond it.
const ticks = 5

func summary(h *hdrhistogram.Histogram) Latency {
	at := func(p float64) time.Duration { return time.Duration(h.ValueAtPercentile(p)) }
	return Latency{
		Count: h.TotalCount(), Mean: time.Duration(h.Mean()),
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: time.Duration(h.Max()),
	}
}

func distribution(h *hdrhistogram.Histogram) Latency {
	l := summary(h)
	if l.Count == 0 {
		return l
	}
	for _, b := range h.CumulativeDistributionWithTicks(ticks) {
		l.Distribution = append(l.Distribution, Quantile{b.Quantile, time.Duration(b.ValueAt)})
	}
	return l
}
