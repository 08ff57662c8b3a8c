package jetstream

import (
	"context"
	"fmt"
	"sync"

	"github.com/rookery-im/rookery/transport/carrier"
)

// link is whether there is a connection.
type link struct {
	mu sync.Mutex
	// epoch ends with the connection, or with the carrier; nil if there is none.
	epoch   context.Context
	end     context.CancelCauseFunc
	changed chan struct{} // closed when it comes or goes
}

// tell wakes who waits. The lock is held.
func (l *link) tell() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// now gives the life of the connection, nil if there is none, and what is closed when
// that is not so any more.
func (l *link) now() (epoch context.Context, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch, l.changed
}

// await waits for a connection.
func (l *link) await(ctx context.Context) (context.Context, error) {
	for {
		epoch, changed := l.now()
		if epoch != nil {
			return epoch, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// reachable gives the life of the connection, and why there is none.
func (c *Carrier) reachable() (context.Context, error) {
	if c.ctx.Err() != nil {
		return nil, carrier.ErrClosed
	}
	epoch, _ := c.link.now()
	if epoch == nil {
		return nil, fmt.Errorf("%w: there is no connection", carrier.ErrUnreachable)
	}
	return epoch, nil
}

// while is ctx as long as both last, with the cause of the one that ends.
func while(ctx, other context.Context) (context.Context, context.CancelCauseFunc) {
	both, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(other, func() { cancel(context.Cause(other)) })
	return both, func(cause error) {
		stop()
		cancel(cause)
	}
}
