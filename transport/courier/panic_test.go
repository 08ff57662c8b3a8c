package courier

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/envelope"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

// quiet is a carrier without a network.
type quiet struct{ idle }

func (quiet) Subscribe(context.Context, ...carrier.Topic) error { return nil }
func (quiet) Health() carrier.Health                            { return carrier.Health{} }
func (quiet) History(context.Context, []carrier.Topic, int64, int64, func(carrier.Received) error) error {
	return nil
}

// T11: an envelope that makes the code panic costs itself, and no lock stays held.
func TestEnvelopeThatPanicsCostsItself(t *testing.T) {
	c, err := New(t.Context(), Options{Carrier: quiet{}, Store: memory.New(), LookBack: Never})
	if err != nil {
		t.Fatal(err)
	}
	key, err := x3dh.GenerateIdentity(rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	leave, err := c.Host(&key)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	_, err = c.Subscribe(transport.PersonalTopic(key.Public()), func(e transport.Envelope, done func(error)) {
		got = append(got, string(e.Payload))
		done(nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); c.Health().CatchingUp; time.Sleep(10 * time.Millisecond) { // live ones wait for it
		if time.Since(began) > time.Minute {
			t.Fatal("not caught up")
		}
	}
	deliver := func(text string) {
		payload, err := envelope.SealFor(rand.NewChaCha8([32]byte{2}), key.Public(), &key, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		m := carrier.Message{Topic: carrier.Topic(topic.Partitioned(key.Public()).Topic().ContentTopic()), Payload: payload}
		receiver{c}.Deliver(carrier.Received{Message: m, At: time.Now().UnixNano()})
	}
	l := c.hosts[key.Public()].leases[0]
	l.key = nil // what no key is
	deliver("poison")
	deliver("poison")
	l.key = &key
	deliver("good")
	if counts := c.Counts(); counts.Panics != 1 || counts.Repeated != 1 || len(got) != 1 || got[0] != "good" {
		t.Errorf("%+v, got %q", counts, got)
	}
	if len(c.underway.arrivals) != 0 || c.hosts[key.Public()].users != 0 {
		t.Errorf("%d under way, %d users of the key", len(c.underway.arrivals), c.hosts[key.Public()].users)
	}
	leave()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
