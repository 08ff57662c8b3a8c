package jetstream

import (
	"context"
	"errors"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/rookery-im/rookery/transport/carrier"
)

const (
	// look again at the stream while nothing is subscribed.
	lookEvery = 30 * time.Second
	// margin is for a server that counts its messages before it reads its clock.
	margin = 2 * time.Second
	// skew is by how much clocks of ours and of a server may differ.
	skew = time.Minute
)

// place is how far the feed is in the stream. Only the feed uses it.
type place struct {
	// at: everything before it came, by the server's clock.
	at int64
	// seq: everything up to it came, if exact: of the server's present memory.
	seq   uint64
	exact bool
	// stream is when the stream was made.
	stream time.Time
	// moved: something has come since it was looked at last.
	moved bool
}

// feed takes what comes out of the stream until the carrier is closed.
func (c *Carrier) feed() {
	var at place
	var last context.Context
	attempts := 0
	for {
		epoch, err := c.link.await(c.ctx)
		if err != nil {
			return
		}
		if epoch != last {
			last, at.exact, attempts = epoch, false, 0
		}
		at.moved = false
		err = c.serve(epoch, &at)
		switch {
		case c.ctx.Err() != nil:
			return
		case epoch.Err() != nil:
			continue
		case at.moved && errors.Is(err, errGone): // as after a minute without room, all well
			attempts = 0
			continue
		case at.moved:
			attempts = 0
		}
		c.unready(epoch, err)
		c.handle(c.version(), err)
		attempts++
		sleep(c.options.delay(attempts), epoch.Done(), c.changed)
	}
}

// serve goes on until something fails.
func (c *Carrier) serve(epoch context.Context, at *place) error {
	info, err := c.look(epoch)
	if err != nil {
		return err
	}
	c.settle(at, info)
	for {
		if p := c.plan(); p.none {
			err = c.rest(epoch, p, at)
		} else {
			err = c.run(epoch, p, at)
		}
		if !errors.Is(err, errChanged) {
			return err
		}
	}
}

// settle gives the feed its place in the stream the first time, and takes care that it
// is one of this stream.
func (c *Carrier) settle(at *place, info *js.StreamInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !info.Created.Equal(at.stream) || info.State.LastSeq < at.seq {
		at.exact = false
	}
	at.stream = info.Created
	t := &c.topics
	switch {
	case t.placed:
	case t.owed.IsZero():
		at.moveTo(info)
	default:
		at.at = t.owed.Add(-skew).UnixNano()
	}
	t.placed = true
}

// moveTo is the end of the stream.
func (at *place) moveTo(info *js.StreamInfo) {
	at.seq, at.exact = info.State.LastSeq, true
	at.at = info.TimeStamp.Add(-margin).UnixNano()
}

// passed is called when a message has gone on its way.
func (at *place) passed(d delivery) {
	at.seq, at.at, at.exact, at.moved = d.seq, d.at, true, true
}

// rest waits while nothing is subscribed.
func (c *Carrier) rest(epoch context.Context, p plan, at *place) error {
	if err := c.listenFor(epoch, p); err != nil {
		return err
	}
	for {
		c.ready(epoch)
		c.handle(p.version, nil)
		timer := time.NewTimer(lookEvery)
		select {
		case <-epoch.Done():
			timer.Stop()
			return context.Cause(epoch)
		case <-c.changed:
			timer.Stop()
			return errChanged
		case <-timer.C:
		}
		info, err := c.look(epoch)
		if err != nil {
			return err
		}
		c.mu.Lock()
		if len(c.topics.names) == 0 { // nobody misses what is passed over
			at.moveTo(info)
		}
		c.mu.Unlock()
	}
}

// run delivers what a plan needs, until it does not any more.
func (c *Carrier) run(epoch context.Context, p plan, at *place) error {
	if err := c.listenFor(epoch, p); err != nil {
		return err
	}
	w, err := c.openFeed(epoch, p, at)
	if err != nil {
		return err
	}
	defer func() {
		w.close()
		if w.through > at.seq || w.through > 0 && !at.exact {
			at.seq, at.exact = w.through, true
		}
	}()
	c.ready(epoch)
	c.handle(p.version, nil)
	var waits *item // for room
	var came delivery
	for {
		if waits == nil {
			if came, err = w.next(c.changed); err == nil {
				if waits = c.wanted(came, at); waits == nil {
					at.passed(came)
				}
			}
		} else {
			select {
			case c.out <- *waits:
				waits = nil
				at.passed(came)
			case <-c.changed:
				err = errChanged
			case <-w.ctx.Done():
				err = context.Cause(w.ctx)
			}
		}
		if w.through > 0 {
			at.moved = true // it is alive
		}
		if errors.Is(err, errChanged) && c.goesOn(&p) {
			err = nil
		}
		if err != nil {
			return err
		}
	}
}

// openFeed opens a window behind the place. Too much that waits there is left to who
// asks the history.
func (c *Carrier) openFeed(epoch context.Context, p plan, at *place) (*window, error) {
	w, err := c.openWindow(epoch, c.filtered(at.config(), p.tokens), true)
	if err != nil || w.pending <= uint64(c.options.Backlog) { //nolint:gosec // not negative
		return w, err
	}
	w.close()
	info, err := c.look(epoch)
	if err != nil {
		return nil, err
	}
	since := at.at
	at.moveTo(info)
	c.mu.Lock()
	receiver := c.receiver
	c.mu.Unlock()
	receiver.Gap(since)
	return c.openWindow(epoch, c.filtered(at.config(), p.tokens), true)
}

func (at *place) config() js.ConsumerConfig {
	if at.exact {
		return js.ConsumerConfig{DeliverPolicy: js.DeliverByStartSequencePolicy, OptStartSeq: at.seq + 1}
	}
	start := time.Unix(0, at.at)
	return js.ConsumerConfig{DeliverPolicy: js.DeliverByStartTimePolicy, OptStartTime: &start}
}

// wanted is what has to be delivered of what came; nil for nothing.
func (c *Carrier) wanted(d delivery, at *place) *item {
	token := c.names.tokenOf(d.Subject)
	topic, _, ok := c.topicOf(token)
	if !ok || d.seq == at.seq && d.at == at.at {
		return nil
	}
	m, ok := message(topic, d.Msg)
	if !ok {
		return nil
	}
	return &item{carrier.Received{Message: m, At: d.at}, token}
}

// goesOn tells whether the window has what the topics are now.
func (c *Carrier) goesOn(p *plan) bool {
	now := c.plan()
	if now.none || now.version != p.version && !(now.wide && p.wide) {
		return false
	}
	*p = now
	c.handle(p.version, nil)
	return true
}

func (c *Carrier) version() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.topics.version
}

// ready and unready tell of the health, unless the connection is another one by now.

func (c *Carrier) ready(epoch context.Context) { c.tell(epoch, true, nil) }

func (c *Carrier) unready(epoch context.Context, err error) { c.tell(epoch, false, err) }

func (c *Carrier) tell(epoch context.Context, ready bool, err error) {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.link.epoch == epoch {
		c.health.set(ready, err)
	}
}
