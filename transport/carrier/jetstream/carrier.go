package jetstream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/rookery-im/rookery/transport/carrier"
)

// Carrier is one connection to NATS. See carrier.Carrier.
type Carrier struct {
	options   Options
	names     names
	nc        *nats.Conn
	js        js.JetStream
	link      link
	health    health
	denied    denied
	publisher *publisher
	passing   ephemerals

	ctx     context.Context // ends with Close, for ErrClosed
	end     context.CancelCauseFunc
	running sync.WaitGroup
	closing sync.Once
	refused chan error    // why there was no connection at first
	changed chan struct{} // wakes the feed: topics have changed
	out     chan item     // from the feed to who delivers

	mu        sync.Mutex
	receiver  carrier.Receiver
	topics    topics
	consumers map[string]struct{} // that the server has
}

var _ carrier.Carrier = (*Carrier)(nil)

// delivering is how many messages wait for the receiver, besides those that the server
// was asked for.
const delivering = 16

// Open connects. It gives ErrOptions, ErrLogin, ErrDenied and ErrStream when it finds
// out that nothing will come of it. A server that cannot be reached now is no error:
// it is tried again, and Health tells.
func Open(ctx context.Context, o Options) (*Carrier, error) {
	o = o.defaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	c := &Carrier{
		options:   o,
		names:     namesUnder(o.Prefix),
		link:      link{changed: make(chan struct{})},
		denied:    denied{waiting: make(map[*waiter]struct{})},
		publisher: newPublisher(&o),
		passing:   newEphemerals(),
		refused:   make(chan error, 1),
		changed:   make(chan struct{}, 1),
		out:       make(chan item, delivering),
		topics:    topics{names: make(map[string]carrier.Topic), told: make(chan struct{})},
		consumers: make(map[string]struct{}),
	}
	c.ctx, c.end = context.WithCancelCause(context.Background())
	c.health.set(false, fmt.Errorf("%w: connecting", carrier.ErrUnreachable))
	if err := c.start(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// Format implements fmt.Formatter: no verb shows the login.
func (c *Carrier) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "[jetstream carrier of stream %s]", c.options.Stream.Name)
}

func (c *Carrier) start(ctx context.Context) (err error) {
	if err := c.connect(); err != nil {
		return err
	}
	if c.js, err = js.New(c.nc, js.WithDefaultTimeout(c.options.Timeout)); err != nil {
		return err
	}
	if err := c.listen(); err != nil {
		return err
	}
	if c.nc.IsConnected() {
		if err := c.canServe(ctx); err != nil {
			return err
		}
	}
	c.running.Go(c.feed)
	c.running.Go(c.deliver)
	c.running.Go(c.send)
	c.running.Go(c.hear)
	return nil
}

// canServe finds out whether the stream will do; what may pass is no error.
func (c *Carrier) canServe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*c.options.Timeout)
	defer cancel()
	epoch, err := c.link.await(ctx)
	if err != nil {
		return err
	}
	ctx, done := while(ctx, epoch)
	defer done(nil)
	if _, err = c.look(ctx); carrier.Retriable(err) {
		c.health.set(false, err)
		return nil
	}
	return err
}

// deliver hands messages up, one after the other.
func (c *Carrier) deliver() {
	for {
		var i item
		select {
		case <-c.ctx.Done():
			return
		case i = <-c.out:
		case m := <-c.passing.in:
			i.token = c.names.liveTokenOf(m.Subject)
			topic, _, subscribed := c.topicOf(i.token)
			made, ok := message(topic, m)
			if !subscribed || !ok {
				continue
			}
			i.Message = made
			i.Ephemeral = true
			i.At = time.Now().Add(-skew).UnixNano() // it has no place, but a time
		}
		if _, receiver, ok := c.topicOf(i.token); ok && c.ctx.Err() == nil {
			receiver.Deliver(i.Received)
		}
	}
}

// item is a message on its way to the receiver.
type item struct {
	carrier.Received
	token string
}

// Close implements carrier.Carrier.
func (c *Carrier) Close() error {
	c.closing.Do(func() {
		c.end(carrier.ErrClosed)
		c.publisher.close()
		c.running.Wait()
		if c.nc != nil {
			c.deleteConsumers()
			c.nc.Close()
		}
		c.health.set(false, carrier.ErrClosed)
	})
	return nil
}

// sleep waits for a time, or until one of two wakes it.
func sleep(d time.Duration, done, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
	case <-wake:
	case <-timer.C:
	}
}
