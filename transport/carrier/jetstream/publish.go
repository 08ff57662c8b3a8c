package jetstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/rookery-im/rookery/transport/carrier"
)

// sweep is how often answers that do not come are looked for.
const sweep = time.Second

// publisher is what is being published.
type publisher struct {
	mu     sync.Mutex
	flying map[uint64]*publication // by the number that the answer comes to
	bytes  int
	last   uint64
	closed bool

	limit, limitBytes int
	queue             chan *publication // has room for limit
	acks              chan *nats.Msg
	inbox             string
}

type publication struct {
	message  carrier.Message
	accepted func(error)
	number   uint64
	subject  string
	due      time.Time
}

func newPublisher(o *Options) *publisher {
	return &publisher{
		flying:     make(map[uint64]*publication),
		limit:      o.InFlight,
		limitBytes: o.InFlightBytes,
		queue:      make(chan *publication, o.InFlight),
		acks:       make(chan *nats.Msg, 2*o.InFlight), // some come late
	}
}

// Publish implements carrier.Carrier. An ephemeral message is taken when it is on its
// way to the server.
func (c *Carrier) Publish(m carrier.Message, accepted func(error)) {
	if err := m.Check(); err != nil {
		accepted(err)
		return
	}
	if _, err := c.reachable(); err != nil {
		accepted(err)
		return
	}
	p := &publication{message: m, accepted: accepted, due: time.Now().Add(c.options.Timeout)}
	if m.Ephemeral {
		p.subject = c.names.live + token(m.Topic)
	} else {
		p.subject = c.names.kept + token(m.Topic)
	}
	if err := c.publisher.add(p); err != nil {
		accepted(err)
	}
}

func (p *publisher) add(one *publication) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	size := len(one.message.Payload)
	switch {
	case p.closed:
		return carrier.ErrClosed
	case len(p.flying) >= p.limit || p.bytes+size > p.limitBytes || len(p.queue) == cap(p.queue):
		return fmt.Errorf("%w: %d messages of %d bytes are being published", carrier.ErrBusy, len(p.flying), p.bytes)
	}
	p.last++
	one.number = p.last
	p.flying[one.number] = one
	p.bytes += size
	p.queue <- one
	return nil
}

// take takes a publication away; nil if it is settled.
func (p *publisher) take(number uint64) *publication {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.flying[number]
	if one != nil {
		p.drop(one)
	}
	return one
}

// drop is called with the lock held.
func (p *publisher) drop(one *publication) {
	delete(p.flying, one.number)
	p.bytes -= len(one.message.Payload)
}

func (p *publisher) settle(number uint64, err error) {
	if one := p.take(number); one != nil {
		one.accepted(err)
	}
}

// settleWhere settles some with an error.
func (p *publisher) settleWhere(concerned func(*publication) bool, err error) {
	p.mu.Lock()
	var settled []*publication
	for _, one := range p.flying {
		if concerned(one) {
			p.drop(one)
			settled = append(settled, one)
		}
	}
	p.mu.Unlock()
	for _, one := range settled {
		one.accepted(err)
	}
}

func (p *publisher) settleAll(err error) {
	p.settleWhere(func(*publication) bool { return true }, err)
}

func (p *publisher) settleSubject(subject string, err error) {
	p.settleWhere(func(one *publication) bool { return one.subject == subject }, err)
}

// close settles everything, and refuses what comes later.
func (p *publisher) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.settleAll(carrier.ErrClosed)
}

func (p *publisher) isFlying(number uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.flying[number] != nil
}

// send hands what is published to the connection, which may have to wait for the
// network: nobody else does.
func (c *Carrier) send() {
	for {
		select {
		case <-c.ctx.Done():
			return
		case one := <-c.publisher.queue:
			if !c.publisher.isFlying(one.number) {
				continue // settled by a lost connection
			}
			err := c.sendOne(one)
			if err != nil || one.message.Ephemeral {
				c.publisher.settle(one.number, err)
			}
		}
	}
}

func (c *Carrier) sendOne(one *publication) error {
	var m *nats.Msg
	if one.message.Ephemeral {
		m = passing(&one.message, one.subject)
	} else {
		m = c.kept(&one.message, one.subject, c.publisher.inbox+"."+strconv.FormatUint(one.number, 36))
	}
	switch err := c.nc.PublishMsg(m); {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject):
		return fmt.Errorf("%w: %w", carrier.ErrMessage, err)
	default:
		return fmt.Errorf("%w: %w", carrier.ErrUnreachable, err)
	}
}

// hear takes the answers, until the carrier is closed.
func (c *Carrier) hear() {
	ticker := time.NewTicker(sweep)
	defer ticker.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case m := <-c.publisher.acks:
			number, err := strconv.ParseUint(below(c.publisher.inbox+".", m.Subject), 36, 64)
			if err == nil {
				c.publisher.settle(number, answer(m))
			}
		case now := <-ticker.C:
			late := func(one *publication) bool { return now.After(one.due) }
			c.publisher.settleWhere(late, fmt.Errorf("%w: no answer to a publication", carrier.ErrUnreachable))
		}
	}
}

// answer is what the server says of a publication.
func answer(m *nats.Msg) error {
	if len(m.Data) == 0 {
		return fmt.Errorf("%w: no stream listens (%s)", carrier.ErrUnreachable, m.Header.Get("Status"))
	}
	var a struct {
		Stream string       `json:"stream"`
		Error  *js.APIError `json:"error"`
	}
	switch err := json.Unmarshal(m.Data, &a); {
	case err != nil:
		return fmt.Errorf("%w: answer to a publication: %w", carrier.ErrUnreachable, err)
	case a.Error != nil:
		return refusal(a.Error)
	case a.Stream == "":
		return fmt.Errorf("%w: answer to a publication names no stream", carrier.ErrUnreachable)
	}
	return nil
}

// listen opens the subject of the answers.
func (c *Carrier) listen() error {
	c.publisher.inbox = c.nc.NewInbox()
	_, err := c.nc.ChanSubscribe(c.publisher.inbox+".*", c.publisher.acks)
	return err
}
