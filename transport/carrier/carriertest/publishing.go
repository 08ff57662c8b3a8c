package carriertest

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

var publishing = map[string]test{
	"MessageReachesOthersAndItsPublisher": {run: func(b *bench) {
		topic := b.topic()
		first, second, third := b.open(topic), b.open(topic), b.open(topic)
		of := b.messages(topic, 10)
		first.publish(of[:5]...)
		second.publish(of[5:]...)
		for _, p := range []*party{first, second, third} {
			p.gets(of...)
		}
	}},

	"MessageArrivesAsItWasPublished": {run: func(b *bench) {
		topic := b.topic()
		first, second := b.open(topic), b.open(topic)
		every := make([]byte, 256)
		for i := range every {
			every[i] = byte(i)
		}
		var messages []carrier.Message
		for _, payload := range [][]byte{{0}, every, bytes.Repeat(every, carrier.MaxPayload/256), make([]byte, carrier.MaxPayload)} {
			for _, ephemeral := range []bool{false, true} {
				m := b.message(topic)
				m.Payload, m.Ephemeral = payload, ephemeral
				messages = append(messages, m)
			}
		}
		hashes := hashesOf(messages)
		for _, m := range messages { // one by one: there need not be room for several
			first.publish(m)
			for _, p := range []*party{first, second} {
				p.gets(m) // topic, payload and time are in the hash
				if got := p.received(m); got.Ephemeral != m.Ephemeral {
					b.Errorf("ephemeral is %t, want %t", got.Ephemeral, m.Ephemeral)
				} else if got.At <= 0 && !m.Ephemeral {
					b.Errorf("At is %d", got.At)
				}
			}
		}
		if !slices.Equal(hashesOf(messages), hashes) {
			b.Errorf("a carrier has changed what was published")
		}
	}},

	"PayloadStaysAsItWasHandedUp": {past: true, run: func(b *bench) {
		topic := b.topic()
		p, other := b.openBare(), b.open()
		var n notes
		p.then = n.add
		p.start(topic)
		for range 3 { // later messages may want the room of earlier ones
			messages := b.messages(topic, 100)
			other.publish(messages...)
			p.gets(messages...)
			if b.network.HasHistory {
				p.keeps(messages...)
				p.ask([]carrier.Topic{topic}, 0, far(), n.add)
			}
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		for i := range n.messages {
			if n.messages[i].Hash() != n.hashes[i] {
				b.Fatalf("message %d of %d that were handed up was changed later", i, len(n.messages))
			}
		}
	}},

	"MessageOutOfBoundsIsRefusedAndChangesNothing": {past: true, run: func(b *bench) {
		topic := b.topic()
		p := b.open(topic)
		good := b.message(topic)
		for name, change := range map[string]func(m *carrier.Message){
			"no topic":              func(m *carrier.Message) { m.Topic = "" },
			"topic too long":        func(m *carrier.Message) { m.Topic = carrier.Topic(strings.Repeat("t", carrier.MaxTopic+1)) },
			"topic with a space":    func(m *carrier.Message) { m.Topic = "/a topic" },
			"topic not ASCII":       func(m *carrier.Message) { m.Topic = "/tópico" },
			"topic with a line":     func(m *carrier.Message) { m.Topic = "/topic\n" },
			"no payload":            func(m *carrier.Message) { m.Payload = nil },
			"payload too long":      func(m *carrier.Message) { m.Payload = make([]byte, carrier.MaxPayload+1) },
			"no time":               func(m *carrier.Message) { m.Time = 0 },
			"time before the epoch": func(m *carrier.Message) { m.Time = -1 },
		} {
			bad := good
			change(&bad)
			b.is(name, p.try(bad).wait(0), carrier.ErrMessage)
		}
		p.publish(good)
		p.gets(good)
		time.Sleep(b.network.Quiet)
		p.mu.Lock()
		for _, r := range p.got {
			if r.Topic.Check() != nil || r.Topic == topic && r.Time != good.Time {
				b.Errorf("a refused message was delivered")
			}
		}
		p.mu.Unlock()
		if !p.Health().Ready {
			b.Errorf("not ready after refused messages: %v", p.Health().Err)
		}
		if b.network.HasHistory {
			p.keeps(good)
			if kept := p.kept([]carrier.Topic{topic}, 0, far()); len(kept) != 1 {
				b.Errorf("the history has %d messages, want 1", len(kept))
			}
		}
	}},

	"ManyPublishersAtOnce": {run: func(b *bench) {
		const publishers, each = 4, 50
		topic := b.topic()
		first, second := b.open(topic), b.open(topic)
		var wait sync.WaitGroup
		all := b.messages(topic, publishers*each)
		for i := range publishers {
			p := []*party{first, second}[i%2]
			results := make(chan *results, each)
			wait.Go(func() {
				for j := range each {
					results <- p.try(all[i*each+j])
				}
				close(results)
			})
			wait.Go(func() {
				j := 0
				for result := range results {
					if err := p.settled(result, all[i*each+j]); err != nil {
						b.Errorf("publish: %v", err)
					}
					j++
				}
			})
		}
		wait.Wait()
		first.gets(all...)
		second.gets(all...)
	}},

	"AcceptedMayPublishAndAsk": {run: func(b *bench) {
		topic := b.topic()
		p := b.open(topic)
		one, two := b.message(topic), b.message(topic)
		done := make(chan *results, 1)
		b.ends("Publish returns", func() {
			p.Publish(one, func(error) {
				p.Health()
				done <- p.try(two)
			})
		})
		select {
		case r := <-done:
			p.b.ok(p.settled(r, two))
		case <-time.After(b.network.Patience):
			b.Fatal("publishing from accepted does not return")
		}
		p.publish(one)
		p.gets(one, two)
	}},

	"ReceiverMayPublish": {run: func(b *bench) {
		topic := b.topic()
		p := b.openBare()
		question, answer := b.message(topic), b.message(topic)
		answered := make(chan *results, 1)
		p.then = func(r carrier.Received) {
			if r.Time == question.Time {
				select {
				case answered <- p.try(answer):
				default: // delivered again
				}
			}
		}
		p.start(topic)
		p.publish(question)
		select {
		case r := <-answered:
			b.ok(p.settled(r, answer))
		case <-time.After(b.network.Patience):
			b.Fatal("publishing by a receiver does not return")
		}
		p.gets(question, answer)
	}},

	"MessagePublishedTwiceIsOneMessage": {run: func(b *bench) {
		topic := b.topic()
		p := b.open(topic)
		m, after := b.message(topic), b.message(topic)
		p.publish(m)
		p.publish(m)
		p.publish(after)
		p.gets(m, after)
	}},
}

// notes are messages that were handed up, and what they were then.
type notes struct {
	mu       sync.Mutex
	messages []carrier.Received
	hashes   []carrier.Hash
}

func (n *notes) add(r carrier.Received) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.messages = append(n.messages, r)
	n.hashes = append(n.hashes, r.Hash())
}

func hashesOf(messages []carrier.Message) []carrier.Hash {
	hashes := make([]carrier.Hash, len(messages))
	for i := range messages {
		hashes[i] = messages[i].Hash()
	}
	return hashes
}
