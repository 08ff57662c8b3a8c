package wakurelay

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"

	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/transport/carrier"
)

// contentTopic is one of many.
func contentTopic(i int) string { return fmt.Sprintf("/waku/1/0x%08x/rfc26", i) }

// dispatching is the way of a message through a relay that wants 20,000 topics.
func dispatching(tb testing.TB) (*relay, *atomic.Int64) {
	tb.Helper()
	o, err := Options{}.settle()
	if err != nil {
		tb.Fatal(err)
	}
	r := &relay{options: o, filter: newFilter(), inbox: newInbox(o.Incoming, o.IncomingBytes), faults: newFaults()}
	for i := range 20_000 {
		r.filter.add([]carrier.Topic{carrier.Topic(contentTopic(i))})
	}
	k := &counter{}
	r.inbox.receive(k)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.inbox.deliver()
	}()
	tb.Cleanup(func() {
		r.inbox.close()
		<-done
	})
	return r, &k.n
}

type counter struct{ n atomic.Int64 }

func (k *counter) Deliver(carrier.Received) { k.n.Add(1) }
func (k *counter) Gap(int64)                {}

func (r *relay) dispatch(data []byte) {
	m := &pubsub.Message{Message: &pb.Message{Data: data}}
	if r.validate(context.Background(), "", m) == pubsub.ValidationAccept {
		r.delivered(m)
	}
}

// BenchmarkDispatch is what a message of the shard costs here, beside what the router
// does for each: one that nobody wants, and one that is handed up.
func BenchmarkDispatch(b *testing.B) {
	for name, i := range map[string]int{"foreign": 1 << 30, "wanted": 7} {
		for _, size := range []int{1 << 10, 100 << 10} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				r, got := dispatching(b)
				data := encoded(b, waku.Message{ContentTopic: contentTopic(i), Payload: make([]byte, size), Version: 1, Timestamp: 1})
				b.ReportAllocs()
				for b.Loop() {
					r.dispatch(data)
				}
				if (name == "wanted") != (got.Load() > 0) {
					b.Errorf("%d were handed up", got.Load())
				}
			})
		}
	}
}

// TestForeignMessageAllocatesNothingBig holds that what nobody wants is not copied.
func TestForeignMessageAllocatesNothingBig(t *testing.T) {
	r, _ := dispatching(t)
	data := encoded(t, waku.Message{ContentTopic: contentTopic(1 << 30), Payload: make([]byte, 100<<10), Version: 1, Timestamp: 1})
	var before, after runtime.MemStats
	const times = 100
	runtime.ReadMemStats(&before)
	for range times {
		r.dispatch(data)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / times; each > 1024 {
		t.Errorf("%d bytes each", each)
	}
}

// BenchmarkForeignShard is a shard that is busy with what nobody here wants: 1,000
// messages a second of 1 KiB come over TCP. It reports the processor time that each
// takes, of all peers in the process: one that publishes, and the carrier.
func BenchmarkForeignShard(b *testing.B) {
	c, k := listening(b, Options{})
	s := befriend(b, c)
	s.send(published(b))
	const rate = 1000
	frames := make([][]byte, b.N)
	for i := range frames {
		payload := make([]byte, 1<<10)
		copy(payload, fmt.Sprint(i))
		frames[i] = published(b, encoded(b, waku.Message{ContentTopic: contentTopic(1<<30 + i), Payload: payload, Version: 1, Timestamp: 1}))
	}
	start := processorTime(b)
	b.ResetTimer()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for i := 0; i < b.N; {
		<-ticker.C
		for range min(rate/100, b.N-i) {
			s.send(frames[i])
			i++
		}
	}
	s.send(published(b, encoded(b, waku.Message{ContentTopic: string(topic), Payload: []byte("last"), Timestamp: 1})))
	k.next(b) // after all that came before it
	b.StopTimer()
	b.ReportMetric(float64(processorTime(b)-start)/float64(b.N), "cpu-ns/op")
}

func processorTime(tb testing.TB) int64 {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

// BenchmarkPublish is a message of 1 KiB from Publish until it has arrived at a peer,
// one after the other and many at once.
func BenchmarkPublish(b *testing.B) {
	hub := newArchive(b)
	_, address := hub.wire(b)
	for name, most := range map[string]int{"alone": 1, "many": 256} {
		b.Run(name, func(b *testing.B) {
			c := open(b, Options{Listen: nextIP().String() + ":0", Peers: []string{address}, Outgoing: 256})
			isReady(b, c)
			room := make(chan struct{}, most)
			i := 0
			for b.Loop() {
				room <- struct{}{}
				i++
				payload := make([]byte, 1<<10)
				copy(payload, fmt.Sprint(name, i))
				c.Publish(carrier.Message{Topic: topic, Payload: payload, Time: time.Now().UnixNano()}, func(err error) {
					if err != nil {
						b.Errorf("publish: %v", err)
					}
					<-room
				})
			}
			for range most {
				room <- struct{}{}
			}
		})
	}
}
