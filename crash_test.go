package rookery_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
)

// journal is a store that remembers every change, so that it can be put back
// to what a crash after any of them would have left.
type journal struct {
	lasting

	mu    sync.Mutex
	steps []func(persistence.Store) error
}

func (j *journal) Apply(ctx context.Context, batch persistence.Batch) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.lasting.Apply(ctx, batch); err != nil {
		return err
	}
	batch = batch.Clone()
	j.steps = append(j.steps, func(s persistence.Store) error { return s.Apply(context.Background(), batch) })
	return nil
}

func (j *journal) Own(ctx context.Context, owner persistence.OwnerID) (uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	epoch, err := j.lasting.Own(ctx, owner)
	if err == nil {
		j.steps = append(j.steps, func(s persistence.Store) error {
			_, err := s.Own(context.Background(), owner)
			return err
		})
	}
	return epoch, err
}

func (j *journal) OwnAll(ctx context.Context, owners []persistence.OwnerID) ([]uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	epochs, err := j.lasting.OwnAll(ctx, owners)
	if err == nil {
		j.steps = append(j.steps, func(s persistence.Store) error {
			_, err := s.OwnAll(context.Background(), owners)
			return err
		})
	}
	return epochs, err
}

// moment is how many changes there have been.
func (j *journal) moment() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.steps)
}

// image is what the store held at a moment.
func (j *journal) image(t *testing.T, moment int) persistence.Store {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	store := memstore.New()
	for _, step := range j.steps[:moment] {
		if err := step(store); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// life is what had left a process by which moment.
type life struct {
	store     *journal
	receipts  []past[note]
	published []past[transport.Envelope]
	delivered []past[note]
	copied    []past[note]
}

type past[T any] struct {
	moment int
	what   T
}

// note is a message at one end: in a receipt the sender's, in a delivery the
// recipient's.
type note struct {
	at      device
	to      device // of a receipt: any device of the recipient
	id      rookery.MessageID
	payload string
}

func noteOf(m rookery.Message) note {
	at := device{m.Identity.PublicKey(), m.Identity.InstallationID()}
	return note{at: at, id: m.ID, payload: string(m.Payload)}
}

// until are those of before a crash at that moment. What happened between the
// last change that is kept and the next one may have happened too.
func until[T any](all []past[T], moment int) []T {
	var out []T
	for _, p := range all {
		if p.moment <= moment {
			out = append(out, p.what)
		}
	}
	return out
}

// T01, T02: the process ends after any change of its store. What is left is
// opened, the network delivers its history, and both sides go on talking. No
// message is lost, nor its copy for the sender's other device.
// Spec: 5.pairing.7 5.paired-group.4
func TestCrashAfterAnyChangeLosesNothingAndUsesNoKeyTwice(t *testing.T) {
	l, people, begin := liveOneLife(t)
	end := l.store.moment()
	if end-begin < 24 {
		t.Fatalf("only %d changes", end-begin)
	}
	for moment := begin; moment <= end; moment++ {
		t.Run(fmt.Sprint(moment), func(t *testing.T) { liveOn(t, l, people, moment) })
	}
}

// liveOneLife runs a conversation of twelve messages between two devices each,
// part of them sent before the others arrive.
func liveOneLife(t *testing.T) (l *life, people [][]device, begin int) {
	l = &life{store: &journal{lasting: lasting{memstore.New()}}}
	var mu sync.Mutex
	w := newWorld(t, on(l.store), func(o *rookery.Options) {
		handle := o.Handler
		o.Handler = func(e rookery.Event) {
			mu.Lock()
			switch m := e.(type) {
			case rookery.Message:
				l.delivered = append(l.delivered, past[note]{l.store.moment(), noteOf(m)})
			case rookery.SentElsewhere:
				l.copied = append(l.copied, past[note]{l.store.moment(), noteOf(m.Message)})
			}
			mu.Unlock()
			handle(e)
		}
	})
	w.air.onPublish = func(e transport.Envelope) {
		l.published = append(l.published, past[transport.Envelope]{l.store.moment(), e})
	}
	alice, bob := w.person(2), w.person(2)
	w.introduceAll(alice, bob)
	w.introduceAll(bob, alice)
	people = [][]device{alice, bob}
	begin = l.store.moment()
	for turn := range 12 {
		from, to := people[turn%2][turn/2%2], people[(turn+1)%2][0]
		payload := fmt.Sprint("message ", turn)
		receipt := w.send(from, to.key, payload)
		l.receipts = append(l.receipts, past[note]{l.store.moment(), note{from, to, receipt.ID, payload}})
		if turn%4 == 3 {
			w.awaitMessages(turn/2+1, append(alice, bob...)...)
		}
	}
	w.close()
	return l, people, begin
}

func liveOn(t *testing.T, l *life, people [][]device, moment int) {
	image := l.store.image(t, moment)
	published := until(l.published, moment)
	receipts := until(l.receipts, moment)
	awaits := checkReceipts(t, image, published, receipts)
	waiting := inbox(t, image, people)

	w := newWorld(t, on(lasting{image}))
	w.air.remember(published)
	w.air.deliver(published)
	for side, from := range people {
		for _, d := range from {
			to := people[1-side][0]
			payload := "after the crash, from " + d.installation
			receipt := w.send(d, to.key, payload)
			awaits = append(awaits, note{d, to, receipt.ID, payload})
		}
	}
	before, copied := until(l.delivered, moment), until(l.copied, moment)
	for _, n := range awaits {
		for _, d := range devicesOf(people, n.to) {
			w.awaitDelivery(n, d, before)
		}
		w.awaitCopy(n, people, copied)
	}
	w.close()
	seen := make(map[note]int)
	for _, m := range w.received() {
		if seen[m]++; seen[m] > 1 {
			t.Errorf("%q was delivered twice to %s", m.payload, m.at.installation)
		}
	}
	for _, n := range append(before, copied...) {
		if seen[n] > 0 && !waiting[n] {
			t.Errorf("%q was acknowledged by %s and came again", n.payload, n.at.installation)
		}
	}
}

// checkReceipts holds that each receipt's message is in the outbox or was
// published. It gives the receipts.
func checkReceipts(t *testing.T, store persistence.Store, published []transport.Envelope, receipts []note) []note {
	t.Helper()
	out := make(map[rookery.MessageID]bool)
	err := store.Scan(context.Background(), persistence.NewName(persistence.KindOutbox), func(_ persistence.Name, value []byte) error {
		o, err := deviceactor.DecodeOutgoing(value)
		out[rookery.MessageID(o.ID)] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range published {
		id, err := idOf(e)
		if err != nil {
			t.Fatal(err)
		}
		out[id] = true
	}
	for _, r := range receipts {
		if !out[r.id] {
			t.Errorf("%q has a receipt, and is neither in the outbox nor published", r.payload)
		}
	}
	return receipts
}

// inbox are the messages that a store holds for the application.
func inbox(t *testing.T, store persistence.Store, people [][]device) map[note]bool {
	t.Helper()
	owners := make(map[persistence.OwnerID]device)
	for _, devices := range people {
		for _, d := range devices {
			owners[persistence.NewOwnerID(d.key[:], d.installation)] = d
		}
	}
	out := make(map[note]bool)
	err := store.Scan(context.Background(), persistence.NewName(persistence.KindInbox), func(name persistence.Name, value []byte) error {
		m, err := deviceactor.DecodeReceived(value)
		if err != nil {
			return err
		}
		parts, err := name.Parts()
		if err != nil {
			return err
		}
		at := owners[persistence.OwnerID(parts[0])]
		out[note{at: at, id: rookery.MessageID(m.ID), payload: string(m.Payload)}] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func devicesOf(people [][]device, one device) []device {
	for _, devices := range people {
		if devices[0].key == one.key {
			return devices
		}
	}
	return nil
}

// received are the messages and copies that came in this world.
func (w *world) received() []note {
	var out []note
	for _, e := range w.bag.all() {
		switch m := e.(type) {
		case rookery.Message:
			out = append(out, noteOf(m))
		case rookery.SentElsewhere:
			out = append(out, noteOf(m.Message))
		}
	}
	return out
}

// awaitCopy waits for the copy of a message at the sender's other devices,
// unless it came there before. One that was not made yet is made by a sweep.
func (w *world) awaitCopy(sent note, people [][]device, before []note) {
	w.t.Helper()
	for _, d := range devicesOf(people, sent.at) {
		want := note{at: d, id: sent.id, payload: sent.payload}
		if d == sent.at || slices.Contains(before, want) {
			continue
		}
		w.sweepUntil(fmt.Sprintf("copy of %q at %s", sent.payload, d.installation), func() bool {
			return slices.ContainsFunc(these[rookery.SentElsewhere](w.bag.all(), d), func(m rookery.SentElsewhere) bool {
				return noteOf(m.Message) == want && m.Recipient == sent.to.key
			})
		})
	}
}

// awaitDelivery waits for a message at a device, unless it came there before.
func (w *world) awaitDelivery(sent note, at device, before []note) {
	w.t.Helper()
	want := note{at: at, id: sent.id, payload: sent.payload}
	for _, n := range before {
		if n == want {
			return
		}
	}
	w.bag.await(w.t, fmt.Sprintf("%q at %s", sent.payload, at.installation), func(events []rookery.Event) bool {
		for _, m := range messages(events, at) {
			if m.ID == want.id && string(m.Payload) == want.payload {
				return true
			}
		}
		return false
	})
}
