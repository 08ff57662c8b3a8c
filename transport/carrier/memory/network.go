package memory

import (
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// Network is what carriers are opened on. All methods are safe for concurrent use.
type Network struct {
	options  Options
	heldBack time.Duration // HeldBack, but in tests

	mu       sync.Mutex
	faults   Faults
	carriers []*Carrier
	opened   uint64
	tried    uint64 // messages that came, taken or not: their numbers
	at       int64  // the last place
	outages  int
	kept     kept
	counts   Counts
}

// New makes a network.
func New(o Options) *Network {
	if o.Queue == 0 {
		o.Queue = 1024
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.History.Count == 0 {
		o.History.Count = 1 << 16
	}
	return &Network{options: o, heldBack: HeldBack, faults: o.Faults, kept: kept{seed: o.Seed, rules: o.History, failed: make(map[uint64]bool)}}
}

// Open opens one more carrier. It is ready at once, unless there is an outage.
func (n *Network) Open() *Carrier {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.opened++
	c := &Carrier{
		network: n,
		number:  n.opened,
		topics:  make(map[carrier.Topic]struct{}),
		wake:    make(chan struct{}, 1),
		tell:    make(chan struct{}, 1),
		since:   n.options.Now(),
		cutAt:   n.at,
	}
	n.carriers = append(n.carriers, c)
	c.running.Go(c.deliver)
	c.running.Go(c.settle)
	return c
}

// SetFaults has other faults from now on, for what is published from now on.
func (n *Network) SetFaults(f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = f
}

// Counts gives what happened so far.
func (n *Network) Counts() Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.counts
}

// Outage cuts off all carriers, also those that are opened during it, until restore
// is called.
func (n *Network) Outage() (restore func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.change(func() { n.outages++ })
	return sync.OnceFunc(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.change(func() { n.outages-- })
	})
}

// change changes who is cut off, and lets those know whom it concerns.
func (n *Network) change(how func()) {
	before := make([]bool, len(n.carriers))
	for i, c := range n.carriers {
		before[i] = c.isCut()
	}
	how()
	for i, c := range n.carriers {
		switch now := c.isCut(); {
		case now == before[i]:
		case now:
			c.since, c.cutAt = n.options.Now(), n.at
		default:
			c.since = n.options.Now()
			c.missed(c.cutAt + 1)
			signal(c.wake)
		}
	}
}

// take takes a message, and tells when its publisher learns of it, and what.
func (n *Network) take(m carrier.Message) (after time.Duration, err error) {
	n.tried++
	f := fateOf(n.options.Seed, n.tried)
	busy, unsure := f.hits(n.faults.Busy), f.hits(n.faults.Unsure)
	after = f.upTo(n.faults.Delay)
	if busy {
		n.counts.Busy++
		return after, carrier.ErrBusy
	}
	n.counts.Published++
	n.at = max(n.at+1, n.options.Now().UnixNano())
	r := carrier.Received{Message: m, At: n.at}
	for _, c := range n.carriers {
		c.take(n.tried, r)
	}
	if !m.Ephemeral && !n.kept.add(n.tried, r) {
		n.counts.Unkept++
	}
	if unsure {
		return after, carrier.ErrUnreachable
	}
	return after, nil
}

// signal wakes who waits for it, or the next time it would wait.
func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
