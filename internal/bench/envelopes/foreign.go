package envelopes

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-im/rookery/internal/bench/measure"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/courier"
	"github.com/rookery-im/rookery/transport/envelope"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

// Options are what is measured with.
type Options struct {
	// Store makes the store of a courier, in memory.
	Store func() persistence.Store
	// Hosted are the numbers of identities that couriers host.
	Hosted []int
}

// envelopes is how many are made before they are delivered, again and again.
const envelopes = 256

var errForeign = errors.New("not all envelopes were for somebody else")

// foreign is what an envelope costs that is for somebody else on the partitioned
// topic of a hosted identity. Two identities share one with 10,000, twenty with
// 100,000; the envelopes are drawn evenly over the topics that have one.
func foreign(o Options, hosted int) measure.Comparison {
	return measure.Comparison{
		ID: fmt.Sprint("foreign-", hosted), Title: foreignTitle(hosted), Basis: measure.Processor,
		Open: func(ctx context.Context) (measure.Opened, error) {
			p, err := newPeople()
			if err != nil {
				return measure.Opened{}, err
			}
			strange, err := forStranger()
			if err != nil {
				return measure.Opened{}, err
			}
			c, network, topics, err := crowd(ctx, o.Store(), hosted)
			if err != nil {
				return measure.Opened{}, err
			}
			i := 0
			deliver := func() error {
				now := time.Now().UnixNano()
				m := carrier.Message{Topic: topics[i%len(topics)], Payload: strange[i%envelopes], Time: now + int64(i)}
				network.receiver.Deliver(carrier.Received{Message: m, At: now})
				if i++; i%envelopes == 0 && c.Counts().Foreign != uint64(i) { //nolint:gosec // a count
					return fmt.Errorf("%w: %d of %d", errForeign, c.Counts().Foreign, i)
				}
				return nil
			}
			return measure.Opened{Ways: []measure.Way{p.each(deliver), p.oneTrial()}, Close: c.Close}, nil
		},
	}
}

// oneTrial is what each identity costs that may be the recipient.
func (p *people) oneTrial() measure.Way { return measure.Each("one multiplication", p.multiply) }

func forStranger() ([][]byte, error) {
	sender, err1 := x3dh.GenerateIdentity(rand.Reader)
	stranger, err2 := x3dh.GenerateIdentity(rand.Reader)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	sealed := make([][]byte, envelopes)
	for i := range sealed {
		var err error
		if sealed[i], err = envelope.SealFor(rand.Reader, stranger.Public(), &sender, make([]byte, dataSize)); err != nil {
			return nil, err
		}
	}
	return sealed, nil
}

// crowd is a courier that hosts many identities, its carrier, and the topics that they
// are on, each once.
func crowd(ctx context.Context, store persistence.Store, n int) (_ *courier.Courier, _ *still, topics []carrier.Topic, err error) {
	network := &still{}
	c, err := courier.New(ctx, courier.Options{Carrier: network, Store: store})
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	deliver := func(_ transport.Envelope, done func(error)) { done(nil) }
	for range n {
		if err := ctx.Err(); err != nil {
			return nil, nil, nil, err
		}
		key, err := x3dh.GenerateIdentity(rand.Reader)
		if err != nil {
			return nil, nil, nil, err
		}
		if _, err := c.Host(&key); err != nil {
			return nil, nil, nil, err
		}
		for _, t := range []transport.Topic{transport.PersonalTopic(key.Public()), transport.ContactCodeTopic(key.Public())} {
			if _, err := c.Subscribe(t, deliver); err != nil {
				return nil, nil, nil, err
			}
		}
		topics = append(topics, carrier.Topic(topic.Partitioned(key.Public()).Topic().ContentTopic()))
	}
	slices.Sort(topics)
	for c.Health().CatchingUp {
		select {
		case <-ctx.Done():
			return nil, nil, nil, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return c, network, slices.Compact(topics), nil
}

// still is a carrier on which nothing happens but what is given to its receiver.
type still struct{ receiver carrier.Receiver }

// Publish implements carrier.Carrier.
func (*still) Publish(m carrier.Message, accepted func(error)) { accepted(m.Check()) }

// Receive implements carrier.Carrier.
func (s *still) Receive(r carrier.Receiver) { s.receiver = r }

// Subscribe implements carrier.Carrier.
func (*still) Subscribe(context.Context, ...carrier.Topic) error { return nil }

// Unsubscribe implements carrier.Carrier.
func (*still) Unsubscribe(...carrier.Topic) {}

// History implements carrier.Carrier.
func (*still) History(context.Context, []carrier.Topic, int64, int64, func(carrier.Received) error) error {
	return nil
}

// Health implements carrier.Carrier.
func (*still) Health() carrier.Health { return carrier.Health{Ready: true, Peers: 1} }

// Close implements carrier.Carrier.
func (*still) Close() error { return nil }
