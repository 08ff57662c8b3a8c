package load

import (
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/footprint"
)

// Sample is what one interval of a run was like.
type Sample struct {
	At         time.Duration `json:"at_ns"` // since the start, at its end
	Sent       int64         `json:"sent"`  // in the interval
	Delivered  int64         `json:"delivered"`
	Rate       float64       `json:"rate"` // delivered per second
	Latency    Latency       `json:"latency"`
	Memory     int64         `json:"memory_bytes"` // resident
	Goroutines int           `json:"goroutines"`   // without those of the tester that send
	Processors float64       `json:"processors"`   // busy ones, on average
}

const (
	// samplesWanted is how many intervals a run is cut into, if they do not get too
	// short.
	samplesWanted  = 120
	shortestSample = 100 * time.Millisecond
)

// meter takes samples.
type meter struct {
	run     *run
	every   time.Duration
	done    chan struct{}
	ended   sync.WaitGroup
	samples []Sample
	atStart int64 // memory, bytes

	delivered, durable, interval *hdrhistogram.Histogram
	lastSent, lastArrived        int64
	lastAt                       time.Duration
	lastProcessor                processorTime

	mu   sync.Mutex
	last Sample
}

func newMeter(r *run) *meter {
	return &meter{
		run: r, done: make(chan struct{}),
		every:     max(shortestSample, (r.config.WarmUp+r.config.Duration)/samplesWanted),
		delivered: newHistogram(), durable: newHistogram(), interval: newHistogram(),
	}
}

func (m *meter) start() {
	m.lastProcessor, m.atStart = processor(), footprint.Memory()
	m.run.meter.Store(m)
	m.ended.Go(func() {
		ticker := time.NewTicker(m.every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				m.sample()
			case <-m.done:
				m.sample()
				return
			}
		}
	})
}

func (m *meter) stop() {
	close(m.done)
	m.ended.Wait()
}

func (m *meter) sample() {
	r := m.run
	at, cpu := time.Since(r.base), processor()
	sent, arrived := r.outcomes.sent.sum(), r.outcomes.arrived.sum()
	m.interval.Reset()
	r.delivered.take(m.interval)
	r.durable.take(m.durable)
	m.delivered.Merge(m.interval)
	s := Sample{
		At: at, Sent: sent - m.lastSent, Delivered: arrived - m.lastArrived,
		Latency: summary(m.interval), Memory: footprint.Memory(), Goroutines: runtime.NumGoroutine() - int(r.senders.Load()),
	}
	if took := (at - m.lastAt).Seconds(); took > 0 {
		s.Rate = float64(s.Delivered) / took
		s.Processors = cpu.minus(m.lastProcessor).all().Seconds() / took
	}
	m.lastAt, m.lastSent, m.lastArrived, m.lastProcessor = at, sent, arrived, cpu
	m.samples = append(m.samples, s)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = s
}

// size is the room that measuring takes, in bytes.
func (m *meter) size() int64 {
	r := m.run
	return r.ledger.size() + r.delivered.size() + r.durable.size() + 3*int64(m.delivered.ByteSize())
}

// traffic is for who watches.
func (r *run) traffic() Traffic {
	sent, arrived := r.outcomes.sent.sum(), r.outcomes.arrived.sum()
	t := Traffic{Sent: sent, Delivered: arrived, Waiting: max(0, r.outcomes.expected.sum()-arrived)}
	if m := r.meter.Load(); m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		t.P99 = m.last.Latency.P99
	}
	return t
}

// processorTime is how long threads have run.
type processorTime struct{ user, system time.Duration }

func processor() (t processorTime) {
	t.user, t.system = footprint.Processor()
	return t
}

func (t processorTime) minus(other processorTime) processorTime {
	return processorTime{t.user - other.user, t.system - other.system}
}

func (t processorTime) all() time.Duration { return t.user + t.system }

// used is what was taken by a point in time.
type used struct {
	counts          rookery.Counts
	processor       processorTime
	envelopes, wire int64
}
