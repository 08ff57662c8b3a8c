package courier_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	store "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport/carrier/memory"
	"github.com/rookery-im/rookery/transport/courier"
)

// node is an engine on a courier; both keep what they know in one store.
type node struct {
	t       *testing.T
	store   persistence.Store
	courier *courier.Courier
	engine  *rookery.Engine

	mu  sync.Mutex
	got []string
}

// kept is a store that its engine cannot close.
type kept struct{ persistence.Store }

func (kept) Close() error { return nil }

func (n *node) open(network *memory.Network) {
	n.t.Helper()
	var err error
	n.courier, err = courier.New(n.t.Context(), courier.Options{Carrier: network.Open(), Store: n.store, LookBack: time.Second})
	if err != nil {
		n.t.Fatal(err)
	}
	n.engine, err = rookery.Open(n.t.Context(), rookery.Options{
		Store:     kept{n.store},
		Transport: n.courier,
		Handler: func(e rookery.Event) {
			if m, ok := e.(rookery.Message); ok {
				n.mu.Lock()
				n.got = append(n.got, string(m.Payload))
				n.mu.Unlock()
				m.Ack()
			}
		},
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) close() {
	n.t.Helper()
	if err := n.engine.Close(context.WithoutCancel(n.t.Context())); err != nil {
		n.t.Error(err)
	}
	if err := n.courier.Close(); err != nil {
		n.t.Error(err)
	}
}

func (n *node) has(want []string) {
	n.t.Helper()
	slices.Sort(want)
	var got []string
	for range 600 {
		n.mu.Lock()
		got = slices.Clone(n.got)
		n.mu.Unlock()
		if len(got) >= len(want) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		n.t.Fatalf("got %q, want %q", got, want)
	}
}

// Engines talk through couriers over a network that loses and doubles, also after
// one of them was away. The messages of one arrive at the other, each once.
func TestEnginesTalkThroughCouriers(t *testing.T) {
	network := memory.New(memory.Options{Seed: 1, Faults: memory.Faults{Loss: 0.1, Duplicate: 0.2, Reorder: 0.2}})
	here, there := &node{t: t, store: store.New()}, &node{t: t, store: store.New()}
	here.open(network)
	defer here.close()
	there.open(network)
	alice, err := here.engine.CreateIdentity(t.Context(), rookery.NewIdentity{})
	if err != nil {
		t.Fatal(err)
	}
	bob, err := there.engine.CreateIdentity(t.Context(), rookery.NewIdentity{})
	if err != nil {
		t.Fatal(err)
	}
	var toBob, toAlice []string
	say := func(round int) {
		t.Helper()
		for n := range 10 {
			text := fmt.Sprintf("%d/%d", round, n)
			if _, err := alice.Send(t.Context(), bob.PublicKey(), []byte(text)); err != nil {
				t.Fatal(err)
			}
			toBob = append(toBob, text)
		}
	}
	for round := range 2 {
		say(round)
		there.has(toBob)
		if _, err := bob.Send(t.Context(), alice.PublicKey(), fmt.Append(nil, "answer ", round)); err != nil {
			t.Fatal(err)
		}
		toAlice = append(toAlice, fmt.Sprint("answer ", round))
		here.has(toAlice)
		there.close()
		say(100 + round) // while Bob is away
		there.open(network)
		there.has(toBob)
		bob = there.engine.Identities()[0]
	}
	there.close()
}
