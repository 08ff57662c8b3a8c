package throughput

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/footprint"
	memnet "github.com/rookery-im/rookery/transport/memory"
)

var (
	crowd         = flag.Int("crowd", 500, "identities that sleep")
	crowdContacts = flag.Int("crowd.contacts", 3, "of each of them, with a session each way")
	crowdRate     = flag.Float64("crowd.rate", 200, "messages per second, sent whether or not earlier ones have arrived")
	crowdFor      = flag.Duration("crowd.for", 3*time.Second, "for how long messages are sent")
	crowdDir      = flag.String("crowd.dir", "", "a directory that keeps the crowd: made if there is none in it, else used")
	crowdBudget   = flag.Int64("crowd.budget", 64<<20, "Options.MemoryBudget while messages are sent, in bytes")
)

// BenchmarkCrowd opens a store of many identities, all of which sleep, and sends
// messages between pairs of them that have talked before and were not used since, so
// that each message wakes its sender and its receiver. Latencies are counted from the
// moment at which a message was to be sent.
func BenchmarkCrowd(b *testing.B) {
	dir := *crowdDir
	if dir == "" {
		dir = b.TempDir()
	}
	options := crowdOptions(dir)
	if _, err := os.Stat(options.Dir); os.IsNotExist(err) {
		makeCrowd(b, options)
	}
	measureCrowd(b, options)
}

func crowdOptions(dir string) rookery.Options {
	return rookery.Options{
		Dir:          filepath.Join(dir, fmt.Sprintf("crowd-%d-%d", *crowd, *crowdContacts)),
		Unlock:       rookery.KeyFile(filepath.Join(dir, "key")),
		ForgetWithin: -1, // rotating the keys of so much is another measurement
	}
}

// neighbour is the c-th contact of the n-th identity.
func neighbour(n, c, of int) int { return (n + 1 + c) % of }

// makeCrowd makes identities that have sessions with their neighbours.
func makeCrowd(b *testing.B, options rookery.Options) {
	b.Helper()
	begin := time.Now()
	options.Transport = memnet.New(1, memnet.Faults{})
	options.Handler = func(e rookery.Event) {
		if m, ok := e.(rookery.Message); ok {
			m.Ack()
		}
	}
	engine, err := rookery.Open(b.Context(), options)
	if err != nil {
		b.Fatal(err)
	}
	people := make([]*rookery.Identity, *crowd)
	each(b, len(people), func(ctx context.Context, n int) error {
		people[n], err = engine.CreateIdentity(ctx, rookery.NewIdentity{})
		return err
	})
	each(b, len(people), func(ctx context.Context, n int) error {
		for c := range *crowdContacts {
			other := people[neighbour(n, c, len(people))]
			bundle, err := other.Bundle(ctx)
			if err != nil {
				return err
			}
			if err := people[n].TakeBundle(ctx, other.PublicKey(), bundle); err != nil {
				return err
			}
			if _, err := people[n].Send(ctx, other.PublicKey(), []byte("hello")); err != nil {
				return err
			}
		}
		return nil
	})
	wanted := uint64(*crowd * *crowdContacts)
	for engine.Counts().Acknowledged < wanted {
		time.Sleep(time.Millisecond)
	}
	if err := engine.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d identities with %d contacts made in %v", *crowd, *crowdContacts, time.Since(begin).Round(time.Millisecond))
}

// each calls f for 0 to n-1, some at a time.
func each(b *testing.B, n int, f func(context.Context, int) error) {
	b.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && !b.Failed(); i = int(next.Add(1)) - 1 {
				if err := f(b.Context(), i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// arrivals are the latencies of messages, in the order in which they arrived.
type arrivals struct {
	mu    sync.Mutex
	took  []time.Duration
	first chan struct{}
}

func (a *arrivals) handle(e rookery.Event) {
	m, ok := e.(rookery.Message)
	if !ok {
		return
	}
	m.Ack()
	intended := int64(binary.BigEndian.Uint64(m.Payload))
	took := time.Duration(time.Now().UnixNano() - intended)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.took = append(a.took, took); len(a.took) == 1 {
		close(a.first)
	}
}

func measureCrowd(b *testing.B, options rookery.Options) {
	arrived := &arrivals{first: make(chan struct{})}
	options.Transport = memnet.New(1, memnet.Faults{})
	options.Handler = arrived.handle
	options.MemoryBudget = *crowdBudget
	before := heap()
	begin := time.Now()
	engine, err := rookery.Open(b.Context(), options)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := engine.Close(context.Background()); err != nil {
			b.Error(err)
		}
	}()
	opened := time.Since(begin)
	people := ordered(b, engine)
	n := int(*crowdFor / time.Duration(float64(time.Second) / *crowdRate))
	first := pickPair(b, people, 0)
	if err := first.send(b.Context(), time.Now()); err != nil {
		b.Fatal(err)
	}
	<-arrived.first
	b.ReportMetric(opened.Seconds(), "open-s")
	b.ReportMetric(time.Since(begin).Seconds(), "open-to-message-s")
	b.ReportMetric(float64(heap()-before)/float64(len(people)), "B/sleeping-identity")

	talks := make([]talk, n)
	for k := range talks {
		talks[k] = pickPair(b, people, k+1)
	}
	counts, cpu := engine.Counts(), processorTime()
	var all sync.WaitGroup
	start := time.Now()
	for k := range n {
		intended := start.Add(time.Duration(float64(k) / *crowdRate * float64(time.Second)))
		time.Sleep(time.Until(intended))
		all.Go(func() {
			if err := talks[k].send(b.Context(), intended); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	for engine.Counts().Acknowledged < counts.Acknowledged+uint64(n) && !b.Failed() {
		time.Sleep(time.Millisecond)
	}
	after := engine.Counts()
	b.ReportMetric(float64((processorTime()-cpu).Microseconds())/float64(n), "cpu-us/message")
	b.ReportMetric(float64(after.Wakes-counts.Wakes)/float64(n), "wakes/message")
	b.ReportMetric(float64(heap()-before)/float64(max(after.Awake, 1)), "B/awake-identity")
	arrived.mu.Lock()
	took := slices.Clone(arrived.took[1:])
	arrived.mu.Unlock()
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

// talk is one message to be sent.
type talk struct {
	from *rookery.Identity
	to   rookery.PublicKey
}

// pickPair gives the k-th message to be sent: far from those before it, so that nobody
// is used twice in a row. It wakes nobody.
func pickPair(b *testing.B, people []*rookery.Identity, k int) talk {
	b.Helper()
	t := talk{from: people[k*7919%len(people)]}
	skip := k % (2 * *crowdContacts)
	for contact, err := range t.from.Contacts(b.Context()) {
		if err != nil {
			b.Fatal(err)
		}
		if t.to = contact.Identity; skip == 0 {
			break
		}
		skip--
	}
	return t
}

func (t talk) send(ctx context.Context, intended time.Time) error {
	payload := make([]byte, payloadSize)
	binary.BigEndian.PutUint64(payload, uint64(intended.UnixNano()))
	_, err := t.from.Send(ctx, t.to, payload)
	return err
}

// ordered are the identities by their keys.
func ordered(b *testing.B, engine *rookery.Engine) []*rookery.Identity {
	b.Helper()
	people := engine.Identities()
	if len(people) != *crowd {
		b.Fatalf("the store has %d identities, want %d", len(people), *crowd)
	}
	slices.SortFunc(people, func(a, b *rookery.Identity) int {
		x, y := a.PublicKey(), b.PublicKey()
		return slices.Compare(x[:], y[:])
	})
	return people
}

// processorTime is what the process has used of it.
func processorTime() time.Duration {
	user, system := footprint.Processor()
	return user + system
}

// heap is what is in use of it, in bytes.
func heap() int64 {
	var m runtime.MemStats
	for range 3 { // pools give up what they hold in two
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
