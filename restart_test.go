package rookery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport"
)

// Each of twelve messages is followed by a restart of everybody. Every third
// one is overtaken: it arrives when all is over, from newest to oldest. The
// sender's other device gets a copy of each.
// Spec: 5.encryption.3 draft.out-of-order.1
func TestNothingIsLostOrDoubledWhenReopenedAfterEachMessage(t *testing.T) {
	for _, variant := range []struct {
		name string
		// wait has each message arrive before the restart. Without it the
		// network loses what is under way and delivers its whole history to the
		// reopened engine (T26: all of it but the lost is refused).
		wait bool
	}{{"arrived", true}, {"under way", false}} {
		t.Run(variant.name, func(t *testing.T) {
			onEachBackend(t, func(t *testing.T, b backend) { converseWithRestarts(t, b, variant.wait) })
		})
	}
}

func converseWithRestarts(t *testing.T, b backend, wait bool) {
	w := newWorld(t, b)
	alice, bob := w.person(2), w.person(2)
	w.introduceAll(alice, bob)
	w.introduceAll(bob, alice)
	people := [][]device{alice, bob}
	ids := make(map[string]rookery.MessageID)
	expected, copies := make(map[device]int), make(map[device]int)
	const turns = 12
	for turn := range turns {
		from, to := people[turn%2], people[(turn+1)%2]
		if turn%3 == 2 {
			w.air.setRule(holdIf(between(from[0].key, to[0].key)))
		}
		payload := fmt.Sprint("message ", turn)
		sender, sibling := from[turn/2%2], from[1-turn/2%2]
		receipt := w.send(sender, to[0].key, payload)
		copies[sibling]++
		if len(receipt.Installations) != 2 || !receipt.ForwardSecrecy {
			t.Errorf("%s: receipt %+v", payload, receipt)
		}
		ids[payload] = receipt.ID
		if turn%3 != 2 {
			for _, d := range to {
				expected[d]++
				if wait {
					w.awaitMessages(expected[d], d)
				}
			}
		}
		if wait {
			awaitThese[rookery.SentElsewhere](w, copies[sibling], sibling)
		}
		w.close()
		w.air.setRule(nil)
		w.open()
		if !wait {
			w.air.deliver(notHeld(w.air))
			for d, n := range expected {
				w.awaitMessages(n, d)
			}
			for d, n := range copies { // those that were not made yet are made by a sweep
				w.sweepUntil("copies", func() bool { return len(these[rookery.SentElsewhere](w.bag.all(), d)) >= n })
			}
		}
	}
	for d := range expected {
		expected[d] = turns / 2
	}
	if n := w.air.release(); n != turns/3 {
		t.Errorf("%d messages were held back, want %d", n, turns/3)
	}
	for d, n := range expected {
		w.awaitMessages(n, d)
	}
	w.close()
	for d, n := range expected {
		got := messages(w.bag.all(), d)
		if len(got) != n {
			t.Errorf("%s: %d messages, want %d", d.installation, len(got), n)
		}
		for _, m := range got {
			if m.ID != ids[string(m.Payload)] {
				t.Errorf("%q has another id than in its receipt", m.Payload)
			}
		}
	}
	for d, n := range copies {
		got := these[rookery.SentElsewhere](w.bag.all(), d)
		if len(got) != n {
			t.Errorf("%s: %d copies, want %d", d.installation, len(got), n)
		}
		for _, m := range got {
			if m.ID != ids[string(m.Payload)] {
				t.Errorf("the copy of %q has another id than its receipt", m.Payload)
			}
		}
	}
	for _, r := range refusals(w.bag.all()) {
		if wait || !isReplay(r.Err) {
			t.Errorf("refused: %v", r.Err)
		}
	}
	store := w.look()
	for _, kind := range []persistence.Kind{persistence.KindInbox, persistence.KindOutbox, persistence.KindSkipped} {
		if n := count(t, store, kind); n != 0 {
			t.Errorf("%d records of kind %v are left", n, kind)
		}
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

// isReplay tells whether a cause is one that a message delivered again has.
func isReplay(err error) bool {
	return slices.ContainsFunc(
		[]error{cause.ErrDuplicate, cause.ErrReplayed, cause.ErrUnknownRatchetKey, cause.ErrForged},
		func(cause error) bool { return errors.Is(err, cause) },
	)
}

// notHeld is the history of the network without what it still holds back.
func notHeld(a *air) []transport.Envelope {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(a.published), func(e transport.Envelope) bool {
		return slices.ContainsFunc(a.held, func(h transport.Envelope) bool { return string(h.Payload) == string(e.Payload) })
	})
}

func TestUnacknowledgedMessageIsReportedAgainUnderTheSameID(t *testing.T) {
	onEachBackend(t, func(t *testing.T, b backend) {
		w := newWorld(t, b)
		alice, bob := w.person(1)[0], w.person(1)[0]
		w.introduce(w.at(alice), w.at(bob))
		w.bag.keepAll()
		kept := w.send(alice, bob.key, "kept")
		acked := w.send(alice, bob.key, "answered for")
		w.awaitMessages(2, bob)
		for _, m := range messages(w.bag.all(), bob) {
			if m.ID == acked.ID {
				m.Ack()
			}
		}
		for range 3 {
			w.close()
			w.bag.empty()
			w.open()
			w.awaitMessages(1, bob)
			w.close() // nothing more comes after this
			got := messages(w.bag.all(), bob)
			if len(got) != 1 || got[0].ID != kept.ID || string(got[0].Payload) != "kept" || got[0].Sender != alice.key {
				t.Fatalf("reported %d messages after reopening", len(got))
			}
			w.open()
			w.awaitMessages(2, bob)
		}
		for _, m := range messages(w.bag.all(), bob) {
			m.Ack() // those of earlier engines do nothing
		}
		w.close()
		w.bag.empty()
		w.open()
		w.close()
		if got := messages(w.bag.all(), bob); len(got) != 0 {
			t.Errorf("%d messages were reported after they were acknowledged", len(got))
		}
		w.open()
	})
}

// errorCount counts what is logged as an error, such as a panic.
type errorCount struct {
	slog.Handler
	errors atomic.Int64
}

func (c *errorCount) Enabled(context.Context, slog.Level) bool { return true }

func (c *errorCount) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		c.errors.Add(1)
	}
	return nil
}

func (c *errorCount) WithAttrs([]slog.Attr) slog.Handler { return c }

func (c *errorCount) WithGroup(string) slog.Handler { return c }

func TestWithoutHandlerMessagesWaitInTheInbox(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	handler := true
	logged := new(errorCount)
	w.configure = append(w.configure, func(o *rookery.Options) {
		o.Logger = slog.New(logged)
		if !handler {
			o.Handler = nil
		}
	})
	handler = false
	w.reopen()
	receipt := w.send(alice, bob.key, "for later")
	eventually(t, "decryption", func() bool { return w.engine.Counts().Received == 1 })
	w.air.deliver(w.air.history()) // once more: there is still nobody to tell
	eventually(t, "refusal", func() bool { return w.engine.Counts().Refused >= 1 })
	handler = true
	w.reopen()
	w.awaitMessages(1, bob)
	if n := logged.errors.Load(); n != 0 {
		t.Errorf("%d errors were logged", n)
	}
	if m := messages(w.bag.all(), bob)[0]; m.ID != receipt.ID || string(m.Payload) != "for later" {
		t.Errorf("reported %q, id %v", m.Payload, m.ID)
	}
}

func TestRefusedPublicationIsMadeGoodAfterReopening(t *testing.T) {
	onEachBackend(t, func(t *testing.T, b backend) {
		w := newWorld(t, b)
		alice, bob := w.person(1)[0], w.person(1)[0]
		w.introduce(w.at(alice), w.at(bob))
		w.air.setRule(func(transport.Envelope) verdict { return refuse })
		receipt := w.send(alice, bob.key, "hello")
		w.reopen() // refused once more
		if n := len(messages(w.bag.all(), bob)); n != 0 {
			t.Fatalf("%d messages came over a network that takes nothing", n)
		}
		w.close()
		w.air.setRule(nil)
		w.open()
		w.awaitMessages(1, bob)
		w.reopen()
		w.close()
		got := messages(w.bag.all(), bob)
		if len(got) != 1 || got[0].ID != receipt.ID || string(got[0].Payload) != "hello" {
			t.Errorf("%d messages delivered", len(got))
		}
		if refused := refusals(w.bag.all()); len(refused) != 0 {
			t.Errorf("refused: %v", refused[0].Err)
		}
		history := w.air.history()
		if len(history) != 3 {
			t.Errorf("published %d times: twice refused, once taken are 3", len(history))
		}
		for _, e := range history {
			if string(e.Payload) != string(history[0].Payload) {
				t.Error("the message was made anew")
			}
		}
		store := w.look()
		if n := count(t, store, persistence.KindOutbox); n != 0 {
			t.Errorf("%d messages are left in the outbox", n)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		w.open()
	})
}

// Everybody in one engine has something to publish when it opens: each message
// must find its recipient listening.
func TestOutboxIsPublishedOnlyWhenAllListen(t *testing.T) {
	w := newWorld(t, backends[1])
	const people = 8
	var all []device
	for range people {
		all = append(all, w.person(1)[0])
	}
	w.air.setRule(func(transport.Envelope) verdict { return refuse })
	for n, from := range all {
		w.send(from, all[(n+1)%people].key, "hello")
	}
	w.close()
	w.air.setRule(nil)
	w.configure = append(w.configure, func(o *rookery.Options) { o.Transport = slow{w.air} })
	w.open()
	w.awaitMessages(1, all...)
}

// slow is a network that takes a while to subscribe.
type slow struct{ *air }

func (n slow) Subscribe(topic transport.Topic, deliver transport.Deliver) (func(), error) {
	time.Sleep(10 * time.Millisecond)
	return n.air.Subscribe(topic, deliver)
}

// impatient is a network that delivers what it has while somebody subscribes,
// and waits until it is dealt with.
type impatient struct {
	*air
	history []transport.Envelope
}

func (n impatient) Subscribe(topic transport.Topic, deliver transport.Deliver) (func(), error) {
	cancel, err := n.air.Subscribe(topic, deliver)
	if err != nil {
		return nil, err
	}
	for _, e := range n.history {
		if e.Topic == topic {
			dealt := make(chan error, 1)
			deliver(e, func(err error) { dealt <- err })
			if err := <-dealt; err != nil {
				return nil, err
			}
		}
	}
	return cancel, nil
}

func TestMessageThatArrivesWhileOpeningIsReportedOnce(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.bag.keepAll()
	w.air.setRule(func(transport.Envelope) verdict { return hold })
	for n := range 5 {
		w.send(alice, bob.key, fmt.Sprint("message ", n))
	}
	w.close()
	w.air.setRule(nil)
	w.configure = append(w.configure, func(o *rookery.Options) { o.Transport = impatient{w.air, w.air.history()} })
	w.open()
	w.awaitMessages(5, bob)
	w.close()
	if got := messages(w.bag.all(), bob); len(got) != 5 {
		t.Errorf("%d messages were reported, want 5", len(got))
	}
}
