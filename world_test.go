package rookery_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/leakscan"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/sealing"
	"github.com/rookery-im/rookery/transport"
)

// patience is how long anything may take before a test gives up on it.
const patience = time.Minute

// backend is a kind of store that outlives an engine.
type backend struct {
	name string
	// make gives what opens an engine on one such store, and what looks into
	// it while no engine has it open.
	make func(t *testing.T) (configure func(*rookery.Options), look func() persistence.Store)
}

var backends = []backend{
	{"pebble", func(t *testing.T) (func(*rookery.Options), func() persistence.Store) {
		return inDirectory(filepath.Join(t.TempDir(), "store")).make(t)
	}},
	{"memory", func(t *testing.T) (func(*rookery.Options), func() persistence.Store) {
		return on(lasting{memstore.New()}).make(t)
	}},
}

// inDirectory is a backend on a given directory.
func inDirectory(dir string) backend {
	return backend{"directory", func(t *testing.T) (func(*rookery.Options), func() persistence.Store) {
		return func(o *rookery.Options) { o.Dir, o.Unlock = dir, keyOf(dir) }, func() persistence.Store {
			store, err := openSealed(dir)
			if err != nil {
				t.Fatal(err)
			}
			return store
		}
	}}
}

// keyOf is the key file of the store in a directory.
func keyOf(dir string) rookery.Protector { return rookery.KeyFile(dir + ".key") }

// openSealed opens the store in a directory as an engine does.
func openSealed(dir string) (persistence.Store, error) {
	return sealing.Open(context.Background(), sealing.Options{
		Dir: dir, Protector: keyOf(dir), Bound: -1,
		Records: func(dir string) (persistence.Store, error) { return pebble.Open(dir, pebble.Options{}) },
	})
}

// on is a backend on a given store.
func on(store persistence.Store) backend {
	return backend{"given", func(*testing.T) (func(*rookery.Options), func() persistence.Store) {
		return func(o *rookery.Options) { o.Store = store }, func() persistence.Store { return store }
	}}
}

// lasting is a store in memory that an engine's Close leaves alone.
type lasting struct{ persistence.Store }

func (lasting) Close() error { return nil }

// bag is a handler that keeps what happened.
type bag struct {
	mu      sync.Mutex
	events  []rookery.Event
	changed chan struct{} // closed and replaced with each event
	keep    bool          // messages are not acknowledged
	leaks   *leakscan.Scanner
}

func newBag() *bag { return &bag{changed: make(chan struct{})} }

func (b *bag) handle(e rookery.Event) {
	if b.leaks != nil {
		if m, ok := e.(rookery.Message); ok {
			b.leaks.Text(m.Payload)
		}
		b.leaks.Value("an event", e)
	}
	b.mu.Lock()
	b.events = append(b.events, e)
	close(b.changed)
	b.changed = make(chan struct{})
	keep := b.keep
	b.mu.Unlock()
	if m, ok := e.(interface{ Ack() }); ok && !keep {
		m.Ack()
	}
}

// keepAll stops the bag from acknowledging.
func (b *bag) keepAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keep = true
}

func (b *bag) empty() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = nil
}

func (b *bag) all() []rookery.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.events)
}

// await waits until the events satisfy done.
func (b *bag) await(t *testing.T, what string, done func([]rookery.Event) bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		b.mu.Lock()
		events, changed := slices.Clone(b.events), b.changed
		b.mu.Unlock()
		if done(events) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			logEvents(t, events)
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

func logEvents(t *testing.T, events []rookery.Event) {
	t.Helper()
	for _, e := range events {
		t.Logf("event: %T %v", e, describe(e))
	}
}

func describe(e rookery.Event) any {
	switch e := e.(type) {
	case rookery.Refused:
		return e.Err
	case rookery.Message:
		return string(e.Payload)
	}
	return e
}

// these are the events of one type that one installation got.
func these[E rookery.Event](events []rookery.Event, at device) []E {
	var out []E
	for _, e := range events {
		if e, ok := e.(E); ok && e.To().PublicKey() == at.key && e.To().InstallationID() == at.installation {
			out = append(out, e)
		}
	}
	return out
}

// awaitThese waits until an installation got that many events of one type, and
// gives the last of them.
func awaitThese[E rookery.Event](w *world, n int, at device) E {
	w.t.Helper()
	var got []E
	w.bag.await(w.t, fmt.Sprintf("%d of %T", n, *new(E)), func(events []rookery.Event) bool {
		got = these[E](events, at)
		return len(got) >= n
	})
	return got[n-1]
}

// messages are those among the events that one installation received.
func messages(events []rookery.Event, at device) []rookery.Message {
	return these[rookery.Message](events, at)
}

func refusals(events []rookery.Event) []rookery.Refused {
	var out []rookery.Refused
	for _, e := range events {
		if r, ok := e.(rookery.Refused); ok {
			out = append(out, r)
		}
	}
	return out
}

// device names a hosted installation over all engines that host it in turn.
type device struct {
	key          rookery.PublicKey
	installation string
}

// world is an engine on a store that can be opened again, with its network
// and its application. It has no ticks but those of sweep.
type world struct {
	t         *testing.T
	air       *air
	bag       *bag
	leaks     *leakscan.Scanner // of the log, the events and the measurements; nil: nobody looks
	configure []func(*rookery.Options)
	look      func() persistence.Store
	measured  *meter // unless the test measures itself
	engine    *rookery.Engine
	ahead     atomic.Int64 // ns, of the engine's clock
}

// newWorld opens an engine; it is closed with the test.
func newWorld(t *testing.T, b backend, configure ...func(*rookery.Options)) *world {
	t.Helper()
	return newWorldWatchedBy(leakscan.Watch(t), t, b, configure...)
}

func newWorldWatchedBy(leaks *leakscan.Scanner, t *testing.T, b backend, configure ...func(*rookery.Options)) *world {
	t.Helper()
	where, look := b.make(t)
	w := &world{t: t, air: newAir(), bag: newBag(), leaks: leaks, measured: newMeter(t), look: look, configure: append(configure, where)}
	w.bag.leaks = leaks
	w.open()
	t.Cleanup(func() {
		w.close()
		if twice := w.air.keysUsedTwice(); len(twice) > 0 {
			t.Errorf("message keys used twice: %v", twice)
		}
	})
	return w
}

func (w *world) open() {
	w.t.Helper()
	options := rookery.Options{Transport: w.air, Handler: w.bag.handle, Now: w.now}
	options.SweepNever()
	for _, configure := range w.configure {
		configure(&options)
	}
	if w.leaks != nil {
		w.watch(&options)
	}
	if options.MeterProvider == nil {
		w.measured.configure(&options)
	}
	engine, err := rookery.Open(context.Background(), options)
	if err != nil {
		w.t.Fatal(err)
	}
	w.engine = engine
}

// watch lets the scanner know all secrets that there will be, and see all that is
// logged and measured (T48).
func (w *world) watch(options *rookery.Options) {
	next := slog.DiscardHandler
	if options.Logger != nil {
		next = options.Logger.Handler()
	}
	options.Logger = w.leaks.Logger(next)
	if options.Random == nil {
		options.Random = rand.Reader
	}
	options.Random = w.leaks.Random(options.Random)
	if options.Store != nil {
		options.Store = w.leaks.Store(options.Store)
	}
	options.SeeStore(w.leaks.Store)
}

func (w *world) close() {
	w.t.Helper()
	if w.leaks != nil {
		w.leaks.Value("a measurement", w.measured.collect())
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.engine.Close(ctx); err != nil {
		w.t.Error(err)
	}
}

// now reads the clock of the engine.
func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// pass lets time pass on that clock; nobody is told.
func (w *world) pass(d time.Duration) { w.ahead.Add(int64(d)) }

func (w *world) reopen() {
	w.t.Helper()
	w.close()
	w.open()
}

// at gives the hosted installation in the present engine.
func (w *world) at(d device) *rookery.Identity {
	w.t.Helper()
	i, ok := w.engine.Identity(d.key, d.installation)
	if !ok {
		w.t.Fatalf("installation %s is not hosted", d.installation)
	}
	return i
}

// person creates an identity with a number of devices that approve each other.
func (w *world) person(devices int) []device {
	w.t.Helper()
	ctx := w.context()
	first, err := w.engine.CreateIdentity(ctx, rookery.NewIdentity{})
	if err != nil {
		w.t.Fatal(err)
	}
	all := []*rookery.Identity{first}
	for len(all) < devices {
		next, err := first.AddInstallation(ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, next)
	}
	var out []device
	for _, one := range all {
		for _, other := range all {
			if one != other {
				w.introduce(one, other)
				if err := one.Approve(ctx, other.PublicKey(), other.InstallationID()); err != nil {
					w.t.Fatal(err)
				}
			}
		}
		out = append(out, device{one.PublicKey(), one.InstallationID()})
	}
	return out
}

// introduce gives one the other's bundle.
func (w *world) introduce(one, other *rookery.Identity) {
	w.t.Helper()
	bundle, err := other.Bundle(w.context())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := one.TakeBundle(w.context(), other.PublicKey(), bundle); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) introduceAll(ones, others []device) {
	w.t.Helper()
	for _, one := range ones {
		w.introduce(w.at(one), w.at(others[0]))
	}
}

func (w *world) send(from device, to rookery.PublicKey, payload string) rookery.Receipt {
	w.t.Helper()
	if w.leaks != nil {
		w.leaks.Text([]byte(payload))
	}
	receipt, err := w.at(from).Send(w.context(), to, []byte(payload))
	if err != nil {
		w.t.Fatalf("send %q: %v", payload, err)
	}
	return receipt
}

// awaitVersion waits until an installation knows a bundle of another with that
// version at least.
func (w *world) awaitVersion(at, of device, version uint32) {
	w.t.Helper()
	eventually(w.t, "bundle", func() bool {
		c, err := w.at(at).Contact(w.context(), of.key)
		if err != nil {
			w.t.Fatal(err)
		}
		in, _ := c.Find(of.installation)
		return in.Entry.Version >= version
	})
}

// awaitMessages waits until each installation has received that many.
func (w *world) awaitMessages(n int, at ...device) {
	w.t.Helper()
	w.bag.await(w.t, "messages", func(events []rookery.Event) bool {
		for _, d := range at {
			if len(messages(events, d)) < n {
				return false
			}
		}
		return true
	})
}

// sweep lets all actors look after what is due, now and not within seconds.
func (w *world) sweep() { w.engine.Sweep(w.now()) }

// sweepUntil sweeps again and again: what a sweep is to find may be on its way yet,
// and what it begins may have to be begun again.
func (w *world) sweepUntil(what string, done func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			logEvents(w.t, w.bag.all())
			w.t.Fatalf("%s: not after %v", what, patience)
		}
		w.sweep()
	}
}

// sinceBubbles is what an engine's clock has to be ahead of a bubble's (testing/synctest),
// which begins in 2000, when there were no signed bundles.
const sinceBubbles = 30 * 365 * 24 * time.Hour

// inBubble runs a test in a bubble, and lets the moment pass for which a dead letter
// keeps a goroutine of the actors.
func inBubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Second) }) // after the world is closed
		test(t)
	})
}

// context ends when the test's patience does.
func (w *world) context() context.Context { return patient(w.t) }

func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// count tells how many records of a kind a store holds.
func count(t *testing.T, store persistence.Store, kind persistence.Kind) int {
	t.Helper()
	n := 0
	err := store.Scan(t.Context(), persistence.NewName(kind), func(persistence.Name, []byte) error {
		n++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// digest is a hash of everything a store holds.
func digest(t *testing.T, store persistence.Store) [sha256.Size]byte {
	t.Helper()
	return digestOf(t, store, func(persistence.Name) bool { return true })
}

// whatContactsAreTo picks what a hosted installation keeps of its contacts:
// what they are, their sessions, and messages from and for them. Our own
// prekeys and bundle are not among it.
func whatContactsAreTo(t *testing.T, d device) func(persistence.Name) bool {
	owner := persistence.NewOwnerID(d.key[:], d.installation)
	return func(name persistence.Name) bool {
		parts, err := name.Parts()
		if err != nil {
			t.Fatal(err)
		}
		ofOurs := []persistence.Kind{persistence.KindIdentity, persistence.KindPrekey, persistence.KindPublication, persistence.KindFence}
		return !slices.Contains(ofOurs, name.Kind()) && string(parts[0]) == string(owner[:])
	}
}

// digestOf is a hash of those records of a store that are picked.
func digestOf(t *testing.T, store persistence.Store, pick func(persistence.Name) bool) [sha256.Size]byte {
	t.Helper()
	h := sha256.New()
	put := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	err := store.Scan(context.Background(), "", func(name persistence.Name, value []byte) error {
		if pick(name) {
			put([]byte(name))
			put(value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// eventually polls what raises no event.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// envelopeTo is an envelope on the personal topic of an installation's identity.
func envelopeTo(to device, sender rookery.PublicKey, payload []byte) transport.Envelope {
	return transport.Envelope{Topic: transport.PersonalTopic(to.key), Sender: sender, Payload: payload}
}
