package load

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/memory"
)

// stalling is a network on which each envelope takes its time, and that stands still
// once: from a point in time on, for a while, nothing gets through.
type stalling struct {
	transport.Transport
	takes    time.Duration
	from, to atomic.Int64 // ns since the epoch
}

func (s *stalling) Publish(e transport.Envelope, accepted func(error)) {
	go func() {
		time.Sleep(s.takes)
		if now := time.Now().UnixNano(); now >= s.from.Load() && now < s.to.Load() {
			time.Sleep(time.Duration(s.to.Load() - now))
		}
		s.Transport.Publish(e, accepted)
	}()
}

// sleepUntilNow sets a bubble's clock on, which begins in a year of which no bundle is
// believed.
func sleepUntilNow() { time.Sleep(time.Until(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))) }

// stalled runs 10 measured seconds, in one of which the network stands still, on a
// clock that runs only when nobody has anything to do: nothing takes time but the
// network, which takes 5 ms.
func stalled(t *testing.T, change func(*Config)) Latency {
	t.Helper()
	var r *Result
	synctest.Test(t, func(t *testing.T) {
		sleepUntilNow()
		network := &stalling{Transport: memory.New(1, memory.Faults{}), takes: 5 * time.Millisecond}
		c := testConfig(OneWay)
		c.Duration, c.WarmUp = 10*time.Second, time.Second
		change(&c)
		env := inMemory(network)
		options, openings := env.Options, 0
		env.Options = func(ctx context.Context, engine int) (rookery.Options, error) {
			if openings++; openings == 2 { // the world is made, the run begins
				network.from.Store(time.Now().Add(5 * time.Second).UnixNano())
				network.to.Store(time.Now().Add(6 * time.Second).UnixNano())
			}
			return options(ctx, engine)
		}
		r = mustRun(t, c, env)
		time.Sleep(time.Second) // for what the actor runtime still has timers for
	})
	if r.Outcomes.Lost != 0 || r.Outcomes.Delivered != r.Outcomes.Sent {
		t.Fatalf("%+v", r.Outcomes)
	}
	return r.Delivery
}

// about tells whether a time is another, to the digits of a histogram and the 10 ms
// between two sends.
func about(got, want time.Duration) bool {
	return (got - want).Abs() <= 10*time.Millisecond+want/500
}

// With 100 sends per second, 100 of 1,000 are meant to begin while the network stands
// still for a second, 10 ms apart: the first waits for all of it, the last hardly at
// all. So nine in ten take 5 ms, the 950th half a second, the 990th 0.9 s, and the
// mean is 5 ms and a tenth of half a second. Who sends the next when the last was
// delivered finds one slow message among 1,800, below every percentile that is looked
// at: that is what taking the time from the intended start is for.
func TestPercentilesShowAStallThatClosedLoopsHide(t *testing.T) {
	open := stalled(t, func(c *Config) { c.Rate, c.InFlight = 100, 0 })
	if open.Count != 1000 {
		t.Fatalf("%d messages were measured", open.Count)
	}
	at := func(percentile float64) time.Duration {
		for _, q := range open.Distribution {
			if q.Percentile >= percentile {
				return q.Within
			}
		}
		return 0
	}
	for what, times := range map[string][2]time.Duration{
		"p50": {open.P50, 5 * time.Millisecond},
		"p90": {open.P90, 5 * time.Millisecond},
		"p99": {open.P99, 905 * time.Millisecond},
		"max": {open.Max, 1005 * time.Millisecond},
		// 50 of 100 that have waited
		"p95":  {at(95), 505 * time.Millisecond},
		"mean": {open.Mean, 55 * time.Millisecond},
	} {
		if got, want := times[0], times[1]; !about(got, want) {
			t.Errorf("with a rate: %s is %v, want %v", what, got, want)
		}
	}
	closed := stalled(t, func(c *Config) { c.InFlight = 1 })
	if closed.Count < 1700 || !about(closed.P999, 5*time.Millisecond) || !about(closed.Max, 1005*time.Millisecond) {
		t.Errorf("one in flight: %+v", closed)
	}
}

// standing is a store that stands still from a point in time on, for a while.
type standing struct {
	persistence.Store
	from, to *atomic.Int64 // ns since the epoch
}

func (s standing) Apply(ctx context.Context, b persistence.Batch) error {
	if now := time.Now().UnixNano(); now >= s.from.Load() && now < s.to.Load() {
		time.Sleep(time.Duration(s.to.Load() - now))
	}
	return s.Store.Apply(ctx, b)
}

// The store stands still for one of two seconds, and with it Send. Of 20,000 sends
// 10,000 are meant to begin meanwhile, more than twice as many as goroutines wait in
// Send at a time: 3 of 10 of all have waited for 0.4 s or more, also those that could
// not begin.
func TestWaitingForASenderCounts(t *testing.T) {
	var r *Result
	synctest.Test(t, func(t *testing.T) {
		sleepUntilNow()
		var from, to atomic.Int64
		c := testConfig(OneWay)
		c.Rate, c.InFlight, c.Duration = 10_000, 0, 2*time.Second
		env := inMemory(memory.New(1, memory.Faults{}))
		options, openings := env.Options, 0
		env.Options = func(ctx context.Context, engine int) (rookery.Options, error) {
			if openings++; openings == 2 {
				from.Store(time.Now().Add(500 * time.Millisecond).UnixNano())
				to.Store(time.Now().Add(1500 * time.Millisecond).UnixNano())
			}
			o, err := options(ctx, engine)
			o.Store = standing{o.Store, &from, &to}
			return o, err
		}
		r = mustRun(t, c, env)
		time.Sleep(time.Second) // for what the actor runtime still has timers for
	})
	if r.Outcomes.Lost != 0 || r.Delivery.Count != 20_000 {
		t.Fatalf("%d measured, %+v", r.Delivery.Count, r.Outcomes)
	}
	for i, q := range r.Durable.Distribution {
		if q.Percentile < 70 {
			continue
		}
		before := r.Durable.Distribution[max(0, i-1)]
		if q.Within < 390*time.Millisecond || before.Within > 410*time.Millisecond {
			t.Errorf("%+v, %+v; want 400 ms at 70 %%", before, q)
		}
		return
	}
	t.Errorf("no 70th percentile: %+v", r.Durable)
}
