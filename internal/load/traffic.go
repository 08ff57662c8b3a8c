package load

import (
	"sync"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
)

// traffic counts what is handed to the network.
type traffic struct{ messages, bytes counter }

func (t *traffic) count(payload int) {
	t.messages.add(payload, 1)
	t.bytes.add(payload, int64(payload))
}

// counted is a transport whose traffic is counted, and which keeps what is for those
// who are away.
type counted struct {
	transport.Transport
	traffic *traffic
	history *history // nil: the transport keeps by itself, or nobody goes away
}

// Publish implements transport.Transport.
func (c counted) Publish(e transport.Envelope, accepted func(error)) {
	c.traffic.count(len(e.Payload))
	if c.history != nil && c.history.keep(e) {
		accepted(nil)
		return
	}
	c.Transport.Publish(e, accepted)
}

// Subscribe implements transport.Transport.
func (c counted) Subscribe(topic transport.Topic, deliver transport.Deliver) (func(), error) {
	cancel, err := c.Transport.Subscribe(topic, deliver)
	if err != nil || c.history == nil {
		return cancel, err
	}
	for _, e := range c.history.joined(topic) {
		c.Transport.Publish(e, func(error) {})
	}
	var once sync.Once
	return func() { once.Do(func() { c.history.left(topic); cancel() }) }, nil
}

// history keeps what is published on topics that somebody has left, until all who
// were there are back: what real networks do by themselves.
type history struct {
	mu     sync.Mutex
	topics map[transport.Topic]*audience
}

// audience is who listens to one topic.
type audience struct {
	listening int
	most      int // that ever did
	kept      []transport.Envelope
}

func newHistory() *history { return &history{topics: make(map[transport.Topic]*audience)} }

// keep tells whether somebody is away whom it is for.
func (h *history) keep(e transport.Envelope) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.topics[e.Topic]
	if a == nil || a.listening == a.most {
		return false
	}
	a.kept = append(a.kept, e)
	return true
}

// joined gives what was kept, when the last is back.
func (h *history) joined(topic transport.Topic) []transport.Envelope {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.topics[topic]
	if a == nil {
		a = &audience{}
		h.topics[topic] = a
	}
	a.listening++
	a.most = max(a.most, a.listening)
	if a.listening < a.most {
		return nil
	}
	kept := a.kept
	a.kept = nil
	return kept
}

func (h *history) left(topic transport.Topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.topics[topic].listening--
}

// countedCarrier is a carrier whose traffic is counted.
type countedCarrier struct {
	carrier.Carrier
	traffic *traffic
}

// Publish implements carrier.Carrier.
func (c countedCarrier) Publish(m carrier.Message, accepted func(error)) {
	c.traffic.count(len(m.Payload))
	c.Carrier.Publish(m, accepted)
}
