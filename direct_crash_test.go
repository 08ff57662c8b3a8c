package rookery_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
)

// way is a way of sending: it makes the next message and gives it as it leaves
// the process. The network keeps it back.
type way struct {
	name string
	// skips is how many message numbers a crash may cost.
	skips int
	begin func(w *world, from device, to rookery.PublicKey) (next func(payload string) (rookery.MessageID, transport.Envelope))
}

// crashBlock is how many numbers are reserved at a time in these tests.
const crashBlock = 4

var ways = []way{
	{"outbox", 0, func(w *world, from device, to rookery.PublicKey) func(string) (rookery.MessageID, transport.Envelope) {
		return func(payload string) (rookery.MessageID, transport.Envelope) {
			e := w.withhold(from, to, payload)
			id, err := idOf(e)
			if err != nil {
				w.t.Fatal(err)
			}
			return id, e
		}
	}},
	{"direct", 2 * crashBlock, func(w *world, from device, to rookery.PublicKey) func(string) (rookery.MessageID, transport.Envelope) {
		d := w.direct(from, to)
		return func(payload string) (rookery.MessageID, transport.Envelope) {
			m := w.encrypt(d, payload)
			e := transport.Envelope{Topic: transport.PersonalTopic(to), Sender: from.key, Payload: m.Message}
			w.air.remember([]transport.Envelope{e})
			return m.ID, e
		}
	}},
}

// sent is a message that left the process.
type sent struct {
	note
	envelope transport.Envelope
}

// T01, T02, T06: the process ends after any message of a block, whichever way it
// is sent; what is on disk by then is opened. Nothing that was made before is
// lost on the network's other side, no ratchet key and number are used again,
// and at most two blocks are skipped. The same goes for sending on the other way
// afterwards.
func TestCrashWithinABlockUsesNoKeyTwice(t *testing.T) {
	for _, first := range ways {
		for _, second := range ways {
			for n := range 3*crashBlock + 2 {
				t.Run(fmt.Sprintf("%s_then_%s/%d", first.name, second.name, n), func(t *testing.T) { crashAfter(t, first, second, n) })
			}
		}
	}
}

func crashAfter(t *testing.T, first, second way, n int) {
	store := &journal{lasting: lasting{memstore.New()}}
	w := newWorld(t, on(store), blockOf(crashBlock))
	alice, bob := w.person(1)[0], w.person(2)
	w.introduceAll([]device{alice}, bob)
	next := first.begin(w, alice, bob[0].key)
	var before []sent
	for i := range n {
		if i == 3 { // the next new block answers a ratchet key
			w.deliverAll(before, bob, nil)
			w.send(bob[0], alice.key, "an answer")
			w.awaitMessages(1, alice)
		}
		payload := fmt.Sprint("before ", i)
		id, e := next(payload)
		before = append(before, sent{note{alice, bob[0], id, payload}, e})
	}
	moment, delivered, published := store.moment(), w.received(), w.air.everything() // and the power goes
	w.close()

	again := newWorld(t, on(lasting{store.image(t, moment)}), blockOf(crashBlock))
	again.air.remember(published)
	next = second.begin(again, alice, bob[0].key)
	all := before
	for i := range crashBlock + 1 {
		payload := fmt.Sprint("after ", i)
		id, e := next(payload)
		all = append(all, sent{note{alice, bob[0], id, payload}, e})
	}
	if n > 0 {
		if skipped := skippedBetween(t, all[n-1].envelope, all[n].envelope); skipped < 0 || skipped > first.skips {
			t.Errorf("%d numbers skipped, at most %d", skipped, first.skips)
		}
	}
	again.deliverAll(all, bob, delivered)
	if twice := again.air.keysUsedTwice(); len(twice) > 0 {
		t.Errorf("message keys used twice: %v", twice)
	}
}

// deliverAll brings messages to all devices of their recipient, the newest
// first, and waits until each is there that was not before.
func (w *world) deliverAll(messages []sent, at []device, before []note) {
	w.t.Helper()
	for i := len(messages) - 1; i >= 0; i-- {
		w.air.deliver([]transport.Envelope{messages[i].envelope})
	}
	for _, m := range messages {
		for _, d := range at {
			w.awaitDelivery(m.note, d, before)
		}
	}
}

// skippedBetween is how many numbers of the sender's chains lie between two
// messages to the same installations, one after the other.
func skippedBetween(t *testing.T, a, b transport.Envelope) int {
	t.Helper()
	x, y := ratchetOf(t, a), ratchetOf(t, b)
	if string(x.RatchetKey) == string(y.RatchetKey) {
		return int(y.N) - int(x.N) - 1
	}
	return int(y.PN) - int(x.N) - 1 + int(y.N)
}

func ratchetOf(t *testing.T, e transport.Envelope) *wire.DRHeader {
	t.Helper()
	m, err := wire.Decode(e.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return m.Entries[0].Part.DR
}

// The store fails while a block is reserved: nothing is made with it, and when
// the store works again a new one is.
func TestFailedReservationMakesNothing(t *testing.T) {
	for _, written := range []bool{false, true} {
		t.Run(fmt.Sprintf("written_%v", written), func(t *testing.T) {
			store := &stumbling{Store: memstore.New(), written: written}
			w := newWorld(t, on(lasting{store}), blockOf(crashBlock))
			alice, bob := w.person(1)[0], w.person(1)[0]
			w.introduceAll([]device{alice}, []device{bob})
			store.stumble.Store(true)
			d := w.direct(alice, bob.key)
			_, err := d.Encrypt(w.context(), []byte("never made"))
			wantError(t, err, cause.ErrNotDurable)
			store.stumble.Store(false)
			var all []sent
			for i := range 3 * crashBlock {
				payload := fmt.Sprint(i)
				m := w.encrypt(d, payload)
				e := transport.Envelope{Topic: transport.PersonalTopic(bob.key), Sender: alice.key, Payload: m.Message}
				w.air.remember([]transport.Envelope{e})
				all = append(all, sent{note{alice, bob, m.ID, payload}, e})
			}
			w.deliverAll(all, []device{bob}, nil)
		})
	}
}

// stumbling is a store whose writes fail while it stumbles, though they may be
// there all the same.
type stumbling struct {
	persistence.Store
	stumble atomic.Bool
	written bool
}

func (s *stumbling) Apply(ctx context.Context, batch persistence.Batch) error {
	if !s.stumble.Load() {
		return s.Store.Apply(ctx, batch)
	}
	failed := errors.New("the disk stumbles")
	if s.written {
		failed = errors.Join(failed, s.Store.Apply(ctx, batch))
	}
	return failed
}
