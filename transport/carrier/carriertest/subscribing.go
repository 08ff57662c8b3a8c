package carriertest

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

var subscribing = map[string]test{
	"TopicsComeAndGoWhileRunning": {run: func(b *bench) {
		topics := b.topics(3)
		p, other := b.open(topics[0]), b.open()
		m := b.message(topics[0])
		other.publish(m)
		p.gets(m)
		for round := range 5 {
			added := topics[1+round%2]
			p.subscribe(added)
			stays, comes := b.message(topics[0]), b.message(added)
			other.publish(stays, comes)
			p.gets(stays, comes)
			p.Unsubscribe(added)
			stays = b.message(topics[0])
			other.publish(stays)
			p.gets(stays)
		}
	}},

	"SubscribingTwiceStaysOnce": {run: func(b *bench) {
		topics := b.topics(2)
		p, other := b.open(topics[0]), b.open()
		p.subscribe(topics[0], topics[0], topics[1])
		p.subscribe(topics...)
		first := b.messages(topics[0], 3)
		other.publish(first...)
		p.gets(first...)
		p.Unsubscribe(topics[1])
		p.Unsubscribe(topics[1], b.topic())
		p.Unsubscribe()
		second := b.messages(topics[0], 3)
		other.publish(second...)
		p.gets(second...)
	}},

	"NothingIsSubscribedOnAnError": {run: func(b *bench) {
		p, other := b.open(), b.open()
		topic, good := b.topic(), b.topic()
		for _, bad := range []carrier.Topic{"", "a b", "tópico", carrier.Topic(strings.Repeat("t", carrier.MaxTopic+1))} {
			b.is(string(bad), p.Subscribe(b.Context(), topic, bad), carrier.ErrMessage)
		}
		b.ok(p.Subscribe(b.Context()))
		p.subscribe(good)
		p.getsOnlyOf(other, good, topic)
	}},

	"SubscribeEndsWithItsContext": {run: func(b *bench) {
		p, other := b.open(), b.open()
		topic, good := b.topic(), b.topic()
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		b.is("subscribe", p.Subscribe(ctx, topic), context.Canceled)
		ctx, cancel = context.WithCancel(b.Context())
		b.ok(p.Subscribe(ctx, good))
		cancel() // it bounds the call, and nothing else
		p.getsOnlyOf(other, good, topic)
	}},

	"UnsubscribedTopicEnds": {
		only: func(n Network) bool { return n.Exact },
		run: func(b *bench) {
			topics := b.topics(2)
			p, other := b.open(topics...), b.open()
			before := []carrier.Message{b.message(topics[0]), b.message(topics[1])}
			other.publish(before...)
			p.gets(before...)
			p.Unsubscribe(topics[0])
			gone, stays := b.message(topics[0]), b.message(topics[1])
			other.publish(gone)
			other.publish(stays)
			p.gets(stays)
			time.Sleep(b.network.Quiet)
			if p.has([]carrier.Message{gone}) != 0 {
				b.Errorf("a message of a topic that was taken away was delivered")
			}
		},
	},

	"ThousandsOfTopics": {past: true, run: func(b *bench) {
		topics := b.topics(2000)
		p, other := b.open(topics[:1990]...), b.open()
		for _, topic := range topics[1990:] {
			p.subscribe(topic)
		}
		var messages []carrier.Message
		for i := 0; i < len(topics); i += 97 {
			messages = append(messages, b.message(topics[i]))
		}
		messages = append(messages, b.message(topics[len(topics)-1]))
		other.publish(messages...)
		p.gets(messages...)
		if b.network.HasHistory {
			other.keepsOf(topics, messages...)
		}
		p.Unsubscribe(topics[1:]...)
		m := b.message(topics[0])
		other.publish(m)
		p.gets(m)
	}},

	// What a network cannot carry it refuses, and never takes for something else.
	"AwkwardTopicsAreCarriedOrRefused": {past: true, run: func(b *bench) {
		p := b.open()
		plain := b.topic()
		p.subscribe(plain)
		var carried []carrier.Message
		for _, tail := range []string{
			".", "..", "/", "//", ".a.", "*", ">", ".*", ".>", ",", ",a", "%", "%2F", "%00", "?a=b&c=d", "#", "+", "$", `"`, `'`, `\`, "<a>", "{}", ":", ";", "~", "!", "A", "a",
			strings.Repeat("x", carrier.MaxTopic-len(plain)),
		} {
			m := b.message(plain + carrier.Topic(tail))
			if err := p.Subscribe(b.Context(), m.Topic); err != nil {
				b.is("subscribe to "+string(m.Topic), err, carrier.ErrMessage)
				b.is("publish on "+string(m.Topic), p.try(m).wait(0), carrier.ErrMessage)
				continue
			}
			p.subscribe(m.Topic) // noted too
			carried = append(carried, m)
		}
		p.publish(carried...)
		p.gets(carried...)
		if b.network.HasHistory {
			for _, m := range carried {
				p.keepsOf([]carrier.Topic{m.Topic}, m)
				if kept := p.kept([]carrier.Topic{m.Topic}, 0, far()); len(kept) != 1 {
					b.Errorf("the history of %s has %d messages, want 1", m.Topic, len(kept))
				}
			}
		}
	}},

	"EverythingAtOnce": {past: true, run: func(b *bench) {
		topic, extra := b.topic(), b.topics(4)
		p, other := b.open(topic), b.open(topic)
		var wait sync.WaitGroup
		messages := make([][]carrier.Message, 2)
		for i := range messages {
			messages[i] = b.messages(topic, 100)
			wait.Go(func() {
				for _, m := range messages[i] {
					if err := p.settled(p.try(m), m); err != nil {
						b.Errorf("publish: %v", err)
					}
				}
			})
		}
		for i := range extra {
			wait.Go(func() {
				for range 50 {
					if err := p.Subscribe(b.Context(), extra[i], topic); err != nil {
						b.Errorf("subscribe: %v", err)
					}
					p.Health()
					p.Unsubscribe(extra[i])
				}
			})
		}
		if b.network.HasHistory {
			wait.Go(func() {
				for range 5 {
					ctx, cancel := b.context()
					if err := p.History(ctx, []carrier.Topic{topic}, 0, far(), func(carrier.Received) error { return nil }); err != nil {
						b.Errorf("history: %v", err)
					}
					cancel()
				}
			})
		}
		b.ends("all that goes on at once", wait.Wait)
		for i := range messages {
			p.gets(messages[i]...)
			other.gets(messages[i]...)
		}
	}},

	"TopicIsSubscribedWhileMessagesCome": {run: func(b *bench) {
		topics := b.topics(20)
		p, other := b.open(), b.open()
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					m := b.message(topics[i%len(topics)])
					other.Publish(m, func(error) {})
				}
			}
		}()
		for _, topic := range topics {
			p.subscribe(topic)
			m := b.message(topic)
			other.publish(m)
			p.gets(m)
		}
		for _, topic := range topics[:10] {
			p.Unsubscribe(topic)
		}
		m := b.message(topics[19])
		other.publish(m)
		p.gets(m)
		close(stop)
		<-done
	}},
}

// getsOnlyOf checks that messages of the one topic come, and none of the other, whose
// Subscribe has failed.
func (p *party) getsOnlyOf(from *party, good, failed carrier.Topic) {
	p.b.Helper()
	foreign, own := p.b.message(failed), p.b.message(good)
	from.publish(foreign)
	from.publish(own)
	p.gets(own)
	if p.b.network.Exact {
		time.Sleep(p.b.network.Quiet)
		if p.has([]carrier.Message{foreign}) != 0 {
			p.b.Errorf("a message of a topic was delivered whose Subscribe has failed")
		}
	}
}
