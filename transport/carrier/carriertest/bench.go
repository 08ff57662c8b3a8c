package carriertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// bench is one test's network with the assertions that it needs.
type bench struct {
	testing.TB
	network Network

	mu    sync.Mutex
	clock int64
	count int
}

func newBench(t testing.TB, n Network) *bench {
	if n.Patience == 0 {
		n.Patience = 20 * time.Second
	}
	if n.Quiet == 0 {
		n.Quiet = 150 * time.Millisecond
	}
	if n.Many == 0 {
		n.Many = 2000
	}
	return &bench{TB: t, network: n}
}

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) is(what string, err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Fatalf("%s: got error %v, want %v", what, err, want)
	}
}

// now is a new point in time at each call.
func (b *bench) now() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = max(b.clock+1, time.Now().UnixNano())
	return b.clock
}

// topic is one that nobody else uses.
func (b *bench) topic() carrier.Topic {
	return carrier.Topic(fmt.Sprintf("/rookery/1/%x/test", b.now()))
}

func (b *bench) topics(n int) []carrier.Topic {
	topics := make([]carrier.Topic, n)
	for i := range topics {
		topics[i] = b.topic()
	}
	return topics
}

// message is a new one.
func (b *bench) message(topic carrier.Topic) carrier.Message {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count++
	return carrier.Message{Topic: topic, Payload: fmt.Appendf(nil, "message %d", b.count), Time: now}
}

func (b *bench) messages(topic carrier.Topic, n int) []carrier.Message {
	messages := make([]carrier.Message, n)
	for i := range messages {
		messages[i] = b.message(topic)
	}
	return messages
}

// eventually waits until something holds.
func (b *bench) eventually(what string, holds func() bool) {
	b.Helper()
	for deadline := time.Now().Add(b.network.Patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("not within %s: %s", b.network.Patience, what)
		}
	}
}

// ends waits until f has returned.
func (b *bench) ends(what string, f func()) {
	b.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	b.closes(what, done)
}

func (b *bench) closes(what string, done <-chan struct{}) {
	b.Helper()
	select {
	case <-done:
	case <-time.After(b.network.Patience):
		b.Fatalf("not within %s: %s", b.network.Patience, what)
	}
}

// far is after everything that is published.
func far() int64 { return time.Now().Add(time.Hour).UnixNano() }

func (b *bench) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), b.network.Patience)
}
