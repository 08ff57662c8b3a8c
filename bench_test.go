package rookery_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rookery-im/rookery"
	memnet "github.com/rookery-im/rookery/transport/memory"
)

// BenchmarkSendReceive measures one message from Send to the handler on the
// other side, both ends durable on Pebble in one engine. Each pair plays
// ping-pong, so that nearly every message makes a DH ratchet step.
func BenchmarkSendReceive(b *testing.B) {
	for _, pairs := range []int{1, 64} {
		b.Run(fmt.Sprint(pairs, "_pairs"), func(b *testing.B) { benchmarkPairs(b, pairs) })
	}
}

func benchmarkPairs(b *testing.B, pairs int) {
	ctx := context.Background()
	var arrivals sync.Map // installation -> chan struct{}
	engine, err := rookery.Open(ctx, rookery.Options{
		Dir:       filepath.Join(b.TempDir(), "store"),
		Unlock:    rookery.KeyFile(filepath.Join(b.TempDir(), "key")),
		Transport: memnet.New(1, memnet.Faults{}),
		Handler: func(e rookery.Event) {
			if m, ok := e.(rookery.Message); ok {
				arrived, _ := arrivals.Load(m.Identity.InstallationID())
				arrived.(chan struct{}) <- struct{}{}
				m.Ack()
			}
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := engine.Close(ctx); err != nil {
			b.Error(err)
		}
	}()
	create := func() (*rookery.Identity, chan struct{}) {
		i, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
		if err != nil {
			b.Fatal(err)
		}
		arrived := make(chan struct{}, 1)
		arrivals.Store(i.InstallationID(), arrived)
		return i, arrived
	}
	payload := make([]byte, 256)
	var all sync.WaitGroup
	var left atomic.Int64
	start := make(chan struct{})
	for range pairs {
		alice, toAlice := create()
		bob, toBob := create()
		turn := func(from, to *rookery.Identity, arrived chan struct{}) error {
			if _, err := from.Send(ctx, to.PublicKey(), payload); err != nil {
				return err
			}
			<-arrived
			return nil
		}
		for range 2 { // DH-only, then sessions
			if err := turn(alice, bob, toBob); err != nil {
				b.Fatal(err)
			}
			if err := turn(bob, alice, toAlice); err != nil {
				b.Fatal(err)
			}
		}
		all.Go(func() {
			<-start
			for left.Add(-2) >= -1 {
				if err := turn(alice, bob, toBob); err != nil {
					b.Error(err)
					return
				}
				if err := turn(bob, alice, toAlice); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	close(start)
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
