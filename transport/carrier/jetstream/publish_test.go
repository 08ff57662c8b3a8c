package jetstream_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/jetstream"
)

// TestTooManyAtOnceIsBusy: and each is answered once, and those that are refused are
// taken later.
func TestTooManyAtOnceIsBusy(t *testing.T) {
	n := newNetwork(t, nil)
	for name, change := range map[string]func(o *jetstream.Options){
		"messages": func(o *jetstream.Options) { o.InFlight = 4 },
		"bytes":    func(o *jetstream.Options) { o.InFlightBytes = carrier.MaxPayload },
	} {
		t.Run(name, func(t *testing.T) {
			o := n.options()
			change(&o)
			c := n.open(o)
			var mu sync.Mutex
			var answered sync.WaitGroup
			var refused []carrier.Message
			all := messages(carrier.Topic("busy-"+name), 200)
			for _, m := range all {
				m.Payload = append(make([]byte, 50_000), m.Payload...)
				answered.Add(1)
				c.Publish(m, func(err error) {
					defer answered.Done()
					if err == nil {
						return
					}
					if !errors.Is(err, carrier.ErrBusy) {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					refused = append(refused, m)
				})
			}
			answered.Wait()
			if len(refused) == 0 || len(refused) == len(all) {
				t.Errorf("%d of %d messages are refused", len(refused), len(all))
			}
			publishAll(t, c, refused)
			if kept := history(t, c, all[0].Topic); len(kept) != len(all) {
				t.Errorf("%d messages are kept, want %d", len(kept), len(all))
			}
		})
	}
}

// TestNoStreamAndNoAnswerAreUnreachable: what is published may be tried again, and a
// message that was taken all the same is kept once.
func TestNoStreamAndNoAnswerAreUnreachable(t *testing.T) {
	n := newNetwork(t, nil)
	_, admin := n.admin()
	w := newWire(t, n.address)
	o := n.options()
	o.Servers = []string{w.url()}
	c := n.openImpatient(o)
	w.setDeaf(true)
	m := message(topic)
	if err := publish(t, c, m); !errors.Is(err, carrier.ErrUnreachable) {
		t.Errorf("without an answer: %v", err)
	}
	w.setDeaf(false)
	publishAll(t, c, []carrier.Message{m, m})
	if kept := history(t, c, topic); len(kept) != 1 {
		t.Errorf("%d messages are kept, want 1", len(kept))
	}
	o = n.options()
	o.Stream.Create = false
	other := n.open(o)
	if err := admin.DeleteStream(t.Context(), "rookery"); err != nil {
		t.Fatal(err)
	}
	if err := publish(t, other, message(topic)); !errors.Is(err, carrier.ErrUnreachable) {
		t.Errorf("without a stream: %v", err)
	}
	if err := other.History(t.Context(), []carrier.Topic{topic}, 0, 1, nil); !errors.Is(err, carrier.ErrUnreachable) {
		t.Errorf("history without a stream: %v", err)
	}
}

// TestFullStreamIsBusy: one that was made to refuse what is new.
func TestFullStreamIsBusy(t *testing.T) {
	n := newNetwork(t, nil)
	_, admin := n.admin()
	_, err := admin.CreateStream(t.Context(), js.StreamConfig{
		Name: "rookery", Subjects: []string{"rookery.>"}, MaxBytes: 2000, Discard: js.DiscardNew,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := n.open(n.withoutLimits())
	for range 100 {
		if err = publish(t, c, message(topic)); err != nil {
			break
		}
	}
	if !errors.Is(err, carrier.ErrBusy) {
		t.Errorf("a full stream gives %v", err)
	}
}

// TestServerWithSmallMessagesRefusesLargeOnes: for good.
func TestServerWithSmallMessagesRefusesLargeOnes(t *testing.T) {
	n := newNetwork(t, func(o *server.Options) { o.MaxPayload = 10_000 })
	c := n.open(n.options())
	m := message(topic)
	m.Payload = make([]byte, 20_000)
	for _, ephemeral := range []bool{false, true} {
		m.Ephemeral = ephemeral
		if err := publish(t, c, m); !errors.Is(err, carrier.ErrMessage) {
			t.Errorf("ephemeral %t: %v", ephemeral, err)
		}
	}
	publishAll(t, c, messages(topic, 1))
}

// TestHistoryEndsInTimeWithoutAnAnswer: also with one of its own context.
func TestHistoryEndsInTimeWithoutAnAnswer(t *testing.T) {
	n := newNetwork(t, nil)
	w := newWire(t, n.address)
	o := n.options()
	o.Servers = []string{w.url()}
	c, patient := n.openImpatient(o), n.open(o)
	publishAll(t, c, messages(topic, 3))
	w.setDeaf(true)
	each := func(carrier.Received) error { return nil }
	if err := c.History(t.Context(), []carrier.Topic{topic}, 0, time.Now().UnixNano(), each); !errors.Is(err, carrier.ErrUnreachable) {
		t.Errorf("without an answer: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := patient.History(ctx, []carrier.Topic{topic}, 0, time.Now().UnixNano(), each); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a deadline: %v", err)
	}
}
