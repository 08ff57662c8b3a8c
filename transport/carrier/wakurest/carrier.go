package wakurest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// Carrier is a carrier.Carrier that uses a node over REST.
type Carrier struct {
	o         Options
	node      *node
	history   *History
	publisher *publisher
	light     *light // nil for a node that relays
	gaps      gaps

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup
	once sync.Once

	mu       sync.Mutex
	receiver carrier.Receiver
	topics   map[carrier.Topic]struct{} // relay only
	health   carrier.Health
	tried    chan struct{} // closed once it is known whether the node answers
	closed   bool
}

var _ carrier.Carrier = (*Carrier)(nil)

// New makes a carrier and returns at once; Health tells when the node has answered.
func New(o Options) (*Carrier, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Carrier{
		o:      o,
		node:   newNode(o),
		topics: make(map[carrier.Topic]struct{}),
		tried:  make(chan struct{}),
		health: carrier.Health{Since: time.Now()},
	}
	c.history = newHistory(o, c.node)
	c.ctx, c.stop = context.WithCancel(context.Background())
	send := c.relay
	if o.Light {
		c.light = newLight(c)
		send = c.light.push
		c.work.Go(c.light.subscribeAll)
		c.work.Go(c.light.readAll)
	} else {
		c.work.Go(newRelayed(c).readAll)
	}
	c.publisher = newPublisher(c.ctx, newLimit(o.Rate, o.Burst), c.tried, send)
	return c, nil
}

// Format implements fmt.Formatter: no verb shows the password.
func (c *Carrier) Format(s fmt.State, verb rune) { c.o.Format(s, verb) }

// Publish implements carrier.Carrier.
func (c *Carrier) Publish(m carrier.Message, accepted func(error)) {
	if err := m.Check(); err != nil {
		accepted(err)
		return
	}
	if err := checkTopic(m.Topic); err != nil {
		accepted(err)
		return
	}
	c.publisher.publish(m, accepted)
}

// Receive implements carrier.Carrier.
func (c *Carrier) Receive(r carrier.Receiver) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receiver = r
}

// Subscribe implements carrier.Carrier. A Light node gives ErrTopics for more than
// Options.MaxTopics.
func (c *Carrier) Subscribe(ctx context.Context, topics ...carrier.Topic) error {
	if err := checkTopics(topics); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.light != nil {
		return c.light.subscribe(ctx, topics)
	}
	var added []carrier.Topic
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return carrier.ErrClosed
	}
	for _, t := range topics {
		if _, there := c.topics[t]; !there {
			c.topics[t] = struct{}{}
			added = append(added, t)
		}
	}
	c.mu.Unlock()
	select {
	case <-c.tried:
	case <-ctx.Done():
		c.Unsubscribe(added...)
		return ctx.Err()
	case <-c.ctx.Done():
		return carrier.ErrClosed
	}
	if !c.Health().Ready {
		// Nothing is missing if the node goes on gathering, but who knows.
		c.gaps.note(time.Now())
	}
	return nil
}

// Unsubscribe implements carrier.Carrier.
func (c *Carrier) Unsubscribe(topics ...carrier.Topic) {
	if c.light != nil {
		c.light.unsubscribe(topics)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range topics {
		delete(c.topics, t)
	}
}

// History implements carrier.Carrier.
func (c *Carrier) History(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return carrier.ErrClosed
	}
	c.work.Add(1)
	c.mu.Unlock()
	defer c.work.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.ctx, func() { cancel(carrier.ErrClosed) })()
	err := c.history.History(ctx, topics, since, until, each)
	if err != nil && errors.Is(context.Cause(ctx), carrier.ErrClosed) && errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: %w", carrier.ErrClosed, err)
	}
	return err
}

// Health implements carrier.Carrier. Peers is 1 if the node answers.
func (c *Carrier) Health() carrier.Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health
}

// Close implements carrier.Carrier. It waits for History, too.
func (c *Carrier) Close() error {
	c.once.Do(func() {
		c.mu.Lock()
		c.closed = true
		c.set(carrier.ErrClosed)
		c.mu.Unlock()
		c.stop()
	})
	c.publisher.close()
	c.work.Wait()
	c.node.close()
	return nil
}

// is takes down how the node is: it does its work if err is nil.
func (c *Carrier) is(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.set(err)
	}
	select {
	case <-c.tried:
	default:
		close(c.tried)
	}
}

func (c *Carrier) set(err error) {
	if ready := err == nil; ready != c.health.Ready {
		c.health.Ready, c.health.Since = ready, time.Now()
	}
	c.health.Err = err
	c.health.Peers = 0
	if err == nil {
		c.health.Peers = 1
	}
}

// wants tells whether a topic is subscribed.
func (c *Carrier) wants(t carrier.Topic) bool {
	if c.light != nil {
		return c.light.wants(t)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.topics[t]
	return ok
}

// deliver hands messages up, as long as they are wanted.
func (c *Carrier) deliver(messages []carrier.Received) {
	c.mu.Lock()
	receiver := c.receiver
	c.mu.Unlock()
	for i := range messages {
		if c.ctx.Err() != nil || receiver == nil {
			return
		}
		if c.wants(messages[i].Topic) {
			receiver.Deliver(messages[i])
		}
		messages[i].Payload = nil // the receiver has it; the next one may take long
	}
}

// tellGaps tells the receiver what may be missing; the node gathers again.
func (c *Carrier) tellGaps() {
	c.mu.Lock()
	receiver := c.receiver
	c.mu.Unlock()
	if receiver == nil || c.ctx.Err() != nil {
		return
	}
	if since, due := c.gaps.take(time.Now()); due {
		receiver.Gap(since)
	}
}
