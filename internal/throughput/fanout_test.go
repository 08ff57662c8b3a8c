package throughput

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/bench/measure"
)

// BenchmarkFanOut sends one payload to many contacts until all messages are durable:
// as a group, as single sends one after the other, and as that many at the same time.
// Nobody receives them.
func BenchmarkFanOut(b *testing.B) {
	const most = 100
	var c closers
	defer func() {
		if err := c.close(); err != nil {
			b.Error(err)
		}
	}()
	sender, members, err := options(b.TempDir(), Short).openGroup(b.Context(), most, &c)
	if err != nil {
		b.Fatal(err)
	}
	payload := make([]byte, payloadSize)
	one := func(to rookery.PublicKey) error {
		_, err := sender.Send(b.Context(), to, payload)
		return err
	}
	for _, n := range []int{1, 10, most} {
		for _, way := range []struct {
			name string
			send func(to []rookery.PublicKey) error
		}{
			{"group", func(to []rookery.PublicKey) error {
				for _, r := range sender.SendGroup(b.Context(), to, payload) {
					if r.Err != nil {
						return r.Err
					}
				}
				return nil
			}},
			{"one-after-the-other", func(to []rookery.PublicKey) error {
				for _, member := range to {
					if err := one(member); err != nil {
						return err
					}
				}
				return nil
			}},
			{"at-the-same-time", func(to []rookery.PublicKey) error {
				var sends sync.WaitGroup
				var failed atomic.Pointer[error]
				for _, member := range to {
					sends.Go(func() {
						if err := one(member); err != nil {
							failed.Store(&err)
						}
					})
				}
				sends.Wait()
				if err := failed.Load(); err != nil {
					return *err
				}
				return nil
			}},
		} {
			b.Run(fmt.Sprintf("%d/%s", n, way.name), func(b *testing.B) {
				b.ReportAllocs()
				f, err := measure.Take(b.N*n, func() error {
					for range b.N {
						if err := way.send(members[:n]); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
				messages := float64(b.N * n)
				b.ReportMetric(float64(f.Processor.Microseconds())/messages, "cpu-us/message")
				b.ReportMetric(messages/f.Elapsed.Seconds(), "messages/s")
			})
		}
	}
}

// openGroup opens an engine with an identity that has a session with each of n others,
// who live in another engine that is closed by then.
func (o Options) openGroup(ctx context.Context, n int, c *closers) (*rookery.Identity, []rookery.PublicKey, error) {
	dir, remove, err := o.room()
	c.add(remove)
	if err != nil {
		return nil, nil, err
	}
	away, remove, err := o.room()
	c.add(remove)
	if err != nil {
		return nil, nil, err
	}
	here := o.engineOptions(dir)
	engine, err := rookery.Open(ctx, here)
	if err != nil {
		return nil, nil, err
	}
	c.add(func() error { return engine.Close(context.WithoutCancel(ctx)) })
	there := o.engineOptions(away)
	there.Transport = here.Transport
	others, err := rookery.Open(ctx, there)
	if err != nil {
		return nil, nil, err
	}
	sender, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
	if err != nil {
		return nil, nil, err
	}
	var members []rookery.PublicKey
	for range n {
		member, err := others.CreateIdentity(ctx, rookery.NewIdentity{})
		if err != nil {
			return nil, nil, err
		}
		bundle, err := member.Bundle(ctx)
		if err != nil {
			return nil, nil, err
		}
		if err := sender.TakeBundle(ctx, member.PublicKey(), bundle); err != nil {
			return nil, nil, err
		}
		members = append(members, member.PublicKey())
	}
	if err := others.Close(ctx); err != nil {
		return nil, nil, err
	}
	for _, r := range sender.SendGroup(ctx, members, []byte("hello")) { // makes the sessions
		if r.Err != nil {
			return nil, nil, r.Err
		}
	}
	return sender, members, nil
}
