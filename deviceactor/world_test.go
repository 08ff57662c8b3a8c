package deviceactor

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
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

// TestMain looks for goroutines that stay.
func TestMain(m *testing.M) { goleak.VerifyTestMain(patient{m}) }

// patient gives goroutines that are on their way out the time that a busy machine
// needs for them: goleak by itself looks for less than half a second.
type patient struct{ *testing.M }

func (p patient) Run() int {
	code := p.M.Run()
	for end := time.Now().Add(patience); code == 0 && goleak.Find() != nil && time.Now().Before(end); {
	}
	return code
}

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
	hosted int // installations so far, to tell them apart
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
	serial    int
	key       *x3dh.IdentityKey
	owner     persistence.OwnerID
	disk      *disk
	committer *persistence.Committer
	reader    *held
	random    *moody
	line      *line
	counters  Counters
	coolDowns CoolDowns
	outboxes  Outboxes
	bundle    teller
	bundles   actors.Ref

	requests   RequestPolicy // as of the contact's start
	devicesNew DevicePolicy
	leftOver   atomic.Int64 // how often a contact left messages over
	repeated   atomic.Int64 // messages that were read before
	forgotten  atomic.Int64 // contacts
	lookedUp   atomic.Int64 // how often a contact had its bundle looked up
	lookUpWait time.Duration
	keepUnsent time.Duration // as of the start of the contact
	siblings   atomic.Bool   // other devices of ours get copies
	crashes    atomic.Bool   // nobody is told of copies
	mu         sync.Mutex
	contacts   map[x3dh.IdentityPublicKey]actors.Ref
	devices    []Contact // our own other devices, each time they changed
	events     []Event
	delivers   func(Event) // called with each event, before it is noted
}

// view is how the contacts' rules see the node.
func (n *node) view() View {
	return View{
		Own: n.key.Public(), Installation: n.name, MaxInstallations: 3,
		Requests: n.requests, Devices: n.devicesNew,
	}
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
	w.hosted++
	n := &node{
		world: w, name: name, serial: w.hosted, key: key,
		owner:    persistence.NewOwnerID(public[:], name),
		disk:     &disk{Store: memory.New()},
		random:   &moody{from: seeded(fmt.Sprint("randomness ", w.hosted, name))},
		line:     &line{},
		contacts: make(map[x3dh.IdentityPublicKey]actors.Ref),
	}
	n.outboxes.Know(nil)
	n.committer = persistence.NewCommitter(n.disk, persistence.CommitterOptions{})
	n.reader = &held{Reader: n.committer, names: make(map[persistence.Name]chan struct{})}
	stream := n.committer.NewStream(persistence.Fence{Owner: n.owner})
	random := &moody{from: seeded(fmt.Sprint("prekeys ", w.hosted, name))}
	ref, err := w.system.Spawn(fmt.Sprintf("bundle of %s %d", name, n.serial), func() actors.Actor {
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
	approved := slices.ContainsFunc(own.Installations, func(in Installation) bool { return in.Enabled })
	n.siblings.Store(approved)
}

// copyOut is told that a copy is durable; a node that crashes is told nothing.
func (n *node) copyOut(id MessageID) {
	n.mu.Lock()
	own, ok := n.contacts[n.key.Public()]
	n.mu.Unlock()
	if ok && !n.crashes.Load() {
		own.Tell(MakeCopy{ID: id})
	}
}

// reported are the events of one type so far.
func reported[E Event](n *node) []E {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []E
	for _, e := range n.events {
		if e, ok := e.(E); ok {
			out = append(out, e)
		}
	}
	return out
}

// alarms are the causes of the alarms of a contact so far.
func (n *node) alarms(of *node) []error {
	var out []error
	for _, a := range reported[Alarm](n) {
		if a.Identity == of.key.Public() {
			out = append(out, a.Err)
		}
	}
	return out
}

// received are the payloads delivered so far.
func (n *node) received() []string {
	var payloads []string
	for _, m := range reported[MessageReceived](n) {
		payloads = append(payloads, string(m.Payload))
	}
	return payloads
}

// contact is the actor for that peer, started with its first use.
func (n *node) contact(peer x3dh.IdentityPublicKey) actors.Ref {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if ref, ok := n.contacts[peer]; ok {
		return ref
	}
	view, host := n.view(), nodeHost{n, n.bundle}
	stream := n.committer.NewStream(persistence.Fence{Owner: n.owner})
	ref, err := n.system.Spawn(fmt.Sprintf("contact %v of %s %d", peer, n.name, n.serial), func() actors.Actor {
		return New(&Config{
			Identity: n.key, View: view, Owner: n.owner, Host: host, Reader: n.reader, Random: n.random,
			KeepUnsent: n.keepUnsent, Outboxes: &n.outboxes, LookUpWait: n.lookUpWait,
			Counters: &n.counters, CoolDowns: &n.coolDowns, Limits: ratchet.DeployedLimits(),
		}, peer, stream)
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
	n.mu.Lock()
	defer n.mu.Unlock()
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
		return Receive{Reply: r, Message: m, Encoded: m.Encode()}
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

// stored is how many installations of a contact are durable.
func (n *node) stored(peer *node) int {
	n.t.Helper()
	c, err := LoadContact(n.t.Context(), n.disk, n.owner, peer.key.Public())
	if err != nil {
		n.t.Error(err)
	}
	return len(c.Installations)
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

func (n *node) findPreKey(public x3dh.PreKeyPublic) *bundleactor.Found {
	n.t.Helper()
	found, err := ask(n.t, n.bundles, func(r actors.Reply[*bundleactor.Found]) any {
		return bundleactor.FindPreKey{Reply: r, Public: public}
	})
	if err != nil || found == nil {
		n.t.Fatalf("prekey of %s: %v", n.name, err)
	}
	return found
}

func (n *node) tryTake(from *node, b wire.Bundle) error {
	n.t.Helper()
	_, err := ask(n.t, n.contact(from.key.Public()), func(r actors.Reply[struct{}]) any { return TakeBundle{Reply: r, Bundle: b, ByHand: true} })
	return err
}

// enable approves or disables an installation of the contact.
func (n *node) enable(peer *node, installation string, enabled bool) error {
	n.t.Helper()
	_, err := ask(n.t, n.contact(peer.key.Public()), func(r actors.Reply[struct{}]) any {
		return SetEnabled{Reply: r, Installation: installation, Enabled: enabled}
	})
	return err
}

// advertised is the one message that a remedy has published.
func (n *node) advertised() *wire.Message {
	n.t.Helper()
	var sent []*wire.Message
	await(n.t, n.name+"'s bundle", func() bool { sent = append(sent, n.line.take()...); return len(sent) > 0 })
	if len(sent) != 1 {
		n.t.Fatalf("%s published %d messages", n.name, len(sent))
	}
	return sent[0]
}

// unasked takes off the line what remedies have published, also those that are
// still waiting for the bundle.
func (n *node) unasked(contacts ...*node) []*wire.Message {
	n.t.Helper()
	settle := func() {
		for _, c := range contacts {
			n.settle(c)
		}
	}
	settle()
	n.ownBundle() // what the bundle actor was asked before is answered
	settle()
	return n.line.take()
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
