package replay

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/courier"
	"github.com/rookery-im/rookery/x3dh"
)

// client is the courier of one identity over a network that only notes what is
// asked of it: which topics are listened to, and where a message goes.
type client struct {
	own     x3dh.IdentityPublicKey
	store   persistence.Store
	courier *courier.Courier
	network *notes
}

// newClient hosts an identity and listens to what an engine listens to for each:
// its own messages, and the contact codes of its other installations.
func newClient(stores Stores, key *x3dh.IdentityKey) (*client, error) {
	c := &client{own: key.Public(), store: stores(), network: &notes{listened: map[carrier.Topic]bool{}}}
	var err error
	c.courier, err = courier.New(context.Background(), courier.Options{Carrier: c.network, Store: c.store})
	if err != nil {
		_ = c.store.Close()
		return nil, err
	}
	_, err = c.courier.Host(key)
	for _, topic := range []transport.Topic{transport.PersonalTopic(c.own), transport.ContactCodeTopic(c.own)} {
		if err == nil {
			err = c.listen(topic)
		}
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *client) listen(topic transport.Topic) error {
	_, err := c.courier.Subscribe(topic, func(_ transport.Envelope, done func(error)) { done(nil) })
	return err
}

// publish gives the content topics that a message is sent on.
func (c *client) publish(topic transport.Topic, payload []byte, agreed bool) ([]carrier.Topic, error) {
	accepted := make(chan error, 1)
	c.courier.Publish(
		transport.Envelope{Topic: topic, Sender: c.own, Payload: payload, Agreed: agreed},
		func(err error) { accepted <- err },
	)
	err := <-accepted
	return c.network.takeSent(), err
}

// settleEvery is how often it is looked whether a courier has done what it was
// asked.
const settleEvery = 2 * time.Millisecond

// listened gives the content topics that are listened to.
func (c *client) listened() map[carrier.Topic]bool {
	for c.courier.Health().CatchingUp {
		time.Sleep(settleEvery)
	}
	return c.network.subscribed()
}

func (c *client) close() {
	_ = c.courier.Close()
	_ = c.store.Close()
}

// notes is a carrier.Carrier on which nothing ever comes.
type notes struct {
	mu       sync.Mutex
	listened map[carrier.Topic]bool
	sent     []carrier.Topic // since takeSent
}

func (n *notes) Publish(m carrier.Message, accepted func(error)) {
	n.mu.Lock()
	n.sent = append(n.sent, m.Topic)
	n.mu.Unlock()
	accepted(nil)
}

func (n *notes) takeSent() []carrier.Topic {
	n.mu.Lock()
	defer n.mu.Unlock()
	sent := n.sent
	n.sent = nil
	return sent
}

func (n *notes) Subscribe(_ context.Context, topics ...carrier.Topic) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range topics {
		n.listened[t] = true
	}
	return nil
}

func (n *notes) Unsubscribe(topics ...carrier.Topic) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range topics {
		delete(n.listened, t)
	}
}

func (n *notes) subscribed() map[carrier.Topic]bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.listened)
}

func (n *notes) History(context.Context, []carrier.Topic, int64, int64, func(carrier.Received) error) error {
	return carrier.ErrNoHistory
}

func (n *notes) Receive(carrier.Receiver) {}

func (n *notes) Health() carrier.Health { return carrier.Health{Ready: true, Peers: 1} }

func (n *notes) Close() error { return nil }
