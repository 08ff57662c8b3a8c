package carriertest

import (
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// party is a carrier and who takes what it hands up.
type party struct {
	b *bench
	carrier.Carrier

	mu      sync.Mutex
	topics  []carrier.Topic
	got     map[carrier.Hash]carrier.Received // without payloads, which the hashes tell
	calls   int
	hold    chan struct{}          // Deliver waits for it to be closed, if there is one
	then    func(carrier.Received) // called by Deliver, if there is one
	gap     int64                  // the earliest Gap that was not looked after
	hasGap  bool
	closed  bool
	nothing bool // what comes is not kept: tests of memory
}

// open opens a carrier that is ready.
func (b *bench) open(topics ...carrier.Topic) *party {
	b.Helper()
	p := b.openBare()
	p.start(topics...)
	return p
}

// openBare opens a carrier, and nothing else.
func (b *bench) openBare() *party {
	b.Helper()
	p := &party{b: b, Carrier: b.network.Open(b), got: make(map[carrier.Hash]carrier.Received)}
	b.Cleanup(func() {
		p.release()
		p.end()
	})
	return p
}

// start waits until the carrier is ready.
func (p *party) start(topics ...carrier.Topic) {
	p.b.Helper()
	p.Receive(p)
	p.isReady()
	p.subscribe(topics...)
}

func (p *party) isReady() {
	p.b.Helper()
	p.b.eventually("the carrier is ready", func() bool { return p.Health().Ready })
}

func (p *party) isCutOff() {
	p.b.Helper()
	p.b.eventually("the carrier notices that it is cut off", func() bool { return !p.Health().Ready })
}

func (p *party) subscribe(topics ...carrier.Topic) {
	p.b.Helper()
	p.mu.Lock()
	p.topics = append(p.topics, topics...)
	p.mu.Unlock()
	if len(topics) > 0 {
		p.b.ok(p.Subscribe(p.b.Context(), topics...))
	}
}

// Deliver implements carrier.Receiver.
func (p *party) Deliver(r carrier.Received) {
	p.mu.Lock()
	if p.closed {
		p.b.Errorf("delivered after Close: %d bytes on %s", len(r.Payload), r.Topic)
	}
	p.calls++
	if !p.nothing {
		p.note(r)
	}
	hold, then := p.hold, p.then
	p.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if then != nil {
		then(r)
	}
}

func (p *party) note(r carrier.Received) {
	hash := r.Hash()
	r.Payload = nil
	p.got[hash] = r
}

// Gap implements carrier.Receiver.
func (p *party) Gap(since int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		p.b.Errorf("Gap after Close")
	}
	if !p.hasGap || since < p.gap {
		p.gap, p.hasGap = since, true
	}
}

// block makes Deliver wait until release is called.
func (p *party) block() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = make(chan struct{})
}

func (p *party) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hold != nil {
		close(p.hold)
		p.hold = nil
	}
}

// end closes the carrier; nothing may be delivered from then on.
func (p *party) end() {
	p.b.Helper()
	var err error
	p.b.ends("Close returns", func() { err = p.Close() })
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	if err != nil {
		p.b.Errorf("Close: %v", err)
	}
}

// has tells how many of the messages were delivered, or found after a Gap.
func (p *party) has(messages []carrier.Message) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for i := range messages {
		if _, ok := p.got[messages[i].Hash()]; ok {
			n++
		}
	}
	return n
}

func (p *party) received(m carrier.Message) carrier.Received {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got[m.Hash()]
}

func (p *party) deliveries() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// gets waits until the messages are there: delivered, or in the history from a Gap on.
func (p *party) gets(messages ...carrier.Message) {
	p.b.Helper()
	deadline := time.Now().Add(p.b.network.Patience)
	for p.has(messages) < len(messages) {
		p.fill()
		if time.Now().After(deadline) {
			p.b.Fatalf("%d of %d messages after %s (a Gap was told: %t)", p.has(messages), len(messages), p.b.network.Patience, p.hasGap)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// fill looks for messages in the history from the earliest Gap on, each time anew:
// a message that is accepted may be in the history a little later.
func (p *party) fill() {
	p.b.Helper()
	p.mu.Lock()
	hasGap, since, topics := p.hasGap, p.gap, p.topics
	p.mu.Unlock()
	if !hasGap || !p.b.network.HasHistory {
		return
	}
	ctx, cancel := p.b.context()
	defer cancel()
	err := p.History(ctx, topics, since, far(), func(r carrier.Received) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.note(r)
		return nil
	})
	if err != nil && !carrier.Retriable(err) {
		p.b.Fatalf("history after a gap: %v", err)
	}
	time.Sleep(20 * time.Millisecond)
}

// publish hands messages to the network until it has taken all of them.
func (p *party) publish(messages ...carrier.Message) {
	p.b.Helper()
	deadline := time.Now().Add(p.b.network.Patience)
	for len(messages) > 0 {
		results := p.try(messages...)
		var again []carrier.Message
		for i := range messages {
			switch err := results.wait(i); {
			case err == nil:
			case carrier.Retriable(err) && time.Now().Before(deadline):
				again = append(again, messages[i])
			default:
				p.b.Fatalf("publish: %v", err)
			}
		}
		if messages = again; len(again) > 0 {
			time.Sleep(20 * time.Millisecond)
		}
	}
}
