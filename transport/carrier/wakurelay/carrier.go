package wakurelay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rookery-im/rookery/transport/carrier"
)

// Carrier is a relay peer. See carrier.Carrier.
type Carrier struct {
	options *settled
	node    *node
	relay   *relay
	dialers map[peer.ID]*dialer
	ctx     context.Context // ends with Close
	end     context.CancelFunc
	running sync.WaitGroup
	done    chan struct{} // closed when Close is through

	publishing  sync.WaitGroup
	outstanding sync.WaitGroup   // publications without an answer
	outgoing    chan publication // both have room for all of them
	answers     chan publication
	underway    chan struct{} // holds one for each message that is with the peers

	mu     sync.Mutex
	count  int // of outstanding
	closed bool
}

// mostUnderway is how many messages the peers are handed before the first of them has
// arrived. Deployed peers drop, and tell nobody, what comes while 32 messages wait to
// be looked at; half of these are left to others.
const mostUnderway = 16

// publication is a message that waits to be published, or to be answered for.
type publication struct {
	message  carrier.Message
	accepted func(error)
	until    time.Time // when it fails if it is not underway
	err      error
}

var _ carrier.Carrier = (*Carrier)(nil)

// Open starts a peer: it listens and begins to dial. ErrOptions if the options are
// wrong, and an error of the system if it cannot listen. Close ends it.
func Open(options Options) (*Carrier, error) {
	o, err := options.settle()
	if err != nil {
		return nil, err
	}
	key, err := o.Key.private()
	if err != nil {
		return nil, err
	}
	silence()
	n, err := newNode(key, o)
	if err != nil {
		return nil, err
	}
	c := &Carrier{
		options:  o,
		node:     n,
		dialers:  make(map[peer.ID]*dialer),
		outgoing: make(chan publication, o.Outgoing),
		answers:  make(chan publication, o.Outgoing),
		underway: make(chan struct{}, mostUnderway),
		done:     make(chan struct{}),
	}
	c.ctx, c.end = context.WithCancel(context.Background())
	if c.relay, err = newRelay(c.ctx, n, o); err != nil {
		c.end()
		return nil, errors.Join(err, n.Close())
	}
	c.start()
	if err := n.listen(o.listen); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	for _, p := range o.peers {
		d := c.dialers[p.ID]
		c.running.Go(func() { d.run(c.ctx) })
	}
	return c, nil
}

// start makes everything ready for the first connection.
func (c *Carrier) start() {
	introducer := newIntroducer(c.node, c.options)
	c.node.SetStreamHandler(metadataProtocol, introducer.answer)
	for _, p := range c.options.peers {
		c.dialers[p.ID] = newDialer(c.node, c.relay.meshes, &c.options.pace, p)
	}
	c.node.swarm.Notify(&network.NotifyBundle{
		ConnectedF: func(_ network.Network, conn network.Conn) {
			c.spawn(func() { c.check(introducer, conn) })
		},
		DisconnectedF: func(_ network.Network, conn network.Conn) {
			p := conn.RemotePeer()
			if c.node.swarm.Connectedness(p) == network.NotConnected {
				c.relay.meshes.remove(p) // the router may not have got to know it
				c.relay.faults.forget(p)
				for _, h := range c.node.receipts.all() {
					h.lose(p)
				}
			}
			if d := c.dialers[p]; d != nil {
				d.hears()
			}
		},
	})
	c.running.Go(c.relay.inbox.deliver)
	c.publishing.Go(c.publishAll)
	c.running.Go(c.answerAll)
}

// spawn runs something that Close waits for, unless it is too late for that.
func (c *Carrier) spawn(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.running.Go(f)
	}
}

// check disconnects who is of another network, or takes room for nothing.
func (c *Carrier) check(i *introducer, conn network.Conn) {
	err := i.ask(c.ctx, conn)
	if c.ctx.Err() != nil {
		return
	}
	p := conn.RemotePeer()
	d := c.dialers[p]
	if err == nil {
		if d == nil { // a dialer looks after its own
			time.AfterFunc(c.options.pace.uselessFor, func() {
				if !c.relay.meshes.knows(p) {
					_ = conn.Close()
				}
			})
		}
		return
	}
	if d != nil {
		d.blame(err)
	}
	if errors.Is(err, errForeignCluster) {
		c.node.shutOut(p)
		return
	}
	_ = conn.Close() // one that is gone is as good
}

// Addresses are where others reach this peer, as Options.Peers has them.
func (c *Carrier) Addresses() []string {
	addresses, err := c.node.swarm.InterfaceListenAddresses()
	if err != nil {
		return nil
	}
	var all []string
	for _, address := range addresses {
		all = append(all, fmt.Sprintf("%s/p2p/%s", address, c.node.ID()))
	}
	return all
}

// Publish implements carrier.Carrier. The network has taken a message when it has
// arrived at Options.MinPeers peers; nobody says more.
func (c *Carrier) Publish(m carrier.Message, accepted func(error)) {
	err := m.Check()
	if err == nil {
		until := time.Now().Add(c.options.pace.patience)
		err = c.enqueue(publication{message: m, accepted: accepted, until: until})
	}
	if err != nil {
		accepted(err)
	}
}

func (c *Carrier) enqueue(p publication) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return carrier.ErrClosed
	case c.count == c.options.Outgoing:
		return fmt.Errorf("%w: %d messages are being published", carrier.ErrBusy, c.count)
	}
	c.count++
	c.outstanding.Add(1)
	c.outgoing <- p
	return nil
}

// publishAll hands out what comes, one after the other, until Close.
func (c *Carrier) publishAll() {
	for p := range c.outgoing {
		settled := func(err error) {
			p.err = err
			c.answers <- p
		}
		if err := c.waitForRoom(p.until); err != nil {
			settled(err)
			continue
		}
		c.relay.publish(c.ctx, p.message, func(err error) {
			<-c.underway
			settled(err)
		})
	}
}

// waitForRoom waits until one more message may be underway. Those that wait behind
// messages that do not arrive fail with them.
func (c *Carrier) waitForRoom(until time.Time) error {
	if c.ctx.Err() != nil {
		return carrier.ErrClosed
	}
	select {
	case c.underway <- struct{}{}:
		return nil
	default:
	}
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	select {
	case c.underway <- struct{}{}:
		return nil
	case <-late.C:
		return fmt.Errorf("%w: %d messages before this one have not arrived", carrier.ErrUnreachable, mostUnderway)
	case <-c.ctx.Done():
		return carrier.ErrClosed
	}
}

// answerAll tells publishers, in a goroutine of its own since nobody knows what they
// do then.
func (c *Carrier) answerAll() {
	for p := range c.answers {
		if p.err == nil {
			c.relay.published(p.message)
		}
		c.mu.Lock()
		c.count--
		c.mu.Unlock()
		p.accepted(p.err)
		c.outstanding.Done()
	}
}

// Receive implements carrier.Carrier.
func (c *Carrier) Receive(r carrier.Receiver) { c.relay.inbox.receive(r) }

// Subscribe implements carrier.Carrier. It is a matter of this process alone: all
// messages of the shard come here anyway.
func (c *Carrier) Subscribe(ctx context.Context, topics ...carrier.Topic) error {
	for _, topic := range topics {
		if err := topic.Check(); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return carrier.ErrClosed
	}
	if !c.relay.inbox.hasReceiver() {
		return fmt.Errorf("%w: subscribed before there is a receiver", carrier.ErrOptions)
	}
	c.relay.filter.add(topics)
	return nil
}

// Unsubscribe implements carrier.Carrier.
func (c *Carrier) Unsubscribe(topics ...carrier.Topic) { c.relay.filter.remove(topics) }

// History implements carrier.Carrier: it asks Options.History.
func (c *Carrier) History(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
	if c.ctx.Err() != nil {
		return carrier.ErrClosed
	}
	if c.options.History == nil {
		return carrier.ErrNoHistory
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.ctx, func() { cancel(carrier.ErrClosed) })()
	err := c.options.History.History(ctx, topics, since, until, func(r carrier.Received) error {
		if c.ctx.Err() != nil {
			return carrier.ErrClosed
		}
		return each(r)
	})
	if err != nil && c.ctx.Err() != nil {
		return carrier.ErrClosed
	}
	return err
}

// Health implements carrier.Carrier. Peers are those of the meshes.
func (c *Carrier) Health() carrier.Health {
	var h carrier.Health
	h.Ready, h.Since, h.Peers = c.relay.meshes.health()
	switch {
	case c.ctx.Err() != nil:
		h.Ready, h.Peers, h.Err = false, 0, carrier.ErrClosed
	case !h.Ready:
		h.Err = fmt.Errorf("%w: %d peers in the mesh", carrier.ErrUnreachable, h.Peers)
		for _, d := range c.dialers {
			if err := d.fails(); err != nil {
				h.Err = fmt.Errorf("%w: %w", h.Err, err)
				break
			}
		}
	}
	return h
}

// Close implements carrier.Carrier.
func (c *Carrier) Close() error {
	c.mu.Lock()
	first := !c.closed
	if first {
		c.closed = true
		close(c.outgoing)
	}
	c.mu.Unlock()
	if !first {
		<-c.done
		return nil
	}
	defer close(c.done)
	c.end()
	c.relay.meshes.close()
	c.relay.inbox.close()
	c.publishing.Wait()
	for _, h := range c.node.receipts.all() {
		h.settle(carrier.ErrClosed)
	}
	c.outstanding.Wait()
	close(c.answers)
	err := c.node.Close()
	c.running.Wait()
	return err
}
