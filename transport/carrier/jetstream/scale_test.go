package jetstream_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

func manyTopics(n int) []carrier.Topic {
	topics := make([]carrier.Topic, n)
	for i := range topics {
		topics[i] = carrier.Topic(fmt.Sprintf("/waku/1/0x%08x/rfc26", i*2_654_435_761&0xffffffff))
	}
	return topics
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc + stats.StackInuse)
}

// TestTenThousandTopics: subscribing them takes little time and memory, be it one by
// one in part, and neither delivery nor history care.
func TestTenThousandTopics(t *testing.T) {
	n := newNetwork(t, nil)
	sender, receiver := n.open(n.options()), n.open(n.options())
	in := newInbox()
	receiver.Receive(in)
	topics := manyTopics(10_000)
	before, running := heap(), runtime.NumGoroutine()
	start := time.Now()
	for i, some := range [][]carrier.Topic{topics[:50], topics[50:9000], topics[9000:]} {
		if i == 1 {
			if err := receiver.Subscribe(t.Context(), some...); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for _, topic := range some {
			if err := receiver.Subscribe(t.Context(), topic); err != nil {
				t.Fatal(err)
			}
		}
	}
	took, grew := time.Since(start), heap()-before
	t.Logf("10,000 topics take %s and %d kB", took, grew/1000)
	if limit := patience; took > limit {
		t.Errorf("subscribing takes %s, more than %s", took, limit)
	}
	if limit := int64(10_000 * 1000); grew > limit {
		t.Errorf("subscribing takes %d bytes, more than %d", grew, limit)
	}
	if more := runtime.NumGoroutine() - running; more > 20 {
		t.Errorf("subscribing takes %d goroutines", more)
	}
	var all []carrier.Message
	for i := 0; i < len(topics); i += 53 {
		all = append(all, message(topics[i]))
	}
	publishAll(t, sender, all)
	in.gets(t, all)
	if kept := history(t, sender, topics...); len(kept) != len(all) {
		t.Errorf("the history has %d messages, want %d", len(kept), len(all))
	}
	receiver.Unsubscribe(topics[3:]...)
	few := []carrier.Message{message(topics[0]), message(topics[5]), message(topics[2])}
	publishAll(t, sender, few)
	in.gets(t, []carrier.Message{few[0], few[2]})
}

// counting counts what comes.
type counting struct{ came atomic.Int64 }

func (c *counting) Deliver(carrier.Received) { c.came.Add(1) }
func (c *counting) Gap(int64)                {}

// BenchmarkPublishAndDeliver publishes messages of 1 KiB on many topics, as many at
// once as go, to a receiver that has subscribed all of them. The server is in this
// process.
func BenchmarkPublishAndDeliver(b *testing.B) {
	for _, count := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprintf("topics=%d", count), func(b *testing.B) {
			n := newNetwork(b, nil)
			sender, receiver := n.open(n.options()), n.open(n.options())
			var in counting
			topics := manyTopics(count)
			subscribe(b, receiver, &in, topics...)
			payload := make([]byte, 1024)
			var accepted sync.WaitGroup
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				m := message(topics[rand.IntN(len(topics))])
				m.Payload = payload
				for {
					accepted.Add(1)
					busy := make(chan bool, 1)
					sender.Publish(m, func(err error) {
						accepted.Done()
						if err != nil && !carrier.Retriable(err) {
							b.Error(err)
						}
						select {
						case busy <- err != nil:
						default:
						}
					})
					select {
					case refused := <-busy:
						if refused {
							time.Sleep(100 * time.Microsecond)
							continue
						}
					default:
					}
					break
				}
			}
			accepted.Wait()
			eventually(b, "all messages come", func() bool { return in.came.Load() >= int64(b.N) })
		})
	}
}

// BenchmarkHistory goes through 20,000 messages of 1 KiB on 1,000 topics, asking for
// some of them.
func BenchmarkHistory(b *testing.B) {
	n := newNetwork(b, nil)
	c := n.open(n.options())
	topics := manyTopics(1000)
	var accepted sync.WaitGroup
	for i := range 20_000 {
		m := message(topics[i%len(topics)])
		m.Payload = make([]byte, 1024)
		accepted.Add(1)
		c.Publish(m, func(err error) {
			accepted.Done()
			if err != nil {
				b.Error(err)
			}
		})
		if i%1000 == 999 {
			accepted.Wait()
		}
	}
	for _, count := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("topics=%d", count), func(b *testing.B) {
			kept := 0
			for b.Loop() {
				kept = len(history(b, c, topics[:count]...))
			}
			b.ReportMetric(float64(kept), "messages")
			b.ReportMetric(float64(kept)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
