package rookery_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/metric"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/bench/measure"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	memnet "github.com/rookery-im/rookery/transport/memory"
)

const (
	meteredPairs  = 16
	meteredFlight = 32 // messages of each pair
	meteredTurns  = 20 // of each engine
)

// BenchmarkMetering sends the same traffic through an engine with a MeterProvider and
// one without, in turns in one process: messages of 100 bytes in one direction on a
// store in memory, which are the cheapest that there are, so that measuring them costs
// most. It reports the processors' time that measuring adds. Run with -benchtime
// 400000x or more: the first messages are all timed.
func BenchmarkMetering(b *testing.B) {
	with, without := newMetered(b, newMeter(b).provider), newMetered(b, nil)
	turn := b.N/meteredTurns + 1
	var measured, bare measure.Figures
	add := func(to *measure.Figures, turn measure.Figures) {
		to.Elapsed, to.Processor = to.Elapsed+turn.Elapsed, to.Processor+turn.Processor
	}
	b.ResetTimer()
	for n := range meteredTurns {
		if n%2 == 0 {
			add(&measured, with.send(b, turn))
			add(&bare, without.send(b, turn))
		} else {
			add(&bare, without.send(b, turn))
			add(&measured, with.send(b, turn))
		}
	}
	b.StopTimer()
	sent := float64(turn * meteredTurns)
	b.ReportMetric(1e6*measured.Processor.Seconds()/sent, "cpu-us/measured")
	b.ReportMetric(1e6*bare.Processor.Seconds()/sent, "cpu-us/bare")
	b.ReportMetric(100*(measured.Processor.Seconds()/bare.Processor.Seconds()-1), "%cost-by-cpu")
	b.ReportMetric(100*(measured.Elapsed.Seconds()/bare.Elapsed.Seconds()-1), "%cost-by-clock")
}

// metered is an engine with pairs of whom one sends.
type metered struct {
	from, to []*rookery.Identity
	handled  atomic.Int64
	want     atomic.Int64
	done     chan struct{}
}

func newMetered(b *testing.B, provider metric.MeterProvider) *metered {
	b.Helper()
	m := &metered{done: make(chan struct{}, 1)}
	ctx := context.Background()
	engine, err := rookery.Open(ctx, rookery.Options{
		Store: memstore.New(), Transport: memnet.New(1, memnet.Faults{}), MeterProvider: provider,
		Handler: func(e rookery.Event) {
			if message, ok := e.(rookery.Message); ok {
				message.Ack()
				if m.handled.Add(1) == m.want.Load() {
					m.done <- struct{}{}
				}
			}
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := engine.Close(ctx); err != nil {
			b.Error(err)
		}
	})
	create := func() *rookery.Identity {
		i, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
		if err != nil {
			b.Fatal(err)
		}
		return i
	}
	for range meteredPairs {
		from, to := create(), create()
		bundle, err := to.Bundle(ctx)
		if err == nil {
			err = from.TakeBundle(ctx, to.PublicKey(), bundle)
		}
		if err != nil {
			b.Fatal(err)
		}
		m.from, m.to = append(m.from, from), append(m.to, to)
	}
	m.send(b, 20_000) // the sessions, and what is timed one by one
	return m
}

// send sends so many messages, and waits until all are handled.
func (m *metered) send(b *testing.B, n int) measure.Figures {
	b.Helper()
	m.want.Add(int64(n))
	payload := make([]byte, 100)
	var left atomic.Int64
	left.Store(int64(n))
	f, err := measure.Take(n, func() error {
		var all sync.WaitGroup
		for pair := range meteredPairs {
			for range meteredFlight {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := m.from[pair].Send(context.Background(), m.to[pair].PublicKey(), payload); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
		}
		all.Wait()
		if b.Failed() {
			b.FailNow()
		}
		<-m.done
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return f
}
