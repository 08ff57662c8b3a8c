package deviceactor

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; reaching it is a failure.
const patience = 20 * time.Second

// noon is a time of day at which bundles are believed.
const noon = int64(1_750_000_000_000_000_000)

// seeded gives the same bytes in every run: a test that fails fails again.
func seeded(seed string) *rand.ChaCha8 { return rand.NewChaCha8(sha256.Sum256([]byte(seed))) }

// disk is a store that can be watched, stopped and broken.
type disk struct {
	persistence.Store
	gate sync.RWMutex // held for writing: nothing becomes durable

	mu      sync.Mutex
	batches []persistence.Batch
	fails   func(persistence.Batch) bool
}

var errDisk = errors.New("disk on fire")

func (d *disk) Apply(ctx context.Context, batch persistence.Batch) error {
	d.gate.RLock()
	defer d.gate.RUnlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fails != nil && d.fails(batch) {
		return errDisk
	}
	d.batches = append(d.batches, batch)
	return d.Store.Apply(ctx, batch)
}

func (d *disk) failing(fails func(persistence.Batch) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = fails
}

func always(persistence.Batch) bool { return true }

// since gives the batches from the n-th on.
func (d *disk) since(n int) []persistence.Batch {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]persistence.Batch{}, d.batches[n:]...)
}

// hash is everything the store holds.
func (d *disk) hash(t *testing.T) [sha256.Size]byte {
	t.Helper()
	h := sha256.New()
	err := d.Scan(t.Context(), "", func(name persistence.Name, value []byte) error {
		fmt.Fprintf(h, "%d %s %d %s\n", len(name), string(name), len(value), value)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func (d *disk) count(t *testing.T, kind persistence.Kind) int {
	t.Helper()
	n := 0
	err := d.Scan(t.Context(), persistence.NewName(kind), func(persistence.Name, []byte) error { n++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// moody is a randomness that can be slow, or panic when it is told to.
type moody struct {
	mu     sync.Mutex
	from   io.Reader
	slow   bool
	reads  uint64
	panics atomic.Bool
}

// read is how often it was asked.
func (m *moody) read() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

func (m *moody) Read(p []byte) (int, error) {
	if m.panics.CompareAndSwap(true, false) {
		panic("no randomness")
	}
	m.mu.Lock()
	n, err := m.from.Read(p)
	m.reads++
	slow := m.slow
	m.mu.Unlock()
	if slow {
		time.Sleep(time.Duration(p[0]) * 5 * time.Microsecond)
	}
	return n, err
}

// held is a Reader that waits before it scans what is held back.
type held struct {
	Reader
	mu    sync.Mutex
	names map[persistence.Name]chan struct{}
}

func (h *held) Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error {
	h.mu.Lock()
	wait := h.names[prefix]
	h.mu.Unlock()
	if wait != nil {
		<-wait
	}
	return h.Reader.Scan(ctx, prefix, fn)
}

// line is a transport that keeps what is published.
type line struct {
	mu      sync.Mutex
	sent    []*wire.Message
	refuses bool
	publish func() // called before a publication
}

func (l *line) Publish(e transport.Envelope, accepted func(error)) {
	if l.publish != nil {
		l.publish()
	}
	l.mu.Lock()
	refuses := l.refuses
	m, err := wire.Decode(e.Payload)
	if err != nil {
		panic(err)
	}
	l.sent = append(l.sent, m)
	l.mu.Unlock()
	if refuses {
		accepted(errors.New("the network is down"))
		return
	}
	accepted(nil)
}

func (l *line) Subscribe(transport.Topic, transport.Deliver) (func(), error) {
	return nil, transport.ErrClosed
}

func (l *line) Close() error { return nil }

func (l *line) refusing(refuses bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuses = refuses
}

func (l *line) isRefusing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refuses
}

// take gives what was published since the last time.
func (l *line) take() []*wire.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := l.sent
	l.sent = nil
	return sent
}

// world is a set of installations on one clock.
type world struct {
	t      *testing.T
	system *actors.System
	now    atomic.Int64
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, system: actors.NewSystem(actors.Options{})}
	w.now.Store(noon)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.system.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return w
}

// node is one hosted installation with its contacts, on a store of its own.
type node struct {
	*world
	name      string
	key       *x3dh.IdentityKey
	owner     persistence.OwnerID
	disk      *disk
	committer *persistence.Committer
	reader    *held
	random    *moody
	line      *line
	counters  Counters
	bundle    Teller
	bundles   actors.Ref
	contacts  map[x3dh.IdentityPublicKey]actors.Ref

	mu       sync.Mutex
	events   []Event
	delivers func(Event) // called with each event, before it is noted
}

func (w *world) newKey(seed string) *x3dh.IdentityKey {
	w.t.Helper()
	key, err := x3dh.GenerateIdentity(seeded("identity " + seed))
	if err != nil {
		w.t.Fatal(err)
	}
	return &key
}

// host starts an installation of that name with an identity of its own.
func (w *world) host(name string) *node { return w.hostDevice(w.newKey(name), name) }

func (w *world) hostDevice(key *x3dh.IdentityKey, name string) *node {
	w.t.Helper()
	public := key.Public()
	n := &node{
		world: w, name: name, key: key,
		owner:    persistence.NewOwnerID(public[:], name),
		disk:     &disk{Store: memory.New()},
		random:   &moody{from: seeded("randomness " + name)},
		line:     &line{},
		contacts: make(map[x3dh.IdentityPublicKey]actors.Ref),
	}
	n.committer = persistence.NewCommitter(n.disk, persistence.CommitterOptions{})
	n.reader = &held{Reader: n.committer, names: make(map[persistence.Name]chan struct{})}
	stream := n.committer.NewStream(persistence.Fence{Owner: n.owner})
	random := &moody{from: seeded("prekeys " + name)}
	ref, err := w.system.Spawn(fmt.Sprintf("bundle of %s %v", name, n.owner), func() actors.Actor {
		return bundleactor.New(bundleactor.Config{
			Identity: key, Installation: name, Owner: n.owner, Reader: n.committer, Stream: stream,
			Random: random, Now: w.now.Load, Schedule: bundleactor.DefaultSchedule(),
		})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	n.bundle, n.bundles = ref, ref
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for _, contact := range n.contacts {
			if err := w.system.Stop(ctx, contact); err != nil {
				w.t.Error(err)
			}
		}
		if err := w.system.Stop(ctx, ref); err != nil {
			w.t.Error(err)
		}
		if err := n.committer.Close(ctx); err != nil {
			w.t.Error(err)
		}
	})
	return n
}

func (n *node) deliver(e Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.delivers != nil {
		n.delivers(e)
	}
	n.events = append(n.events, e)
}

// received are the payloads delivered so far.
func (n *node) received() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var payloads []string
	for _, e := range n.events {
		if m, ok := e.(MessageReceived); ok {
			payloads = append(payloads, string(m.Payload))
		}
	}
	return payloads
}

// contact is the actor for that peer, started with its first use.
func (n *node) contact(peer x3dh.IdentityPublicKey) actors.Ref {
	n.t.Helper()
	if ref, ok := n.contacts[peer]; ok {
		return ref
	}
	stream := n.committer.NewStream(persistence.Fence{Owner: n.owner})
	ref, err := n.system.Spawn(fmt.Sprintf("contact %v of %s %v", peer, n.name, n.owner), func() actors.Actor {
		return New(Config{
			Identity: n.key, Installation: n.name, Owner: n.owner, Peer: peer,
			Reader: n.reader, Stream: stream, Bundle: n.bundle, Transport: n.line,
			Random: n.random, Now: n.now.Load, Deliver: n.deliver, Counters: &n.counters,
			MaxInstallations: 3, Limits: ratchet.DeployedLimits(),
		})
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.contacts[peer] = ref
	return ref
}

// restart stops a contact; its next use starts it from the store.
func (n *node) restart(peer x3dh.IdentityPublicKey) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	if err := n.system.Stop(ctx, n.contact(peer)); err != nil {
		n.t.Fatal(err)
	}
	delete(n.contacts, peer)
}

func ask[T any](t *testing.T, to actors.Ref, build func(actors.Reply[T]) any) (T, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return actors.Ask(ctx, to, build)
}

func (n *node) trySend(to *node, payload string) (Receipt, error) {
	n.t.Helper()
	return ask(n.t, n.contact(to.key.Public()), func(r actors.Reply[Receipt]) any {
		return Send{Reply: r, Payload: []byte(payload)}
	})
}

// send gives the message that was published; the outbox is empty then, unless
// the network is down.
func (n *node) send(to *node, payload string) *wire.Message {
	n.t.Helper()
	if _, err := n.trySend(to, payload); err != nil {
		n.t.Fatalf("%s sends %q: %v", n.name, payload, err)
	}
	n.settle(to)
	sent := n.line.take()
	if len(sent) != 1 {
		n.t.Fatalf("%s sends %q: %d messages published", n.name, payload, len(sent))
	}
	if !n.line.isRefusing() {
		await(n.t, "an empty outbox", func() bool { return n.disk.count(n.t, persistence.KindOutbox) == 0 })
	}
	return sent[0]
}

func (n *node) tryReceive(from *node, m *wire.Message) error {
	n.t.Helper()
	_, err := ask(n.t, n.contact(from.key.Public()), func(r actors.Reply[struct{}]) any {
		return Receive{Reply: r, Message: m, Hash: sha256.Sum256(m.Encode())}
	})
	return err
}

func (n *node) receive(from *node, m *wire.Message) {
	n.t.Helper()
	if err := n.tryReceive(from, m); err != nil {
		n.t.Fatalf("%s receives from %s: %v", n.name, from.name, err)
	}
}

// known is what is known of the contact, after what it has in hand.
func (n *node) known(peer *node) Contact {
	n.t.Helper()
	c, err := ask(n.t, n.contact(peer.key.Public()), func(r actors.Reply[Contact]) any { return GetContact{r} })
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

func (n *node) settle(peer *node) { n.t.Helper(); n.known(peer) }

func (n *node) ownBundle() wire.Bundle {
	n.t.Helper()
	p, err := ask(n.t, n.bundles, func(r actors.Reply[bundleactor.Published]) any { return bundleactor.GetBundle{Reply: r} })
	if err != nil {
		n.t.Fatal(err)
	}
	return p.Bundle
}

func (n *node) tryTake(from *node, b wire.Bundle) error {
	n.t.Helper()
	_, err := ask(n.t, n.contact(from.key.Public()), func(r actors.Reply[struct{}]) any { return TakeBundle{r, b} })
	return err
}

// meets takes the bundles of all these devices.
func (n *node) meets(devices ...*node) {
	n.t.Helper()
	for _, d := range devices {
		if err := n.tryTake(d, d.ownBundle()); err != nil {
			n.t.Fatal(err)
		}
	}
}

// talk makes both sides answer each other, twice.
func talk(a, b *node) {
	a.t.Helper()
	a.meets(b)
	for i := range 2 {
		b.receive(a, a.send(b, fmt.Sprint("to ", b.name, i)))
		a.receive(b, b.send(a, fmt.Sprint("to ", a.name, i)))
	}
}

// wait takes one answer, in time.
func wait[T any](t *testing.T, answers <-chan T) T {
	t.Helper()
	select {
	case answer := <-answers:
		return answer
	case <-time.After(patience):
		t.Fatal("somebody is not answered")
		panic("not reached")
	}
}

// await waits until the condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain for " + what)
		}
	}
}
