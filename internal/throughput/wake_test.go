package throughput

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/internal/bench/measure"
	"github.com/rookery-im/rookery/internal/keypool"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/sealing"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

var (
	asleep   = flag.Int("asleep", 2000, "pairs of installations that are woken by one message")
	ballast  = flag.Int("ballast", 300_000, "further records in the store of those")
	inFlight = flag.Int("in-flight", 32, "messages to sleeping pairs at a time")
)

// BenchmarkWake is a message between two contacts of which nothing is in memory: the
// sender's bundle, contact and session are read from the store, the message is
// encrypted, committed and handed over; then the same at the receiver, who decrypts,
// commits and delivers; both leave memory again. It has no engine, inbox and network.
func BenchmarkWake(b *testing.B) {
	w := newSleepers(b, *asleep)
	b.Run("asleep", w.report)
	w.warm = true
	w.all(b, func(p *sleepingPair) error { return p.from.send(b.Context()) })
	b.Run("awake", w.report)
}

// sleepers are pairs with a session whose actors are not in memory.
type sleepers struct {
	system    *actors.System
	store     *reads
	committer *persistence.Committer
	pool      *keypool.Pool
	now       atomic.Int64 // ns
	serial    atomic.Uint64
	pairs     []*sleepingPair
	warm      bool // the actors stay
}

type sleepingPair struct {
	from, to sleeper
	arrived  chan error
}

// sleeper is one installation that knows one contact.
type sleeper struct {
	*sleepers
	key       x3dh.IdentityKey
	peer      x3dh.IdentityPublicKey
	name      string
	owner     persistence.OwnerID
	other     *sleeper // where its messages go
	pair      *sleepingPair
	counters  deviceactor.Counters
	coolDowns deviceactor.CoolDowns
	mu        sync.Mutex
	bundle    actors.Ref // the zero value: not in memory
	contact   actors.Ref
	awake     bool
}

// reads counts what is read from a store.
type reads struct {
	persistence.Store
	gets, scans atomic.Uint64
}

// Get implements persistence.Store.
func (r *reads) Get(ctx context.Context, name persistence.Name) ([]byte, error) {
	r.gets.Add(1)
	return r.Store.Get(ctx, name)
}

// Scan implements persistence.Store.
func (r *reads) Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error {
	r.scans.Add(1)
	return r.Store.Scan(ctx, prefix, fn)
}

// newSleepers makes pairs whose installations have existed for 15 days, and a
// conversation each; then it moves everything to a store on the disk that is
// larger than its cache.
func newSleepers(b *testing.B, n int) *sleepers {
	b.Helper()
	w := &sleepers{pool: keypool.New(rand.Reader)}
	w.system = actors.NewSystem(actors.Options{SpareTime: w.pool.MakeKey})
	b.Cleanup(func() {
		if err := w.system.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	})
	first := memory.New()
	w.use(b, first)
	const days = 15
	start := time.Now().Add(-days * 24 * time.Hour)
	w.now.Store(start.UnixNano())
	for range n {
		w.pairs = append(w.pairs, w.newPair(b))
	}
	for day := range days {
		w.now.Store(start.Add(time.Duration(day+1) * 24 * time.Hour).UnixNano())
		w.all(b, func(p *sleepingPair) error {
			for _, s := range []*sleeper{&p.from, &p.to} {
				if _, err := s.ownBundle(b.Context()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	w.all(b, func(p *sleepingPair) error { return p.meet(b.Context()) })
	if err := w.committer.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	disk := openSmallCache(b)
	w.move(b, first, disk)
	atRest(b)
	w.use(b, disk)
	return w
}

// openSmallCache opens a store as storeOptions has it.
func openSmallCache(b *testing.B) persistence.Store {
	b.Helper()
	dir := b.TempDir()
	store, err := sealing.Open(b.Context(), sealing.Options{
		Dir:       filepath.Join(dir, "store"),
		Protector: keyring.KeyFile(filepath.Join(dir, "key")),
		Records: func(dir string) (persistence.Store, error) {
			return pebble.Open(dir, pebble.Options{})
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	return store
}

// atRest waits until the store has nothing left to do in the background.
func atRest(b *testing.B) {
	b.Helper()
	const look = 250 * time.Millisecond
	for range 480 {
		f, err := measure.Take(1, func() error {
			time.Sleep(look)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		if f.Processor < look/20 {
			return
		}
	}
}

// use makes a store the one that everything is kept in.
func (w *sleepers) use(b *testing.B, store persistence.Store) {
	b.Helper()
	w.store = &reads{Store: store}
	committer := persistence.NewCommitter(w.store, persistence.CommitterOptions{})
	w.committer = committer
	b.Cleanup(func() {
		if err := committer.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
}

// move copies all records, and adds others between them.
func (w *sleepers) move(b *testing.B, from, to persistence.Store) {
	b.Helper()
	batch := persistence.Batch{}
	flush := func(least int) error {
		if len(batch.Records) < least || len(batch.Records) == 0 {
			return nil
		}
		err := to.Apply(b.Context(), batch)
		batch.Records = batch.Records[:0]
		return err
	}
	const together = 4096
	kinds := []persistence.Kind{persistence.KindContact, persistence.KindSession, persistence.KindPrekey}
	for i := range *ballast {
		var owner [16]byte
		var peer [33]byte
		value := make([]byte, 300)
		_, _ = rand.Read(owner[:])
		_, _ = rand.Read(peer[:])
		_, _ = rand.Read(value)
		batch.Records = append(batch.Records, persistence.Record{
			Name: persistence.NewName(kinds[i%len(kinds)], owner[:], peer[:]), Value: value,
		})
		if err := flush(together); err != nil {
			b.Fatal(err)
		}
	}
	err := from.Scan(b.Context(), "", func(name persistence.Name, value []byte) error {
		if name.Kind() != persistence.KindFence {
			batch.Records = append(batch.Records, persistence.Record{Name: name, Value: append([]byte{}, value...)})
		}
		return flush(together)
	})
	if err == nil {
		err = flush(1)
	}
	if err != nil {
		b.Fatal(err)
	}
}

func (w *sleepers) newPair(b *testing.B) *sleepingPair {
	b.Helper()
	p := &sleepingPair{arrived: make(chan error, 1)}
	for _, s := range []*sleeper{&p.from, &p.to} {
		key, err := x3dh.GenerateIdentity(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		public := key.Public()
		var id [16]byte
		if _, err := rand.Read(id[:]); err != nil {
			b.Fatal(err)
		}
		s.sleepers, s.key, s.pair = w, key, p
		s.name = fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
		s.owner = persistence.NewOwnerID(public[:], s.name)
	}
	p.from.peer, p.to.peer = p.to.key.Public(), p.from.key.Public()
	p.from.other, p.to.other = &p.to, &p.from
	return p
}

// all does something for all pairs, many at a time.
func (w *sleepers) all(b *testing.B, do func(*sleepingPair) error) {
	b.Helper()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range *inFlight {
		workers.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(w.pairs) && !b.Failed(); i = next.Add(1) - 1 {
				if err := do(w.pairs[i]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	workers.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// meet exchanges bundles, and messages until the session is in use.
func (p *sleepingPair) meet(ctx context.Context) error {
	for _, s := range []*sleeper{&p.from, &p.to} {
		bundle, err := s.other.ownBundle(ctx)
		if err != nil {
			return err
		}
		_, err = actors.Ask(ctx, s.wake(), func(r actors.Reply[struct{}]) any {
			return deviceactor.TakeBundle{Reply: r, Bundle: bundle, ByHand: true}
		})
		if err != nil {
			return err
		}
	}
	for _, s := range []*sleeper{&p.from, &p.to, &p.from} {
		if err := s.send(ctx); err != nil {
			return err
		}
	}
	return p.sleep(ctx)
}

// sleep lets both ends leave memory.
func (p *sleepingPair) sleep(ctx context.Context) error {
	if err := p.from.sleep(ctx); err != nil {
		return err
	}
	return p.to.sleep(ctx)
}

func (s *sleeper) ownBundle(ctx context.Context) (wire.Bundle, error) {
	s.wake()
	p, err := actors.Ask(ctx, s.bundle, func(r actors.Reply[bundleactor.Published]) any { return bundleactor.GetBundle{Reply: r} })
	if err != nil {
		return wire.Bundle{}, err
	}
	return p.Bundle, s.sleep(ctx)
}

// wake starts the actors of the installation with the first use.
func (s *sleeper) wake() actors.Ref {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.awake {
		return s.contact
	}
	fence := persistence.Fence{Owner: s.owner}
	stream, keys := s.committer.NewStream(fence), s.committer.NewStream(fence)
	name := fmt.Sprint(s.serial.Add(1))
	var err error
	s.bundle, err = s.system.Spawn("bundle-"+name, func() actors.Actor {
		return bundleactor.New(bundleactor.Config{
			Identity: &s.key, Installation: s.name, Owner: s.owner, Reader: s.committer, Stream: keys,
			Random: s.pool, Now: s.now.Load, Schedule: bundleactor.DefaultSchedule(),
		})
	})
	if err != nil {
		panic(err)
	}
	s.contact, err = s.system.Spawn("contact-"+name, func() actors.Actor {
		return deviceactor.New(&deviceactor.Config{
			Identity: &s.key, Owner: s.owner,
			View:   deviceactor.View{Own: s.key.Public(), Installation: s.name, MaxInstallations: 3},
			Host:   sleeperHost{s, s.bundle},
			Reader: s.committer, Random: s.pool,
			Counters: &s.counters, CoolDowns: &s.coolDowns, Limits: ratchet.DeployedLimits(), IdleAfter: time.Hour,
		}, s.peer, stream)
	})
	if err != nil {
		panic(err)
	}
	s.awake = true
	return s.contact
}

func (s *sleeper) sleep(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.awake {
		return nil
	}
	s.awake = false
	if err := s.system.Stop(ctx, s.contact); err != nil {
		return err
	}
	return s.system.Stop(ctx, s.bundle)
}

// send sends a message and waits until the other side has it.
func (s *sleeper) send(ctx context.Context) error {
	_, err := actors.Ask(ctx, s.wake(), func(r actors.Reply[deviceactor.Receipt]) any {
		return deviceactor.Send{Reply: r, Payload: make([]byte, payloadSize)}
	})
	if err != nil {
		return err
	}
	return <-s.pair.arrived
}

// turn sends so many messages, each in the next of the pairs.
func (w *sleepers) turn(b *testing.B, messages int) measure.Figures {
	b.Helper()
	f, err := measure.Take(messages, func() error {
		var next atomic.Int64
		var senders sync.WaitGroup
		for sender := range *inFlight {
			senders.Go(func() {
				// Each has pairs of his own: a message finds its pair at rest.
				for i := sender; next.Add(1) <= int64(messages); i += *inFlight {
					if i >= len(w.pairs) {
						i = sender
					}
					p := w.pairs[i]
					if err := p.from.send(b.Context()); err != nil {
						b.Error(err)
						return
					}
					if w.warm {
						continue
					}
					if err := p.sleep(b.Context()); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		senders.Wait()
		return nil
	})
	if err != nil {
		b.Error(err)
	}
	if b.Failed() {
		b.FailNow()
	}
	return f
}

// report measures b.N messages.
func (w *sleepers) report(b *testing.B) {
	gets, scans := w.store.gets.Load(), w.store.scans.Load()
	b.ResetTimer()
	f := w.turn(b, b.N)
	b.StopTimer()
	n := float64(b.N)
	b.ReportMetric(float64(f.Processor.Microseconds())/n, "cpu-us/message")
	b.ReportMetric(n/f.Elapsed.Seconds(), "messages/s")
	b.ReportMetric(float64(f.Allocations)/n, "allocs/message")
	b.ReportMetric(float64(f.Allocated)/n, "B/message")
	b.ReportMetric(float64(w.store.gets.Load()-gets)/n, "gets/message")
	b.ReportMetric(float64(w.store.scans.Load()-scans)/n, "scans/message")
}
