package wakurelay

import (
	"sync"

	"github.com/rookery-im/rookery/transport/carrier"
)

// inbox is what waits for the receiver. The router must not be held up: what finds no
// room is dropped, and told of once there is room again.
type inbox struct {
	most, mostBytes int

	mu       sync.Mutex
	changed  sync.Cond
	receiver carrier.Receiver
	waiting  []carrier.Received
	bytes    int
	missed   int64 // the first place that was missed
	hasGap   bool
	closed   bool
}

func newInbox(most, mostBytes int) *inbox {
	b := &inbox{most: most, mostBytes: mostBytes}
	b.changed.L = &b.mu
	return b
}

func (b *inbox) receive(r carrier.Receiver) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.receiver = r
	b.changed.Signal()
}

func (b *inbox) hasReceiver() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.receiver != nil
}

// push never waits.
func (b *inbox) push(r carrier.Received) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) >= b.most || b.bytes+len(r.Payload) > b.mostBytes {
		b.note(r.At)
		return
	}
	b.waiting = append(b.waiting, r)
	b.bytes += len(r.Payload)
	b.changed.Signal()
}

// miss notes that messages since a place are missing.
func (b *inbox) miss(since int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.note(since)
	b.changed.Signal()
}

func (b *inbox) note(since int64) {
	if !b.hasGap || since < b.missed {
		b.missed, b.hasGap = since, true
	}
}

// deliver hands up what comes until the inbox is closed.
func (b *inbox) deliver() {
	for {
		receiver, r, gap, ok := b.next()
		switch {
		case !ok:
			return
		case gap:
			receiver.Gap(r.At)
		default:
			receiver.Deliver(r)
		}
	}
}

// next waits for what is to be handed up: a gap since r.At, or a message.
func (b *inbox) next() (receiver carrier.Receiver, r carrier.Received, gap, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.closed && (b.receiver == nil || len(b.waiting) == 0 && !b.hasGap) {
		b.changed.Wait()
	}
	switch {
	case b.closed:
		return nil, r, false, false
	// Once there is room for what comes, not at each message.
	case b.hasGap && len(b.waiting) <= b.most/2 && b.bytes <= b.mostBytes/2:
		b.hasGap = false
		r.At = b.missed
		return b.receiver, r, true, true
	}
	r = b.waiting[0]
	b.waiting[0] = carrier.Received{} // the array stays for a while, the payload need not
	b.waiting = b.waiting[1:]
	b.bytes -= len(r.Payload)
	return b.receiver, r, false, true
}

func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.waiting = nil
	b.changed.Broadcast()
}
