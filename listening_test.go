package rookery_test

import (
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
