package carriertest

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

var keepingFaults = []fault{
	{"gives one page", "HistoryIsPagedOldestFirst", asking(func(all []carrier.Received) []carrier.Received {
		return all[:min(len(all), 100)]
	})},
	{"mixes up pages", "HistoryIsPagedOldestFirst", asking(func(all []carrier.Received) []carrier.Received {
		if len(all) > 150 {
			all[130], all[100] = all[100], all[130]
		}
		return all
	})},
	{"goes on from the time of the last message", "HistoryOfOneInstantIsComplete", asking(func(all []carrier.Received) []carrier.Received {
		var found []carrier.Received
		for i, r := range all {
			if i < 100 || r.Time > all[99].Time {
				found = append(found, r)
			}
		}
		return found
	})},
	{"repeats itself", "HistoryIsPagedOldestFirst", asking(func(all []carrier.Received) []carrier.Received {
		return append(append(append([]carrier.Received(nil), all...), all...), all...)
	})},
	{"gives the newest first", "HistoryIsPagedOldestFirst", asking(func(all []carrier.Received) []carrier.Received {
		slices.Reverse(all)
		return all
	})},
	{"does not look at topics", "HistoryHasWhatWasPublishedForThoseWhoComeLater", func(c *twisted) {
		var all []carrier.Topic
		c.history = func(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
			all = append(all, topics...)
			return c.Carrier.History(ctx, all, since, until, each)
		}
	}},
	{"includes until", "HistoryKeepsToItsBounds", func(c *twisted) {
		c.history = func(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
			return c.Carrier.History(ctx, topics, since, max(until, until+1), each)
		}
	}},
	{"excludes since", "HistoryKeepsToItsBounds", func(c *twisted) {
		c.history = func(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
			return c.Carrier.History(ctx, topics, since+1, until, each)
		}
	}},
	{"counts in microseconds", "HistoryKeepsToItsBounds", func(c *twisted) {
		c.history = func(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
			return c.Carrier.History(ctx, topics, since*1000/1000, until, each)
		}
	}},
	{"takes its own clock for the place", "PlaceOfADeliveryIsItsPlaceInTheHistory", delivering(func(to carrier.Receiver, r carrier.Received) {
		r.At += int64(time.Minute)
		to.Deliver(r)
	})},
	{"keeps ephemeral messages", "EphemeralMessagesAreNotKept", func(c *twisted) {
		c.publish = func(m carrier.Message, accepted func(error)) {
			m.Ephemeral = false
			c.Carrier.Publish(m, accepted)
		}
	}},
	{"swallows errors", "ErrorOfTheCallerStopsHistory", func(c *twisted) {
		c.history = func(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
			return c.Carrier.History(ctx, topics, since, until, func(r carrier.Received) error {
				_ = each(r)
				return nil
			})
		}
	}},
	{"does not look at the context", "HistoryEndsWithItsContext", func(c *twisted) {
		c.history = func(_ context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
			return c.Carrier.History(context.Background(), topics, since, until, each)
		}
	}},
	{"holds a lock while it gives its history", "HistoryMayPublishAndAskAgain", func(c *twisted) {
		var mu sync.Mutex
		c.history = func(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
			mu.Lock()
			defer mu.Unlock()
			return c.Carrier.History(ctx, topics, since, until, each)
		}
	}},
	{"gets lost when asked by many", "HistoryIsAskedByManyWhileOthersPublish", func(c *twisted) {
		var running atomic.Int64
		c.history = func(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
			defer running.Add(-1)
			if running.Add(1) > 1 {
				return nil
			}
			time.Sleep(time.Millisecond)
			return c.Carrier.History(ctx, topics, since, until, each)
		}
	}},
	{"has no history", "HistoryHasWhatWasPublishedForThoseWhoComeLater", func(c *twisted) {
		c.history = func(context.Context, []carrier.Topic, int64, int64, func(carrier.Received) error) error {
			return carrier.ErrNoHistory
		}
	}},
	{"holds its history in memory", "HistoryIsNotHeldInMemory", asking(func(all []carrier.Received) []carrier.Received {
		for i := range all {
			all[i].Payload = slices.Clone(all[i].Payload)
		}
		return all
	})},
	{"does not say that it has no history", "WithoutHistoryItIsSaid", func(*twisted) {}},
}
