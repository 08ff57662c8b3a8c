package carriertest

import (
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

var holding = map[string]test{
	"BlockedReceiverLosesNothingTheHistoryHas": {past: true, run: func(b *bench) {
		topic := b.topic()
		p, other := b.open(topic), b.open(topic)
		p.block()
		messages := b.messages(topic, 1500)
		for part := range slices.Chunk(messages, 100) {
			other.publish(part...)
			other.gets(part...)
		}
		own := b.message(topic)
		b.ends("Publish returns while the receiver is blocked", func() { p.Publish(own, func(error) {}) })
		p.release()
		if b.network.HasHistory {
			p.gets(messages...)
		}
		p.flows(other, topic)
	}},

	"BlockedReceiverHoldsUpNobodyElse": {run: func(b *bench) {
		topic := b.topic()
		p, other := b.open(topic), b.open(topic)
		p.block()
		for range 20 {
			m := b.message(topic)
			other.publish(m)
			other.gets(m)
		}
		p.release()
		p.flows(other, topic)
	}},

	"BlockedReceiverTakesNoMoreMemoryThanAFreeOne": {past: true, only: showsMemory, run: func(b *bench) {
		topic := b.topic()
		p, other := b.openBare(), b.open()
		p.nothing = true
		p.start(topic)
		before := 0
		send := func(many int) {
			before = heap()
			for part := 0; part < many; part += 100 {
				messages := b.messages(topic, 100)
				for i := range messages {
					messages[i].Payload = make([]byte, 12_000)
					messages[i].Payload[0] = byte(i)
				}
				other.publish(messages...)
			}
			time.Sleep(b.network.Quiet)
		}
		send(100) // what it takes once
		send(b.network.Many)
		free := heap() - before
		p.block()
		send(b.network.Many)
		blocked, limit := heap()-before, free+b.network.Many*12_000/2
		for range 20 { // what is still on its way goes, what is queued stays
			if blocked <= limit {
				break
			}
			time.Sleep(b.network.Quiet)
			blocked = min(blocked, heap()-before)
		}
		if blocked > limit {
			b.Errorf("the heap grew by %d bytes with a blocked receiver, by %d with a free one", blocked, free)
		}
		p.release()
	}},
}

// flows waits until new messages are delivered, after some that may be lost.
func (p *party) flows(from *party, topic carrier.Topic) {
	p.b.Helper()
	p.b.eventually("messages are delivered again", func() bool {
		m := p.b.message(topic)
		from.publish(m)
		for range 20 {
			if p.has([]carrier.Message{m}) == 1 {
				return true
			}
			time.Sleep(5 * time.Millisecond)
		}
		return false
	})
}

// heap is how many bytes are in use, when what is on its way out is gone: pools let
// go at the second collection.
func heap() int {
	least := math.MaxInt
	for range 3 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		least = min(least, int(stats.HeapAlloc)) //nolint:gosec // fits
	}
	return least
}
