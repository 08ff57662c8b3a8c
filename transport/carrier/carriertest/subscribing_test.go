package carriertest

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

var subscribingFaults = []fault{
	{"replaces its topics", "TopicsComeAndGoWhileRunning", func(c *twisted) {
		var last []carrier.Topic
		c.subscribe = func(ctx context.Context, topics ...carrier.Topic) error {
			c.Carrier.Unsubscribe(last...)
			last = topics
			return c.Carrier.Subscribe(ctx, topics...)
		}
	}},
	{"unsubscribes all", "SubscribingTwiceStaysOnce", func(c *twisted) {
		var all []carrier.Topic
		c.subscribe = func(ctx context.Context, topics ...carrier.Topic) error {
			all = append(all, topics...)
			return c.Carrier.Subscribe(ctx, topics...)
		}
		c.unsubscribe = func(topics ...carrier.Topic) {
			if len(topics) == 0 {
				c.Carrier.Unsubscribe(all...)
			}
			c.Carrier.Unsubscribe(topics...)
		}
	}},
	{"subscribes by half", "NothingIsSubscribedOnAnError", func(c *twisted) {
		c.subscribe = func(ctx context.Context, topics ...carrier.Topic) error {
			for _, topic := range topics {
				if err := c.Carrier.Subscribe(ctx, topic); err != nil {
					return err
				}
			}
			return nil
		}
	}},
	{"has no ear for the context", "SubscribeEndsWithItsContext", func(c *twisted) {
		c.subscribe = func(ctx context.Context, topics ...carrier.Topic) error {
			return c.Carrier.Subscribe(context.WithoutCancel(ctx), topics...)
		}
	}},
	{"subscribes although the context has ended", "SubscribeEndsWithItsContext", func(c *twisted) {
		c.subscribe = func(ctx context.Context, topics ...carrier.Topic) error {
			if err := c.Carrier.Subscribe(context.WithoutCancel(ctx), topics...); err != nil {
				return err
			}
			return ctx.Err()
		}
	}},
	{"never unsubscribes", "UnsubscribedTopicEnds", func(c *twisted) {
		c.unsubscribe = func(...carrier.Topic) {}
	}},
	{"has room for few topics", "ThousandsOfTopics", func(c *twisted) {
		n := 0
		c.subscribe = func(ctx context.Context, topics ...carrier.Topic) error {
			topics = topics[:min(len(topics), 1000-n)]
			n += len(topics)
			return c.Carrier.Subscribe(ctx, topics...)
		}
	}},
	{"asks for few topics", "ThousandsOfTopics", func(c *twisted) {
		c.history = func(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
			return c.Carrier.History(ctx, topics[:min(len(topics), 500)], since, until, each)
		}
	}},
	{"takes a comma for the end", "AwkwardTopicsAreCarriedOrRefused", func(c *twisted) {
		c.history = func(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
			for i, topic := range topics {
				if before, _, found := bytes.Cut([]byte(topic), []byte(",")); found {
					topics[i] = carrier.Topic(before)
				}
			}
			return c.Carrier.History(ctx, topics, since, until, each)
		}
	}},
	{"subscribes a little later", "TopicIsSubscribedWhileMessagesCome", func(c *twisted) {
		c.subscribe = func(ctx context.Context, topics ...carrier.Topic) error {
			time.AfterFunc(20*time.Millisecond, func() { _ = c.Carrier.Subscribe(ctx, topics...) })
			return nil
		}
	}},
	{"subscribes anew to take one away", "EverythingAtOnce", func(c *twisted) {
		var mu sync.Mutex
		all := make(map[carrier.Topic]struct{})
		c.subscribe = func(ctx context.Context, topics ...carrier.Topic) error {
			mu.Lock()
			defer mu.Unlock()
			for _, topic := range topics {
				all[topic] = struct{}{}
			}
			return c.Carrier.Subscribe(ctx, topics...)
		}
		c.unsubscribe = func(topics ...carrier.Topic) {
			mu.Lock()
			defer mu.Unlock()
			c.Carrier.Unsubscribe(slices.Collect(maps.Keys(all))...)
			for _, topic := range topics {
				delete(all, topic)
			}
			time.Sleep(100 * time.Microsecond)
			_ = c.Carrier.Subscribe(context.Background(), slices.Collect(maps.Keys(all))...)
		}
	}},
}
