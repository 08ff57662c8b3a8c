package carriertest

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

var keeping = map[string]test{
	"WithoutHistoryItIsSaid": {
		only: func(n Network) bool { return !n.HasHistory },
		run: func(b *bench) {
			topic := b.topic()
			p := b.open(topic)
			p.publish(b.message(topic))
			ctx, cancel := b.context()
			defer cancel()
			err := p.History(ctx, []carrier.Topic{topic}, 0, far(), func(carrier.Received) error { return nil })
			b.is("history", err, carrier.ErrNoHistory)
		},
	},

	"HistoryHasWhatWasPublishedForThoseWhoComeLater": {only: hasHistory, run: func(b *bench) {
		topics := b.topics(3)
		var messages []carrier.Message
		for i := range 30 {
			messages = append(messages, b.message(topics[i%3]))
		}
		first := b.open()
		first.publish(messages...)
		first.end()
		later := b.open()
		later.keepsOf(topics, messages...)
		for i, topic := range topics {
			kept := later.kept([]carrier.Topic{topic}, 0, far())
			if len(kept) != 10 {
				b.Fatalf("%d messages on topic %d, want 10", len(kept), i)
			}
			for _, r := range kept {
				if r.Topic != topic {
					b.Errorf("history of %s gives a message of %s", topic, r.Topic)
				}
			}
		}
		if kept := later.kept([]carrier.Topic{b.topic()}, 0, far()); len(kept) != 0 {
			b.Errorf("the history of a new topic has %d messages", len(kept))
		}
		if kept := later.kept(nil, 0, far()); len(kept) != 0 {
			b.Errorf("the history of no topics has %d messages", len(kept))
		}
	}},

	"HistoryIsPagedOldestFirst": {only: hasHistory, run: func(b *bench) {
		topics := b.topics(2)
		p := b.open()
		var messages []carrier.Message
		for i := range 350 {
			messages = append(messages, b.message(topics[i%2]))
		}
		p.publish(messages...)
		p.keepsOf(topics, messages...)
		var places []int64
		p.ask(topics, 0, far(), func(r carrier.Received) { places = append(places, r.At) })
		if len(places) > 2*len(messages) { // some may have been published twice
			b.Errorf("%d messages in the history, %d were published", len(places), len(messages))
		}
		if !slices.IsSorted(places) {
			b.Errorf("the history is not oldest first")
		}
	}},

	"HistoryOfOneInstantIsComplete": {only: hasHistory, run: func(b *bench) {
		topic := b.topic()
		p := b.open()
		messages := b.messages(topic, 250)
		for i := range messages {
			messages[i].Time = messages[0].Time
		}
		p.publish(messages...)
		p.keeps(messages...)
	}},

	"HistoryKeepsToItsBounds": {only: hasHistory, run: func(b *bench) {
		topic := b.topic()
		p := b.open()
		for range 12 { // one by one, so that their places differ
			p.publish(b.message(topic))
		}
		b.eventually("the history has them", func() bool { return len(p.kept([]carrier.Topic{topic}, 0, far())) >= 12 })
		kept := p.kept([]carrier.Topic{topic}, 0, far())
		last := kept[len(kept)-1].At
		for _, bound := range [][2]int64{
			{0, math.MaxInt64},
			{math.MinInt64, math.MaxInt64},
			{kept[0].At, last + 1},
			{kept[0].At, last},
			{kept[0].At + 1, last},
			{kept[4].At, kept[8].At},
			{kept[4].At - 1, kept[8].At + 1},
			{kept[5].At, kept[5].At + 1},
			{kept[5].At, kept[5].At},
			{kept[8].At, kept[4].At},
			{last + 1, math.MaxInt64},
			{0, kept[0].At},
		} {
			want := 0
			for _, r := range kept {
				if bound[0] <= r.At && r.At < bound[1] {
					want++
				}
			}
			got := p.kept([]carrier.Topic{topic}, bound[0], bound[1])
			for _, r := range got {
				if r.At < bound[0] || r.At >= bound[1] {
					b.Errorf("asked for [%d, %d), got %d", bound[0], bound[1], r.At)
				}
			}
			if len(got) != want {
				b.Errorf("[%d, %d): %d messages, want %d", bound[0], bound[1], len(got), want)
			}
		}
	}},

	"PlaceOfADeliveryIsItsPlaceInTheHistory": {only: hasHistory, run: func(b *bench) {
		topic := b.topic()
		first, second := b.open(topic), b.open(topic)
		messages := b.messages(topic, 20)
		for i := range messages {
			[]*party{first, second}[i%2].publish(messages[i])
		}
		for _, p := range []*party{first, second} {
			p.gets(messages...)
			p.keeps(messages...)
			for i, m := range messages {
				var places []int64
				for _, r := range p.kept([]carrier.Topic{topic}, p.received(m).At, far()) {
					places = append(places, r.Time)
				}
				for _, later := range messages[i:] {
					if !slices.Contains(places, later.Time) {
						b.Fatalf("the history from the place of message %d on misses one that came later", i)
					}
				}
			}
		}
	}},

	"EphemeralMessagesAreNotKept": {only: hasHistory, run: func(b *bench) {
		topic := b.topic()
		p, other := b.open(topic), b.open(topic)
		passing, stays := b.message(topic), b.message(topic)
		passing.Ephemeral = true
		other.publish(passing)
		other.publish(stays)
		p.gets(passing, stays)
		other.gets(passing, stays)
		for _, r := range []carrier.Received{p.received(passing), other.received(passing)} {
			// Who has dealt with it must not begin long before it.
			if ago := passing.Time - r.At; ago > int64(5*time.Minute) {
				b.Errorf("the place of an ephemeral message is %s before it", time.Duration(ago))
			}
		}
		p.keeps(stays)
		time.Sleep(b.network.Quiet)
		if kept := p.kept([]carrier.Topic{topic}, 0, far()); len(kept) != 1 || kept[0].Time != stays.Time || kept[0].Ephemeral {
			b.Errorf("the history has %d messages, want the one that is not ephemeral", len(kept))
		}
	}},

	"ErrorOfTheCallerStopsHistory": {only: hasHistory, run: func(b *bench) {
		topic := b.topic()
		p := b.open()
		messages := b.messages(topic, 130)
		p.publish(messages...)
		p.keeps(messages...)
		enough := errors.New("enough")
		for _, stop := range []int{1, 2, 99, 100, 101, 130} {
			calls := 0
			ctx, cancel := b.context()
			err := p.History(ctx, []carrier.Topic{topic}, 0, far(), func(carrier.Received) error {
				if calls++; calls == stop {
					return enough
				}
				return nil
			})
			cancel()
			if !errors.Is(err, enough) || calls != stop {
				b.Errorf("stopped at call %d: error %v after %d calls", stop, err, calls)
			}
		}
	}},

	"HistoryEndsWithItsContext": {only: hasHistory, run: func(b *bench) {
		topic := b.topic()
		p := b.open()
		messages := b.messages(topic, 250)
		p.publish(messages...)
		p.keeps(messages...)
		ctx, cancel := context.WithCancel(context.Background())
		calls := 0
		b.ends("History returns", func() {
			err := p.History(ctx, []carrier.Topic{topic}, 0, far(), func(carrier.Received) error {
				if calls++; calls == 5 {
					cancel()
				}
				return nil
			})
			if calls < len(messages) && !errors.Is(err, context.Canceled) {
				b.Errorf("history ended by its context: %v", err)
			}
			err = p.History(ctx, []carrier.Topic{topic}, 0, far(), func(carrier.Received) error {
				b.Errorf("history of an ended context calls")
				return nil
			})
			if !errors.Is(err, context.Canceled) {
				b.Errorf("history of an ended context: %v", err)
			}
		})
	}},

	"HistoryIsAskedByManyWhileOthersPublish": {only: hasHistory, run: func(b *bench) {
		topic := b.topic()
		first, second := b.open(), b.open()
		before := b.messages(topic, 150)
		first.publish(before...)
		first.keeps(before...)
		second.keeps(before...)
		during := b.messages(topic, 150)
		results := second.try(during...)
		var wait sync.WaitGroup
		for i := range 6 {
			wait.Go(func() {
				missing := make(map[carrier.Hash]bool)
				for j := range before {
					missing[before[j].Hash()] = true
				}
				ctx, cancel := b.context()
				defer cancel()
				err := []*party{first, second}[i%2].History(ctx, []carrier.Topic{topic}, 0, far(), func(r carrier.Received) error {
					delete(missing, r.Hash())
					return nil
				})
				if err != nil || len(missing) > 0 {
					b.Errorf("history while others publish misses %d of %d: %v", len(missing), len(before), err)
				}
			})
		}
		b.ends("all histories", wait.Wait)
		for i, m := range during {
			if err := results.wait(i); err != nil {
				second.publish(m)
			}
		}
		first.keeps(during...)
	}},

	"HistoryMayPublishAndAskAgain": {only: hasHistory, run: func(b *bench) {
		topics := b.topics(2)
		p := b.open(topics...)
		messages := b.messages(topics[0], 30)
		p.publish(messages...)
		p.keeps(messages...)
		answer := b.message(topics[1])
		var err error
		b.ends("a history in which another one is asked for", func() {
			calls := 0
			ctx, cancel := b.context()
			defer cancel()
			err = p.History(ctx, topics[:1], 0, far(), func(carrier.Received) error {
				if calls++; calls != 10 {
					return nil
				}
				inner := 0
				if err := p.History(ctx, topics[:1], 0, far(), func(carrier.Received) error { inner++; return nil }); err != nil {
					return err
				}
				if inner < 30 {
					b.Errorf("%d messages for who asks in between", inner)
				}
				return p.settled(p.try(answer), answer)
			})
		})
		b.ok(err)
		p.gets(answer)
	}},

	"HistoryIsNotHeldInMemory": {only: func(n Network) bool { return hasHistory(n) && showsMemory(n) }, run: func(b *bench) {
		topic := b.topic()
		p := b.open()
		total := 0
		for total < b.network.Many {
			messages := b.messages(topic, 100)
			for i := range messages {
				messages[i].Payload = make([]byte, 12_000)
				messages[i].Payload[0] = byte(i)
			}
			p.publish(messages...)
			total += len(messages)
		}
		count := func(each func(n int)) (n int) {
			p.ask([]carrier.Topic{topic}, 0, far(), func(carrier.Received) {
				n++
				each(n)
			})
			return n
		}
		b.eventually("the history has them", func() bool { return count(func(int) {}) >= total })
		before, most := heap(), 0
		count(func(n int) {
			if n%(total/8) == 0 {
				most = max(most, heap()-before)
			}
		})
		if limit := total * 12_000 / 2; most > limit {
			b.Errorf("the heap grew by %d bytes during a history of %d bytes", most, total*12_000)
		}
	}},
}

// kept is what the history has, without payloads, each message once: a network may
// keep one twice that was published twice.
func (p *party) kept(topics []carrier.Topic, since, until int64) []carrier.Received {
	p.b.Helper()
	var kept []carrier.Received
	seen := make(map[carrier.Hash]bool)
	p.ask(topics, since, until, func(r carrier.Received) {
		hash := r.Hash()
		if r.Payload = nil; !seen[hash] {
			seen[hash] = true
			kept = append(kept, r)
		}
	})
	return kept
}

// ask goes through the history.
func (p *party) ask(topics []carrier.Topic, since, until int64, each func(carrier.Received)) {
	p.b.Helper()
	ctx, cancel := p.b.context()
	defer cancel()
	calls := 0
	err := p.History(ctx, topics, since, until, func(r carrier.Received) error {
		calls++
		each(r)
		return nil
	})
	if err != nil {
		p.b.Fatalf("history after %d messages: %v", calls, err)
	}
}

// keeps waits until the history has the messages, all of one topic.
func (p *party) keeps(messages ...carrier.Message) {
	p.b.Helper()
	p.keepsOf([]carrier.Topic{messages[0].Topic}, messages...)
}

// keepsOf waits until the history of the topics has the messages.
func (p *party) keepsOf(topics []carrier.Topic, messages ...carrier.Message) {
	p.b.Helper()
	missing := make(map[carrier.Hash]bool)
	for _, m := range messages {
		missing[m.Hash()] = true
	}
	deadline := time.Now().Add(p.b.network.Patience)
	for {
		p.ask(topics, 0, far(), func(r carrier.Received) { delete(missing, r.Hash()) })
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			p.b.Fatalf("the history misses %d of %d messages after %s", len(missing), len(messages), p.b.network.Patience)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
