package rookery_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/memory"
	"github.com/rookery-im/rookery/x3dh"
)

// early is a network that calls somebody when it is to host an identity.
type early struct {
	*memory.Network
	hosting func()
	// listening is how many subscriptions there are to each topic.
	mu        sync.Mutex
	listening map[transport.Topic]int
}

func (e *early) Host(key *x3dh.IdentityKey) (func(), error) {
	e.hosting()
	return e.Network.Host(key)
}

func (e *early) Subscribe(topic transport.Topic, deliver transport.Deliver) (func(), error) {
	cancel, err := e.Network.Subscribe(topic, deliver)
	e.count(topic, 1)
	return func() { cancel(); e.count(topic, -1) }, err
}

func (e *early) to(topic transport.Topic) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.listening[topic]
}

func (e *early) count(topic transport.Topic, change int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listening[topic] += change
}

// TestWhoJoinsBeforeTheIdentityIsHostedIsNotForgotten: an identity that is being made can
// be found, and may listen to something already when it comes to listen to its own topics.
func TestWhoJoinsBeforeTheIdentityIsHostedIsNotForgotten(t *testing.T) {
	const chat = "somewhere"
	var w *world
	network := &early{Network: memory.New(1, memory.Faults{}), listening: make(map[transport.Topic]int)}
	joined := 0
	network.hosting = func() {
		for _, i := range w.engine.Identities() {
			if err := i.Join(chat); err != nil {
				t.Error(err)
			}
			joined++
		}
	}
	w = newWorldWatchedBy(nil, t, backends[0], func(o *rookery.Options) { o.Transport = network })
	somebody := w.at(w.person(1)[0])
	topic := transport.PublicTopic(chat)
	if err := somebody.Join(chat); err != nil || joined != 1 || network.to(topic) != 1 {
		t.Errorf("joined early %d times, %d subscriptions, error %v", joined, network.to(topic), err)
	}
	somebody.Leave(chat)
	if n := network.to(topic); n != 0 {
		t.Errorf("%d subscriptions are left", n)
	}
}

// held is a network in which who subscribes to a topic waits until it is said what comes
// of it.
type held struct {
	*early
	topic transport.Topic
	begun chan chan error
}

func (h *held) Subscribe(topic transport.Topic, deliver transport.Deliver) (func(), error) {
	if topic == h.topic {
		outcome := make(chan error)
		h.begun <- outcome
		if err := <-outcome; err != nil {
			return nil, err
		}
	}
	return h.early.Subscribe(topic, deliver)
}

// Who joins, leaves and joins again while the network is slow to subscribe listens once,
// whatever comes of what was left and whenever, and not at all after leaving again.
func TestJoiningAgainWhileTheNetworkIsSlowListensOnce(t *testing.T) {
	const chat = "somewhere"
	for name, test := range map[string]struct {
		left  error // what comes of what was left
		first bool  // that is known first
	}{
		"taken first": {nil, true}, "taken last": {nil, false},
		"refused first": {errors.New("no network"), true}, "refused last": {errors.New("no network"), false},
	} {
		t.Run(name, func(t *testing.T) {
			network := &held{
				early: &early{Network: memory.New(1, memory.Faults{}), hosting: func() {}, listening: make(map[transport.Topic]int)},
				topic: transport.PublicTopic(chat), begun: make(chan chan error),
			}
			w := newWorldWatchedBy(nil, t, backends[0], func(o *rookery.Options) { o.Transport = network })
			somebody := w.at(w.person(1)[0])
			join := func() (outcome, joined chan error) {
				joined = make(chan error, 1)
				go func() { joined <- somebody.Join(chat) }()
				select {
				case outcome = <-network.begun:
				case err := <-joined:
					t.Fatalf("joined without a subscription, error %v", err)
				}
				return outcome, joined
			}
			left, leftJoined := join()
			somebody.Leave(chat)
			again, againJoined := join()
			settleLeft := func() {
				left <- test.left
				if err := <-leftJoined; !errors.Is(err, test.left) {
					t.Error(err)
				}
			}
			if test.first {
				settleLeft()
			}
			again <- nil
			if err := <-againJoined; err != nil {
				t.Error(err)
			}
			if !test.first {
				settleLeft()
			}
			if n := network.to(network.topic); n != 1 {
				t.Errorf("%d subscriptions", n)
			}
			somebody.Leave(chat)
			if n := network.to(network.topic); n != 0 {
				t.Errorf("%d subscriptions are left", n)
			}
		})
	}
}

// Who joins while the engine is closed is told so, and nothing is left of it.
func TestWhoJoinsWhileTheEngineClosesIsTold(t *testing.T) {
	const chat = "somewhere"
	network := &held{
		early: &early{Network: memory.New(1, memory.Faults{}), hosting: func() {}, listening: make(map[transport.Topic]int)},
		topic: transport.PublicTopic(chat), begun: make(chan chan error),
	}
	w := newWorldWatchedBy(nil, t, backends[0], func(o *rookery.Options) { o.Transport = network })
	somebody := w.at(w.person(1)[0])
	joined := make(chan error, 1)
	go func() { joined <- somebody.Join(chat) }()
	outcome := <-network.begun
	w.close()
	outcome <- nil
	if err := <-joined; !errors.Is(err, rookery.ErrClosed) {
		t.Errorf("joined with error %v", err)
	}
	if n := network.to(network.topic); n != 0 {
		t.Errorf("%d subscriptions are left", n)
	}
}
