package main

import (
	"context"
	"errors"
	"sync"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// line is the transport of the child: all of the network is in the parent.
type line struct {
	trap *trap
	tell func(frame)

	mu        sync.Mutex
	number    uint64
	accepted  map[uint64]func(error)
	listeners map[uint64]transport.Deliver
}

var _ transport.Transport = (*line)(nil)

func newLine(t *trap, tell func(frame)) *line {
	return &line{trap: t, tell: tell, accepted: make(map[uint64]func(error)), listeners: make(map[uint64]transport.Deliver)}
}

// Publish implements transport.Transport.
func (l *line) Publish(e transport.Envelope, accepted func(error)) {
	l.trap.pass(beforePublish)
	l.mu.Lock()
	l.number++
	number := l.number
	l.accepted[number] = accepted
	l.mu.Unlock()
	l.tell(frame{Kind: isPublished, Number: number, Envelope: framed(e)})
}

// Subscribe implements transport.Transport.
func (l *line) Subscribe(topic transport.Topic, deliver transport.Deliver) (func(), error) {
	l.mu.Lock()
	l.number++
	number := l.number
	l.listeners[number] = deliver
	l.mu.Unlock()
	l.tell(frame{Kind: isListening, Number: number, Text: string(topic)})
	return func() {
		l.mu.Lock()
		delete(l.listeners, number)
		l.mu.Unlock()
		l.tell(frame{Kind: isDeaf, Number: number})
	}, nil
}

// Forget implements transport.Transport: it keeps nothing.
func (*line) Forget(context.Context, x3dh.IdentityPublicKey) error { return nil }

// Host implements transport.Transport: who publishes is believed to be the sender.
func (*line) Host(*x3dh.IdentityKey) (func(), error) { return func() {}, nil }

// Close implements transport.Transport. The line ends with the process.
func (l *line) Close() error { return nil }

// take passes on the network's answer to a publication.
func (l *line) take(f frame) {
	l.mu.Lock()
	accepted := l.accepted[f.Number]
	delete(l.accepted, f.Number)
	l.mu.Unlock()
	l.trap.pass(afterPublish)
	if f.Text != "" {
		accepted(errors.New(f.Text))
		return
	}
	accepted(nil)
}

// deliver passes on an envelope.
func (l *line) deliver(f frame) error {
	e, err := f.Envelope.open()
	if err != nil {
		return err
	}
	done := func(err error) {
		answer := frame{Kind: isDone, Number: f.Number}
		if err != nil {
			answer.Text = err.Error()
		}
		l.tell(answer)
	}
	l.mu.Lock()
	listener := l.listeners[f.Target]
	l.mu.Unlock()
	if listener == nil {
		done(errors.New("nobody listens"))
		return nil
	}
	listener(e, done)
	return nil
}
