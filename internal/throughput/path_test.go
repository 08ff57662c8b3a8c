package throughput

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	memnet "github.com/rookery-im/rookery/transport/memory"
)

// payloadSize is in bytes.
const payloadSize = 100

// BenchmarkManyPairs is the whole path, for pairs that talk at the same time:
// encrypt, commit, publish, decrypt, commit, deliver to the handler, take its
// acknowledgement, commit that. It is compared with the same messages over the
// bare ratchet.
func BenchmarkManyPairs(b *testing.B) {
	for _, c := range []struct {
		inFlight int
		wanted   float64
	}{{32, 0.20}, {1, 0.10}} {
		b.Run(fmt.Sprint("in_flight=", c.inFlight), func(b *testing.B) {
			w := newWorld(b, *pairs)
			bare := newBarePairs(b, *pairs)
			comparison{
				title:  fmt.Sprintf("%d pairs, %d in flight each", *pairs, c.inFlight),
				with:   "bare ratchet",
				wanted: c.wanted,
				engine: func() figures { return w.talk(b, *perPair, c.inFlight) },
				other:  func() figures { return bare.talk(b, *perPair, c.inFlight) },
			}.run(b)
		})
	}
}

// BenchmarkOnePair is the whole path for one pair alone, compared with one
// synced commit of one record after the other.
func BenchmarkOnePair(b *testing.B) {
	w := newWorld(b, 1)
	store := openStore(b)
	comparison{
		title:  fmt.Sprintf("1 pair, %d messages", *burst),
		with:   "one synced commit after another",
		wanted: 5,
		engine: func() figures { return w.talk(b, *burst, 2048) },
		other: func() figures {
			const commits = 2000
			name := persistence.NewName(persistence.KindSession, []byte("one"))
			value := make([]byte, 300)
			return measure(b, commits, func() {
				for range commits {
					err := store.Apply(b.Context(), persistence.Batch{Records: []persistence.Record{{Name: name, Value: value}}})
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		},
	}.run(b)
}

// world is an engine with pairs of identities that have sessions.
type world struct {
	engine *rookery.Engine
	pairs  []*pair
	by     sync.Map // the receiving *rookery.Identity -> *pair
}

type pair struct {
	from, to *rookery.Identity
	arrived  chan struct{}
}

func newWorld(b *testing.B, n int) *world {
	b.Helper()
	w := &world{}
	options := storeOptions(b)
	options.Transport = memnet.New(1, memnet.Faults{})
	options.Handler = func(e rookery.Event) {
		if m, ok := e.(rookery.Message); ok {
			m.Ack()
			if p, ok := w.by.Load(m.Identity); ok {
				p.(*pair).arrived <- struct{}{}
			}
		}
	}
	engine, err := rookery.Open(b.Context(), options)
	if err != nil {
		b.Fatal(err)
	}
	w.engine = engine
	b.Cleanup(func() {
		if err := engine.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	var all sync.WaitGroup
	for range n {
		p := &pair{arrived: make(chan struct{}, 4096)}
		w.pairs = append(w.pairs, p)
		all.Go(func() { w.meet(b, p) })
	}
	all.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return w
}

// meet makes a pair and its session. The last message each way makes a DH
// ratchet step; from then on messages go one way, and none does.
func (w *world) meet(b *testing.B, p *pair) {
	ctx := b.Context()
	err := func() (err error) {
		if p.from, err = w.engine.CreateIdentity(ctx, rookery.NewIdentity{}); err != nil {
			return err
		}
		if p.to, err = w.engine.CreateIdentity(ctx, rookery.NewIdentity{}); err != nil {
			return err
		}
		w.by.Store(p.from, p)
		w.by.Store(p.to, p)
		for _, known := range [][2]*rookery.Identity{{p.from, p.to}, {p.to, p.from}} {
			bundle, err := known[1].Bundle(ctx)
			if err != nil {
				return err
			}
			if err := known[0].TakeBundle(ctx, known[1].PublicKey(), bundle); err != nil {
				return err
			}
		}
		for _, turn := range [][2]*rookery.Identity{{p.from, p.to}, {p.to, p.from}, {p.from, p.to}} {
			if _, err := turn[0].Send(ctx, turn[1].PublicKey(), []byte("hello")); err != nil {
				return err
			}
			<-p.arrived
		}
		return nil
	}()
	if err != nil {
		b.Error(err)
	}
}

// talk sends so many messages in each pair. One is in flight until the handler
// has it, and the turn ends when all acknowledgements are durable.
func (w *world) talk(b *testing.B, perPair, inFlight int) figures {
	b.Helper()
	before := w.engine.Counts()
	f := measure(b, perPair*len(w.pairs), func() {
		var all sync.WaitGroup
		for _, p := range w.pairs {
			for sender := range min(inFlight, perPair) {
				all.Go(func() {
					payload := make([]byte, payloadSize)
					for i := sender; i < perPair; i += inFlight {
						if _, err := p.from.Send(b.Context(), p.to.PublicKey(), payload); err != nil {
							b.Error(err)
							return
						}
						<-p.arrived
					}
				})
			}
		}
		all.Wait()
		for w.engine.Counts().Acknowledged < before.Acknowledged+uint64(perPair*len(w.pairs)) && !b.Failed() {
			time.Sleep(100 * time.Microsecond)
		}
	})
	if b.Failed() {
		b.FailNow()
	}
	after := w.engine.Counts()
	if steps := after.RatchetSteps - before.RatchetSteps; steps != 0 {
		b.Fatalf("%d DH ratchet steps, which the bare ratchet does not make", steps)
	}
	f.counts = rookery.Counts{
		Batches: after.Batches - before.Batches,
		Commits: after.Commits - before.Commits,
		Records: after.Records - before.Records,
	}
	return f
}
