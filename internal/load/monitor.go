package load

import (
	"sync"
	"sync/atomic"
	"time"
)

// Monitor tells how a run gets on while it does. The zero value is ready; safe for
// concurrent use.
type Monitor struct {
	mu    sync.Mutex
	phase string
	since time.Time
	total int
	first int64 // done before the phase began
	done  atomic.Int64
	extra func() Traffic
}

// Progress is how far a phase is.
type Progress struct {
	Phase   string
	Done    int
	Total   int           // 0: it is not known
	Elapsed time.Duration // of the phase
	Left    time.Duration // as it looks now; 0: it cannot be told
	Rate    float64       // done per second, in this phase
	Traffic Traffic
}

// Traffic is what was sent and delivered so far.
type Traffic struct {
	Sent, Delivered, Waiting int64
	P99                      time.Duration // of the last interval
}

func (m *Monitor) begin(phase string, done, total int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase, m.since, m.first, m.total = phase, time.Now(), int64(done), total
	m.done.Store(m.first)
}

func (m *Monitor) watch(traffic func() Traffic) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.extra = traffic
}

// Progress tells how far it is now.
func (m *Monitor) Progress() Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	done := m.done.Load()
	p := Progress{Phase: m.phase, Done: int(done), Total: m.total}
	if !m.since.IsZero() {
		p.Elapsed = time.Since(m.since)
	}
	if seconds := p.Elapsed.Seconds(); seconds > 0 {
		p.Rate = float64(done-m.first) / seconds
	}
	if p.Rate > 0 && p.Total > p.Done {
		p.Left = time.Duration(float64(p.Total-p.Done) / p.Rate * float64(time.Second))
	}
	if m.extra != nil {
		p.Traffic = m.extra()
	}
	return p
}
