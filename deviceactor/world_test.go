package deviceactor

import (
	"context"
	"crypto/sha256"
	"fmt"
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
	"github.com/rookery-im/rookery/x3dh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; reaching it is a failure.
const patience = 20 * time.Second

// noon is a time of day at which bundles are believed.
const noon = int64(1_750_000_000_000_000_000)

// seeded gives the same bytes in every run: a test that fails fails again.
func seeded(seed string) *rand.ChaCha8 { return rand.NewChaCha8(sha256.Sum256([]byte(seed))) }

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

	leftOver atomic.Int64 // how often a contact left messages over
	mu       sync.Mutex
	devices  []Contact // our own other devices, each time they changed
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

func (n *node) changed(own Contact) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.devices = append(n.devices, own)
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
			OwnDevices: n.changed, LeftOver: func() { n.leftOver.Add(1) },
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
