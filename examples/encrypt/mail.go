package main

import (
	"context"
	"slices"
	"sync"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// mail is where the receiving side gets its messages from: transport.Transport over
// whatever the program has. Here it is a map; it may be HTTP, a queue, a radio.
type mail struct {
	mu    sync.Mutex
	boxes map[transport.Topic][]*box
}

// box is one subscription.
type box struct{ deliver transport.Deliver }

var _ transport.Transport = (*mail)(nil)

func newMail() *mail { return &mail{boxes: make(map[transport.Topic][]*box)} }

// arrived hands a message to its recipient. The program has to know who its sender is:
// by a signature, or because the network says so. It returns nil when the message is
// durable, or refused for good; an error asks to bring it again later.
func (m *mail) arrived(from, to rookery.PublicKey, message []byte) error {
	e := transport.Envelope{Topic: transport.PersonalTopic(to), Sender: from, Payload: message}
	for _, b := range m.at(e.Topic) {
		done := make(chan error, 1)
		b.deliver(e, func(err error) { done <- err })
		if err := <-done; err != nil {
			return err
		}
	}
	return nil
}

func (m *mail) at(topic transport.Topic) []*box {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boxes[topic]
}

// Publish implements transport.Transport. It carries what the engine says by itself:
// contact codes, and its bundle to those whose messages it cannot read.
func (m *mail) Publish(e transport.Envelope, accepted func(error)) {
	for _, b := range m.at(e.Topic) {
		b.deliver(e, func(error) {})
	}
	accepted(nil)
}

// Subscribe implements transport.Transport.
func (m *mail) Subscribe(topic transport.Topic, deliver transport.Deliver) (func(), error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	own := &box{deliver}
	m.boxes[topic] = append(slices.Clone(m.boxes[topic]), own)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.boxes[topic] = slices.DeleteFunc(slices.Clone(m.boxes[topic]), func(b *box) bool { return b == own })
	}, nil
}

// Host implements transport.Transport: this one signs nothing.
func (m *mail) Host(*x3dh.IdentityKey) (func(), error) { return func() {}, nil }

// Forget implements transport.Transport: it keeps nothing.
func (m *mail) Forget(context.Context, x3dh.IdentityPublicKey) error { return nil }

// Close implements transport.Transport.
func (m *mail) Close() error { return nil }
