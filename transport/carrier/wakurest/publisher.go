package wakurest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

const (
	// publishers is how many messages are on their way to the node at once.
	publishers = 4
	// maxQueued and maxQueuedBytes bound what waits to be published.
	maxQueued      = 1024
	maxQueuedBytes = 32 << 20
	// busyPause is how long nothing is published after the node was busy.
	busyPause = 250 * time.Millisecond
)

type publication struct {
	message  carrier.Message
	accepted func(error)
}

// publisher hands messages to the node, each once: who publishes tries again.
type publisher struct {
	ctx   context.Context
	limit *limit
	tried <-chan struct{} // nothing is published before
	send  func(context.Context, *carrier.Message) error
	work  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	bytes  int
	queue  chan publication
}

func newPublisher(ctx context.Context, l *limit, tried <-chan struct{}, send func(context.Context, *carrier.Message) error) *publisher {
	p := &publisher{ctx: ctx, limit: l, tried: tried, send: send, queue: make(chan publication, maxQueued)}
	for range publishers {
		p.work.Go(p.run)
	}
	return p
}

func (p *publisher) publish(m carrier.Message, accepted func(error)) {
	if err := p.enqueue(publication{m, accepted}); err != nil {
		accepted(err)
	}
}

func (p *publisher) enqueue(one publication) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return carrier.ErrClosed
	case p.bytes+len(one.message.Payload) > maxQueuedBytes:
		return fmt.Errorf("%w: %d bytes wait to be published", carrier.ErrBusy, p.bytes)
	}
	select {
	case p.queue <- one:
		p.bytes += len(one.message.Payload)
		return nil
	default:
		return fmt.Errorf("%w: %d messages wait to be published", carrier.ErrBusy, maxQueued)
	}
}

func (p *publisher) run() {
	for one := range p.queue {
		p.mu.Lock()
		p.bytes -= len(one.message.Payload)
		p.mu.Unlock()
		one.accepted(p.one(&one.message))
	}
}

func (p *publisher) one(m *carrier.Message) error {
	select {
	case <-p.tried:
	case <-p.ctx.Done():
	}
	if p.ctx.Err() == nil {
		p.limit.wait(p.ctx)
	}
	if p.ctx.Err() != nil {
		return carrier.ErrClosed
	}
	err := p.send(p.ctx, m)
	switch {
	case err == nil:
		return nil
	case p.ctx.Err() != nil:
		return fmt.Errorf("%w: %w", carrier.ErrClosed, err)
	}
	if errors.Is(err, carrier.ErrBusy) {
		pause := busyPause
		var r *refusal
		if errors.As(err, &r) && r.pause > 0 {
			pause = r.pause
		}
		p.limit.hold(pause)
	}
	return err
}

// close settles what waits, which the end of the context has brought about.
func (p *publisher) close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.queue)
	}
	p.mu.Unlock()
	p.work.Wait()
}
