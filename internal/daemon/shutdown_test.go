package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
)

// lasting is a store in memory that an engine's Close leaves alone, on a disk that can
// be full.
type lasting struct {
	persistence.Store
	full *atomic.Bool
}

func (lasting) Close() error { return nil }

func (l lasting) Apply(ctx context.Context, batch persistence.Batch) error {
	if l.full.Load() {
		return &persistence.StoreError{Op: "apply", Kind: persistence.ErrFull}
	}
	return l.Store.Apply(ctx, batch)
}

// inMemory has a daemon on such a store.
func inMemory(h *house) lasting {
	store := lasting{memstore.New(), new(atomic.Bool)}
	h.engine = func(o *rookery.Options) { o.Dir, o.Unlock, o.Store = "", nil, store }
	return store
}

// A disk that is full is told as such, nothing is sent, and the same request succeeds
// once when there is room.
func TestFullDiskIsUnavailableAndTheKeyStaysFree(t *testing.T) {
	var store lasting
	h := newHouse(t, func(h *house) { store = inMemory(h) })
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	alice.send(bob, "before", "")
	events := bob.listen("")
	if got := events.message().text(); got != "before" { // bob has it: what is refused this network delivers to nobody again by itself
		t.Fatalf("got %q", got)
	}
	store.full.Store(true)
	request := object{"identity": alice.key, "to": bob.key, "payload": []byte("hello"), "idempotencyKey": "k"}
	for range 3 {
		h.refused("unavailable", alice.token, "MessageService/Send", request)
	}
	store.full.Store(false)
	first := alice.send(bob, "hello", "k")
	if again := alice.send(bob, "hello", "k"); again != first {
		t.Errorf("got %+v, then %+v", first, again)
	}
	alice.send(bob, "after", "")
	for _, want := range []string{"hello", "after"} {
		if got := events.message().text(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Streams end with a reason when the daemon does.
func TestShutdownEndsStreamsWithAReason(t *testing.T) {
	h := newHouse(t)
	alice := h.resident("alice")
	events := alice.listen("")
	h.end()
	if err := events.ended(); !strings.Contains(err.Error(), "unavailable") {
		t.Errorf("it ended with %v", err)
	}
	h.start()
}

// A daemon that is told to end in the middle of sending gives each caller a receipt or
// an error. Whoever asks again under his key afterwards has sent one message.
func TestShutdownInTheMiddleOfSendsLosesAndRepeatsNothing(t *testing.T) {
	const senders, each = 8, 200
	h := newHouse(t)
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	var sending sync.WaitGroup
	receipts := make([]map[string]string, senders)
	first := make(chan struct{}, senders*each)
	for s := range senders {
		receipts[s] = make(map[string]string)
		sending.Go(func() {
			for n := range each {
				text := fmt.Sprintf("%d.%d", s, n)
				body, _ := json.Marshal(object{"identity": alice.key, "to": bob.key, "payload": []byte(text), "idempotencyKey": text})
				status, answer, err := h.post(alice.token, "MessageService/Send", "application/json", body)
				if err != nil || status != http.StatusOK {
					return // it is going down
				}
				var sent struct{ Receipt receipt }
				if err := json.Unmarshal(answer, &sent); err != nil {
					t.Error(err)
					return
				}
				receipts[s][text] = sent.Receipt.MessageID
				first <- struct{}{}
			}
		})
	}
	for range senders {
		<-first
	}
	h.end()
	sending.Wait()
	h.start()
	known := make(map[string]string) // texts by message ids
	for s := range senders {
		for n := range 2 + len(receipts[s]) { // also the one that was under way
			text := fmt.Sprintf("%d.%d", s, n)
			got := alice.send(bob, text, text).MessageID
			if before, ok := receipts[s][text]; ok && before != got {
				t.Errorf("%s has receipt %s, then %s", text, before, got)
			}
			known[got] = text
		}
	}
	events := bob.listen("")
	seen := make(map[string]bool)
	for len(seen) < len(known) {
		e := events.message()
		if seen[e.ID] || known[e.MessageID] != e.text() {
			t.Errorf("%q came with id %s, seen before: %v", e.text(), e.ID, seen[e.ID])
		}
		seen[e.ID] = true
		bob.ack(e.ID)
	}
}
