package goldenstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/memory"
)

// born is when golden stores were made, by their own clocks.
var born = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// clock stands still but for a microsecond each time it is read, so that what
// came later is later.
func clock(from time.Time) func() time.Time {
	var mu sync.Mutex
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		from = from.Add(time.Microsecond)
		return from
	}
}

// dice are seeded; goroutines take turns, so that two runs are alike but not the
// same.
type dice struct {
	mu   sync.Mutex
	from *rand.ChaCha8
}

func newDice(seed byte) io.Reader {
	return &dice{from: rand.NewChaCha8([32]byte{seed})}
}

func (d *dice) Read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.from.Read(p)
}

// errTakesNothing is what a sender hears from a network that refuses it.
var errTakesNothing = errors.New("the network takes nothing")

// air is a network that loses and refuses on demand and remembers the rest.
type air struct {
	*memory.Network

	mu        sync.Mutex
	refuses   bool
	loses     func(transport.Envelope) bool
	lost      []transport.Envelope
	published []transport.Envelope
}

func newAir() *air { return &air{Network: memory.New(1, memory.Faults{})} }

// Publish implements transport.Transport.
func (a *air) Publish(e transport.Envelope, accepted func(error)) {
	a.mu.Lock()
	refused := a.refuses
	lost := !refused && a.loses != nil && a.loses(e)
	if lost {
		a.lost = append(a.lost, e)
	}
	if !refused {
		a.published = append(a.published, e)
	}
	a.mu.Unlock()
	switch {
	case refused:
		accepted(errTakesNothing)
	case lost:
		accepted(nil)
	default:
		a.Network.Publish(e, accepted)
	}
}

func (a *air) set(refuses bool, loses func(transport.Envelope) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuses, a.loses = refuses, loses
}

// carried are the envelopes on a topic that were accepted.
func (a *air) carried(topic transport.Topic) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, e := range a.published {
		if e.Topic == topic {
			n++
		}
	}
	return n
}

// names of the devices, by their ids: a bundle of several devices needs ids that
// can be told apart wherever one ends.
var names = map[string]string{
	"a11ce000-0000-4000-8000-000000000001": "alice-phone",
	"a11ce000-0000-4000-8000-000000000002": "alice-desk",
	"b0b00000-0000-4000-8000-000000000001": "bob-phone",
	"ca501000-0000-4000-8000-000000000001": "carol-phone",
}

// heard are the payloads of the messages that an engine has reported, none of
// which is ever acknowledged.
type heard struct {
	mu   sync.Mutex
	what []string
}

func (h *heard) handle(e rookery.Event) {
	if m, ok := e.(rookery.Message); ok {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.what = append(h.what, fmt.Sprintf("%s: %s", names[m.Identity.InstallationID()], m.Payload))
	}
}

func (h *heard) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(slices.Values(h.what))
}

const patience = time.Minute

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// life is a store's: an engine on it hosts Alice, on two devices, and Bob; Carol
// is elsewhere.
type life struct {
	t    *testing.T
	air  *air
	said *heard // what the host heard
}

// live fills the store that configure names with what stores hold, sessions of
// both kinds, skipped message keys, waiting messages in both directions, and
// gives the envelopes that have not come yet: one whose key is stored, and one
// that is next.
func live(t *testing.T, configure func(*rookery.Options)) []transport.Envelope {
	l := &life{t: t, air: newAir(), said: &heard{}}
	host := l.open(1, l.said.handle, configure)
	defer l.close(host)
	away := l.open(2, nil, func(o *rookery.Options) { o.Store = memstore.New() })
	defer l.close(away)

	alice := l.person(host, 0xa1, "alice-phone")
	desk := l.person(host, 0xa1, "alice-desk")
	bob := l.person(host, 0xb0, "bob-phone")
	carol := l.person(away, 0xca, "carol-phone")
	for _, pair := range [][2]*rookery.Identity{{alice, desk}, {desk, alice}} {
		l.introduce(pair[0], pair[1])
		l.ok(pair[0].Approve(t.Context(), pair[1].PublicKey(), pair[1].InstallationID()))
	}
	for _, pair := range [][2]*rookery.Identity{{bob, alice}, {carol, alice}, {alice, carol}, {carol, bob}} {
		l.introduce(pair[0], pair[1])
	}

	l.send(bob, alice, "hello Alice, this is Bob")
	l.hears("alice-phone: hello Alice, this is Bob")
	l.send(alice, bob, "hello Bob")
	l.hears("bob-phone: hello Bob")
	l.send(carol, alice, "carol 1")
	l.hears("alice-phone: carol 1", "alice-desk: carol 1")
	l.send(alice, carol, "hello Carol")
	eventually(t, "a message to Carol", func() bool { return away.Counts().Received == 1 })

	toAlice := transport.PersonalTopic(alice.PublicKey())
	for n := 2; n <= 6; n++ {
		lost := n == 2 || n == 4 || n == 6
		l.air.set(false, func(e transport.Envelope) bool { return lost && e.Topic == toAlice && e.Sender == carol.PublicKey() })
		before := l.air.carried(toAlice)
		l.send(carol, alice, fmt.Sprint("carol ", n))
		eventually(t, "publication", func() bool { return l.air.carried(toAlice) > before })
	}
	l.hears("alice-phone: carol 5", "alice-desk: carol 5")

	l.air.set(true, nil)
	l.send(alice, carol, "waiting for Carol")
	l.send(bob, alice, "waiting for Alice")
	eventually(t, "copies", func() bool { return host.Counts().Copies == 3 })
	return []transport.Envelope{l.air.lost[0], l.air.lost[2]}
}

func (l *life) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) open(seed byte, handler func(rookery.Event), configure func(*rookery.Options)) *rookery.Engine {
	l.t.Helper()
	o := rookery.Options{Transport: l.air, Handler: handler, Now: clock(born), Random: newDice(seed)}
	configure(&o)
	engine, err := rookery.Open(l.t.Context(), o)
	l.ok(err)
	return engine
}

func (l *life) close(engine *rookery.Engine) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := engine.Close(ctx); err != nil {
		l.t.Error(err)
	}
}

// person hosts a device of the identity whose key is made of one byte.
func (l *life) person(engine *rookery.Engine, key byte, device string) *rookery.Identity {
	l.t.Helper()
	for id, name := range names {
		if name == device {
			i, err := engine.CreateIdentity(l.t.Context(), rookery.NewIdentity{Key: bytes.Repeat([]byte{key}, 32), InstallationID: id})
			l.ok(err)
			return i
		}
	}
	l.t.Fatalf("device %s has no id", device)
	return nil
}

func (l *life) introduce(one, other *rookery.Identity) {
	l.t.Helper()
	bundle, err := other.Bundle(l.t.Context())
	l.ok(err)
	l.ok(one.TakeBundle(l.t.Context(), other.PublicKey(), bundle))
}

func (l *life) send(from, to *rookery.Identity, payload string) {
	l.t.Helper()
	_, err := from.Send(l.t.Context(), to.PublicKey(), []byte(payload))
	l.ok(err)
}

// hears waits until the host has heard all of these.
func (l *life) hears(want ...string) {
	l.t.Helper()
	eventually(l.t, fmt.Sprint(want), func() bool {
		all := l.said.all()
		return !slices.ContainsFunc(want, func(one string) bool { return !slices.Contains(all, one) })
	})
}
