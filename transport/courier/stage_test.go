package courier_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/courier"
)

// stage is a carrier whose network is the test.
type stage struct {
	mu         sync.Mutex
	receiver   carrier.Receiver
	subscribed map[carrier.Topic]bool
	published  []carrier.Message
	closed     bool

	// What the network answers; nil is a network that takes everything and keeps
	// nothing.
	publish   func(carrier.Message, func(error))
	subscribe func(context.Context, ...carrier.Topic) error
	history   func(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error
}

func (s *stage) Publish(m carrier.Message, accepted func(error)) {
	s.mu.Lock()
	s.published = append(s.published, m)
	f := s.publish
	s.mu.Unlock()
	if f != nil {
		f(m, accepted)
		return
	}
	accepted(m.Check())
}

func (s *stage) Receive(r carrier.Receiver) { s.receiver = r }

func (s *stage) Subscribe(ctx context.Context, topics ...carrier.Topic) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subscribe != nil {
		if err := s.subscribe(ctx, topics...); err != nil {
			return err
		}
	}
	for _, topic := range topics {
		s.subscribed[topic] = true
	}
	return nil
}

func (s *stage) Unsubscribe(topics ...carrier.Topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, topic := range topics {
		delete(s.subscribed, topic)
	}
}

func (s *stage) History(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
	s.mu.Lock()
	f := s.history
	s.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(ctx, topics, since, until, each)
}

func (s *stage) Health() carrier.Health { return carrier.Health{Ready: true, Peers: 1} }

func (s *stage) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// set changes what the network answers.
func (s *stage) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *stage) topics() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.subscribed)
}

// taken are the messages that were published, and forgets them.
func (s *stage) taken() []carrier.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.published
	s.published = nil
	return all
}

// onStage gives a house whose network is the test.
func onStage(t *testing.T, change ...func(*courier.Options)) (*house, *stage) {
	t.Helper()
	s := &stage{subscribed: make(map[carrier.Topic]bool)}
	h := newHouse(t, nil, append(change, func(o *courier.Options) { o.Carrier = s })...)
	return h, s
}

var errScripted = errors.New("as the test wants it")

func noHistory(context.Context, []carrier.Topic, int64, int64, func(carrier.Received) error) error {
	return carrier.ErrNoHistory
}
