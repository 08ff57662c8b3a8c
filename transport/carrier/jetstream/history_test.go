package jetstream_test

import (
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/rookery-im/rookery/transport/carrier"
)

// publishFast publishes without waiting for each.
func publishFast(t testing.TB, c carrier.Carrier, all []carrier.Message) {
	t.Helper()
	for len(all) > 0 {
		some := all[:min(1000, len(all))]
		all = all[len(some):]
		var accepted sync.WaitGroup
		accepted.Add(len(some))
		for _, m := range some {
			c.Publish(m, func(err error) {
				defer accepted.Done()
				if err != nil {
					t.Error(err)
				}
			})
		}
		accepted.Wait()
	}
}

// TestHistoryOfFewAndOfManyIsTheSame: whether the server looks for the topics or all
// messages come, be it for how many they are or for what share of all.
func TestHistoryOfFewAndOfManyIsTheSame(t *testing.T) {
	n := newNetwork(t, nil)
	o := n.options()
	o.Filters = 3
	c := n.open(o)
	topics := manyTopics(5)
	var all []carrier.Message
	for i := range 600 {
		all = append(all, message(topics[i%len(topics)]))
		for range 4 {
			all = append(all, message("foreign"))
		}
	}
	publishFast(t, c, all)
	for round := range 2 {
		for _, count := range []int{1, 2, 3, 5} {
			want := 0
			wanted := make(map[carrier.Topic]bool)
			for _, topic := range topics[:count] {
				wanted[topic] = true
			}
			for _, m := range all {
				if wanted[m.Topic] {
					want++
				}
			}
			kept := history(t, c, topics[:count]...)
			for i, r := range kept {
				if !wanted[r.Topic] || i > 0 && r.At < kept[i-1].At {
					t.Fatalf("%d topics: message %d is of %s, at %d", count, i, r.Topic, r.At)
				}
			}
			if len(kept) != want {
				t.Errorf("round %d, %d topics: %d messages, want %d", round, count, len(kept), want)
			}
		}
		// Now they are less than one of twenty.
		more := make([]carrier.Message, 0, 11_500)
		for range 11_000 {
			more = append(more, message("foreign"))
		}
		for i := range 300 {
			more = append(more, message(topics[i%2]))
		}
		publishFast(t, c, more)
		all = append(all, more...)
	}
}

// TestHistoryGoesOnWhenItsConsumerIsGone: as it is when who asks takes his time.
func TestHistoryGoesOnWhenItsConsumerIsGone(t *testing.T) {
	n := newNetwork(t, nil)
	_, admin := n.admin()
	c := n.open(n.options())
	all := messages(topic, 1500)
	publishFast(t, c, all)
	var kept []carrier.Received
	err := c.History(t.Context(), []carrier.Topic{topic}, 0, math.MaxInt64, func(r carrier.Received) error {
		if kept = append(kept, r); len(kept)%400 != 100 {
			return nil
		}
		for _, name := range n.consumers(admin) {
			if err := admin.DeleteConsumer(t.Context(), "rookery", name); err != nil {
				return fmt.Errorf("deleting a consumer: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(kept) != len(all) {
		t.Fatalf("%d messages, want %d", len(kept), len(all))
	}
	for i := range kept {
		if i > 0 && kept[i].At < kept[i-1].At {
			t.Fatalf("message %d is older than the one before", i)
		}
	}
}
