package rookery_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
)

func (w *world) sendOnce(from device, key string, to rookery.PublicKey, payload string) rookery.Receipt {
	w.t.Helper()
	receipt, err := w.at(from).SendOnce(w.context(), key, to, []byte(payload))
	if err != nil {
		w.t.Fatalf("send %q under %q: %v", payload, key, err)
	}
	return receipt
}

func sameReceipt(a, b rookery.Receipt) bool {
	return a.ID == b.ID && slices.Equal(a.Installations, b.Installations) && a.ForwardSecrecy == b.ForwardSecrecy && a.Started == b.Started
}

// However often and by however many callers at once a message is sent under one key,
// also after the engine was opened again: one message goes out.
func TestMessageUnderOneKeyIsSentOnce(t *testing.T) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			w := newWorld(t, b)
			alice, bob, carol := w.person(1)[0], w.person(1)[0], w.person(1)[0]
			w.introduce(w.at(alice), w.at(bob))
			w.introduce(w.at(alice), w.at(carol))
			first := w.sendOnce(alice, "one", bob.key, "hello")
			receipts := make([]rookery.Receipt, 16)
			var calls sync.WaitGroup
			for n := range receipts {
				calls.Go(func() { receipts[n] = w.sendOnce(alice, "two", bob.key, "hello") })
			}
			calls.Wait()
			w.reopen()
			for n, r := range append(receipts, w.sendOnce(alice, "two", bob.key, "hello")) {
				if !sameReceipt(r, receipts[0]) || r.ID == first.ID {
					t.Errorf("receipt %d under the second key is %+v, the first is %+v", n, r, receipts[0])
				}
			}
			if r := w.sendOnce(alice, "one", bob.key, "hello"); !sameReceipt(r, first) {
				t.Errorf("got %+v, want %+v", r, first)
			}
			for _, other := range []string{"hello!", "x"} {
				_, err := w.at(alice).SendOnce(w.context(), "one", bob.key, []byte(other))
				wantError(t, err, cause.ErrSendKeyUsed)
			}
			w.sendOnce(alice, "one", carol.key, "to somebody else") // a message of its own
			group := w.at(alice).SendGroupOnce(w.context(), "three", []rookery.PublicKey{bob.key, carol.key}, []byte("to both"))
			again := w.at(alice).SendGroupOnce(w.context(), "three", []rookery.PublicKey{carol.key, bob.key}, []byte("to both"))
			if group[0].ID != again[1].ID || group[1].ID != again[0].ID {
				t.Errorf("the members got %v and %v, then %v and %v", group[0].ID, group[1].ID, again[1].ID, again[0].ID)
			}
			w.send(alice, bob.key, "the last")
			w.send(alice, carol.key, "the last")
			w.awaitMessages(4, bob)
			w.awaitMessages(3, carol)
			if got := len(messages(w.bag.all(), bob)); got != 4 {
				t.Errorf("%d messages have come, want 4", got)
			}
			if got := len(messages(w.bag.all(), carol)); got != 3 {
				t.Errorf("%d messages have come, want 3", got)
			}
		})
	}
}

func TestKeyOfAMessageIsBounded(t *testing.T) {
	w := newWorld(t, on(lasting{memstore.New()}))
	alice, bob := w.person(1)[0], w.person(1)[0]
	for _, key := range []string{"", strings.Repeat("k", rookery.MaxSendKey+1)} {
		_, err := w.at(alice).SendOnce(w.context(), key, bob.key, []byte("x"))
		wantError(t, err, rookery.ErrSendKey)
	}
	w.sendOnce(alice, strings.Repeat("k", rookery.MaxSendKey), bob.key, "x")
}

// A key under which nothing could be sent is free.
func TestKeyOfARefusedMessageIsFree(t *testing.T) {
	w := newWorld(t, on(lasting{memstore.New()}))
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	if err := w.at(alice).Block(w.context(), bob.key); err != nil {
		t.Fatal(err)
	}
	_, err := w.at(alice).SendOnce(w.context(), "k", bob.key, []byte("refused"))
	wantError(t, err, cause.ErrBlocked)
	_, err = w.at(alice).SendOnce(w.context(), "k", bob.key, nil)
	wantError(t, err, rookery.ErrPayloadSize)
	if err := w.at(alice).Unblock(w.context(), bob.key); err != nil {
		t.Fatal(err)
	}
	w.sendOnce(alice, "k", bob.key, "sent")
	w.awaitMessages(1, bob)
}

// T01: after a crash at whatever moment there is a receipt if and only if there is its
// message, and sending again under the key gives that receipt or sends the first one.
func TestCrashLeavesMessageWithItsReceiptOrNeither(t *testing.T) {
	store := &journal{lasting: lasting{memstore.New()}}
	w := newWorld(t, on(store))
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.air.refuseFrom(alice.key) // so that all messages stay in the outbox
	begin := store.moment()
	sent := make(map[string]rookery.Receipt)
	for _, key := range []string{"one", "two", "three"} {
		sent[key] = w.sendOnce(alice, key, bob.key, key)
	}
	with, without := 0, 0
	for moment := begin; moment <= store.moment(); moment++ {
		image := store.image(t, moment)
		outbox, receipts := count(t, image, persistence.KindOutbox), count(t, image, persistence.KindReceipt)
		if outbox != receipts {
			t.Fatalf("%d messages and %d receipts after %d changes", outbox, receipts, moment)
		}
		after := newWorld(t, on(lasting{image}))
		for key, receipt := range sent {
			if r := after.sendOnce(alice, key, bob.key, key); r.ID == receipt.ID {
				with++
			} else {
				without++
			}
		}
		if n := count(t, image, persistence.KindReceipt); n != len(sent) {
			t.Errorf("%d receipts, want %d", n, len(sent))
		}
		if n := int(after.engine.Counts().Sent); n != len(sent)-receipts {
			t.Errorf("%d messages were sent, with %d receipts in the store", n, receipts)
		}
	}
	if with < len(sent) || without < len(sent) {
		t.Errorf("%d receipts were kept and %d messages sent anew", with, without)
	}
}

// A receipt is kept for KeepReceipts and not much longer.
func TestReceiptIsForgottenWhenItsTimeIsOver(t *testing.T) {
	store := lasting{memstore.New()}
	w := newWorld(t, on(store), func(o *rookery.Options) { o.KeepReceipts = time.Hour })
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	first := w.sendOnce(alice, "k", bob.key, "hello")
	w.pass(59 * time.Minute)
	w.sweep()
	if again := w.sendOnce(alice, "k", bob.key, "hello"); again.ID != first.ID {
		t.Error("it was forgotten before its time")
	}
	w.pass(2 * time.Minute)
	second := w.sendOnce(alice, "k", bob.key, "other words now")
	if second.ID == first.ID {
		t.Error("it was kept beyond its time")
	}
	w.pass(59 * time.Minute)
	w.sweep()
	if n := count(t, store, persistence.KindReceipt); n != 1 {
		t.Fatalf("%d receipts, want that of the second", n)
	}
	w.pass(2 * time.Hour)
	w.sweepUntil("the end of the receipt", func() bool { return count(t, store, persistence.KindReceipt) == 0 })
}

// gated is a store that writes a message only while its gate can be locked.
type gated struct {
	lasting
	gate    sync.Mutex
	arrived chan struct{} // a receipt has come to the gate
}

func (g *gated) Apply(ctx context.Context, batch persistence.Batch) error {
	if slices.ContainsFunc(batch.Records, func(r persistence.Record) bool { return r.Name.Kind() == persistence.KindReceipt }) {
		select {
		case g.arrived <- struct{}{}:
		default:
		}
	}
	g.gate.Lock()
	defer g.gate.Unlock()
	return g.lasting.Apply(ctx, batch)
}

// Who stops waiting for a message leaves its key to it until it is sent.
func TestCallThatGivesUpKeepsTheKeyUntilItsMessageIsSent(t *testing.T) {
	store := &gated{lasting: lasting{memstore.New()}, arrived: make(chan struct{}, 1)}
	w := newWorld(t, on(store))
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	ctx, cancel := context.WithCancel(w.context())
	gone := make(chan error, 1)
	store.gate.Lock() // nothing becomes durable
	go func() {
		_, err := w.at(alice).SendOnce(ctx, "k", bob.key, []byte("hello"))
		gone <- err
	}()
	<-store.arrived
	cancel()
	wantError(t, <-gone, context.Canceled)
	short, cancel := context.WithTimeout(w.context(), 20*time.Millisecond)
	defer cancel()
	_, err := w.at(alice).SendOnce(short, "k", bob.key, []byte("hello"))
	wantError(t, err, context.DeadlineExceeded)
	store.gate.Unlock()
	w.sendOnce(alice, "k", bob.key, "hello")
	w.send(alice, bob.key, "the last")
	w.awaitMessages(2, bob)
	if got := len(messages(w.bag.all(), bob)); got != 2 {
		t.Errorf("%d messages have come, want 2", got)
	}
}
