package courier_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	store "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/courier"
	"github.com/rookery-im/rookery/transport/envelope"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

// crowd is a courier that hosts many identities, and its carrier.
func crowd(tb testing.TB, n int) (*courier.Courier, *stage, []x3dh.IdentityPublicKey) {
	tb.Helper()
	s := &stage{subscribed: make(map[carrier.Topic]bool)}
	c, err := courier.New(tb.Context(), courier.Options{Carrier: s, Store: store.New()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	random := newRandom()
	all := make([]x3dh.IdentityPublicKey, 0, n)
	deliver := func(_ transport.Envelope, done func(error)) { done(nil) }
	for range n {
		key, err := x3dh.GenerateIdentity(random)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := c.Host(&key); err != nil {
			tb.Fatal(err)
		}
		public := key.Public()
		all = append(all, public)
		if _, err := c.Subscribe(transport.PersonalTopic(public), deliver); err != nil {
			tb.Fatal(err)
		}
		if _, err := c.Subscribe(transport.ContactCodeTopic(public), deliver); err != nil {
			tb.Fatal(err)
		}
	}
	for range 1000 {
		if h := c.Health(); !h.CatchingUp {
			return c, s, all
		}
		time.Sleep(10 * time.Millisecond)
	}
	tb.Fatal("not caught up")
	return nil, nil, nil
}

// BenchmarkForeignEnvelope is what an envelope costs that is for somebody else on
// the partitioned topic of a hosted identity. Two identities share one with 10,000, twenty
// with 100,000.
func BenchmarkForeignEnvelope(b *testing.B) {
	for _, hosted := range []int{1, 10_000, 100_000} {
		b.Run(fmt.Sprint(hosted), func(b *testing.B) {
			c, s, all := crowd(b, hosted)
			random := rand.NewChaCha8([32]byte{2})
			sender, err := x3dh.GenerateIdentity(random)
			if err != nil {
				b.Fatal(err)
			}
			stranger, err := x3dh.GenerateIdentity(random)
			if err != nil {
				b.Fatal(err)
			}
			const envelopes = 256
			payloads := make([][]byte, envelopes)
			for i := range payloads {
				if payloads[i], err = envelope.SealFor(random, stranger.Public(), &sender, make([]byte, 1024)); err != nil {
					b.Fatal(err)
				}
			}
			var contents []carrier.Topic // each once: as many go to one as to the other
			for _, identity := range all {
				contents = append(contents, carrier.Topic(topic.Partitioned(identity).Topic().ContentTopic()))
			}
			slices.Sort(contents)
			contents = slices.Compact(contents)
			before := c.Counts()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now := time.Now().UnixNano()
				m := carrier.Message{Topic: contents[i%len(contents)], Payload: payloads[i%envelopes], Time: now + int64(i)}
				s.receiver.Deliver(carrier.Received{Message: m, At: now})
			}
			if after := c.Counts(); after.Foreign-before.Foreign != uint64(b.N) {
				b.Fatalf("%+v", after)
			}
		})
	}
}

// BenchmarkHosted is what hosted identities take in memory, and how long it takes to
// listen for them.
func BenchmarkHosted(b *testing.B) {
	const hosted = 10_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := time.Now()
		c, _, _ := crowd(b, hosted)
		took := time.Since(began)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/hosted, "B/identity")
		b.ReportMetric(float64(took.Microseconds())/hosted, "µs/identity")
		runtime.KeepAlive(c)
	}
}
