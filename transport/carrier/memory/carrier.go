package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// Carrier is one member of a network. See carrier.Carrier.
type Carrier struct {
	network *Network
	number  uint64
	running sync.WaitGroup
	wake    chan struct{} // for deliver
	tell    chan struct{} // for settle

	// The rest is guarded by the network's lock.

	receiver carrier.Receiver
	topics   map[carrier.Topic]struct{}
	queue    queue
	gap      int64 // the first place that was missed
	hasGap   bool
	pending  []pending
	cuts     int
	cutAt    int64
	since    time.Time
	closed   bool
}

// pending is a publication whose publisher is told later.
type pending struct {
	due      time.Time
	err      error
	accepted func(error)
}

var _ carrier.Carrier = (*Carrier)(nil)

// Cut cuts the carrier off from the network until restore is called.
func (c *Carrier) Cut() (restore func()) {
	n := c.network
	n.mu.Lock()
	defer n.mu.Unlock()
	n.change(func() { c.cuts++ })
	return sync.OnceFunc(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.change(func() { c.cuts-- })
	})
}

func (c *Carrier) isCut() bool { return c.cuts > 0 || c.network.outages > 0 }

// usable is nil if the network can be reached.
func (c *Carrier) usable() error {
	switch {
	case c.closed:
		return carrier.ErrClosed
	case c.isCut():
		return carrier.ErrUnreachable
	}
	return nil
}

// Publish implements carrier.Carrier.
func (c *Carrier) Publish(m carrier.Message, accepted func(error)) {
	if err := m.Check(); err != nil {
		accepted(err)
		return
	}
	n := c.network
	n.mu.Lock()
	err := c.usable()
	var after time.Duration
	switch {
	case err != nil:
	case len(c.pending) >= n.options.Queue:
		err = fmt.Errorf("%w: %d publications wait", carrier.ErrBusy, len(c.pending))
	default:
		after, err = n.take(m)
	}
	if after > 0 {
		c.pending = append(c.pending, pending{time.Now().Add(after), err, accepted})
		signal(c.tell)
	}
	n.mu.Unlock()
	if after == 0 {
		accepted(err)
	}
}

// settle tells publishers what became of their messages.
func (c *Carrier) settle() {
	for {
		c.network.mu.Lock()
		closed, all := c.closed, c.pending
		var due []pending
		wait := time.Hour
		if closed {
			c.pending = nil
		} else {
			now := time.Now()
			c.pending = slices.DeleteFunc(all, func(p pending) bool {
				left := p.due.Sub(now)
				if left <= 0 {
					due = append(due, p)
				} else {
					wait = min(wait, left)
				}
				return left <= 0
			})
		}
		c.network.mu.Unlock()
		if closed {
			for _, p := range all {
				p.accepted(carrier.ErrClosed)
			}
			return
		}
		for _, p := range due {
			p.accepted(p.err)
		}
		if len(due) == 0 {
			sleep(c.tell, wait)
		}
	}
}

// Receive implements carrier.Carrier.
func (c *Carrier) Receive(r carrier.Receiver) {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	c.receiver = r
}

// Subscribe implements carrier.Carrier.
func (c *Carrier) Subscribe(ctx context.Context, topics ...carrier.Topic) error {
	for _, topic := range topics {
		if err := topic.Check(); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	if c.closed {
		return carrier.ErrClosed
	}
	if c.receiver == nil {
		return fmt.Errorf("%w: subscribed before there is a receiver", carrier.ErrOptions)
	}
	for _, topic := range topics {
		c.topics[topic] = struct{}{}
	}
	return nil
}

// Unsubscribe implements carrier.Carrier.
func (c *Carrier) Unsubscribe(topics ...carrier.Topic) {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	for _, topic := range topics {
		delete(c.topics, topic)
	}
}

// History implements carrier.Carrier.
func (c *Carrier) History(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
	asked := make(map[carrier.Topic]struct{}, len(topics))
	for _, topic := range topics {
		asked[topic] = struct{}{}
	}
	for more := true; more; {
		var found []carrier.Received
		var failed error
		found, since, more, failed = c.page(asked, since, until)
		for _, r := range found {
			if err := c.goesOn(ctx); err != nil {
				return err
			}
			if err := each(r); err != nil {
				return err
			}
		}
		if failed != nil {
			return failed
		}
		if err := c.goesOn(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *Carrier) goesOn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	if c.closed {
		return carrier.ErrClosed
	}
	return nil
}

func (c *Carrier) page(topics map[carrier.Topic]struct{}, since, until int64) (found []carrier.Received, next int64, more bool, err error) {
	n := c.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.options.History.Off {
		return nil, 0, false, carrier.ErrNoHistory
	}
	if err := c.usable(); err != nil {
		return nil, 0, false, err
	}
	n.kept.forget(max(n.at, n.options.Now().UnixNano()))
	return n.kept.ask(topics, since, until)
}

// Health implements carrier.Carrier.
func (c *Carrier) Health() carrier.Health {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	if err := c.usable(); err != nil {
		return carrier.Health{Since: c.since, Err: err}
	}
	return carrier.Health{Ready: true, Peers: 1, Since: c.since}
}

// Close implements carrier.Carrier.
func (c *Carrier) Close() error {
	n := c.network
	n.mu.Lock()
	if !c.closed {
		c.closed, c.since = true, n.options.Now()
		c.queue = queue{}
		n.carriers = slices.DeleteFunc(n.carriers, func(other *Carrier) bool { return other == c })
		signal(c.wake)
		signal(c.tell)
	}
	n.mu.Unlock()
	c.running.Wait()
	return nil
}

// sleep waits until it is woken, or for a time.
func sleep(wake <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-wake:
	case <-timer.C:
	}
}
