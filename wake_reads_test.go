package rookery_test

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
)

// noted notes of what kind the records are that a store is asked for.
type noted struct {
	persistence.Store
	mu    sync.Mutex
	reads map[string]int
}

func (n *noted) note(how string, name persistence.Name) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reads[fmt.Sprint(how, " ", name.Kind())]++
}

func (n *noted) take() map[string]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	reads := n.reads
	n.reads = make(map[string]int)
	return reads
}

func (n *noted) Get(ctx context.Context, name persistence.Name) ([]byte, error) {
	n.note("get", name)
	return n.Store.Get(ctx, name)
}

func (n *noted) Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error {
	n.note("scan", prefix)
	return n.Store.Scan(ctx, prefix, fn)
}

// A message between two that sleep reads, on each side, what is known of the contact and
// its session, and nothing else (docs/adr/0028).
func TestMessageBetweenTwoThatSleepReadsContactAndSession(t *testing.T) {
	for name, between := range map[string]func(*world){
		"after an open":    (*world).reopen,
		"as they are made": func(*world) {},
	} {
		t.Run(name, func(t *testing.T) { readContactAndSession(t, between) })
	}
}

func readContactAndSession(t *testing.T, between func(*world)) {
	store := &noted{Store: lasting{memstore.New()}, reads: make(map[string]int)}
	w := newWorld(t, on(store))
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	exchange := func(n int) {
		t.Helper()
		w.send(alice, bob.key, fmt.Sprint("to bob ", n))
		w.awaitMessages(n, bob)
		w.send(bob, alice.key, fmt.Sprint("to alice ", n))
		w.awaitMessages(n, alice)
	}
	exchange(1)
	between(w)
	exchange(2) // each first wake reads what it is that stays
	w.asleep(alice, bob)
	store.take()
	w.send(alice, bob.key, "again")
	w.awaitMessages(3, bob)
	want := map[string]int{"get contact": 2, "get session": 2}
	if reads := store.take(); !maps.Equal(reads, want) {
		t.Errorf("the store was asked for %v, want %v", reads, want)
	}
}
