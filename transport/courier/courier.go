package courier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

// Courier is a transport.Transport over a carrier.Carrier. All methods are safe for
// concurrent use.
type Courier struct {
	options  Options
	log      *slog.Logger
	keys     *topic.Keys
	segments assemblies
	counts   counters

	ctx     context.Context // ends with Close
	end     context.CancelFunc
	running sync.WaitGroup

	// Each holds one token when there may be something to do.
	toSubscribe, toRead, toWrite, toGather chan struct{}

	mu     sync.Mutex
	closed bool
	room   sync.Cond // in underway

	hosts         map[x3dh.IdentityPublicKey]*hosted
	subscriptions map[transport.Topic]*subscription
	table         table
	restorable    map[x3dh.IdentityPublicKey][]*route // negotiated topics of identities that are not here
	changed       map[carrier.Topic]struct{}          // content topics to be looked at
	subscribed    map[carrier.Topic]bool

	underway   underway
	late       int     // messages that wait for keys
	delivered  *window // messages on routes, and
	others     *window // those that were nothing for them
	coverage   coverage
	noHistory  bool
	hasHistory bool                // it has answered
	holding    map[*route]struct{} // those with a queue

	limiter    *rate.Limiter
	outbound   outbound
	publishers int

	dirty      bool                 // something has changed that the store does not know
	unwritten  int                  // delivered messages that it does not know
	writing    bool                 // a batch is on its way to it
	puts       []persistence.Record // to be written
	thens      []func()             // when they are
	complete   []wholeKey           // whose segments are not needed any more
	historyErr error
	storeErr   error
}

var _ transport.Transport = (*Courier)(nil)

// New makes a courier of what the store has of an earlier one. It takes over the
// carrier when it returns without an error.
func New(ctx context.Context, options Options) (*Courier, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Courier{
		options:       options,
		log:           options.Logger,
		toSubscribe:   make(chan struct{}, 1),
		toRead:        make(chan struct{}, 1),
		toWrite:       make(chan struct{}, 1),
		toGather:      make(chan struct{}, 1),
		hosts:         make(map[x3dh.IdentityPublicKey]*hosted),
		holding:       make(map[*route]struct{}),
		subscriptions: make(map[transport.Topic]*subscription),
		table:         table{make(map[carrier.Topic][]*route)},
		restorable:    make(map[x3dh.IdentityPublicKey][]*route),
		changed:       make(map[carrier.Topic]struct{}),
		subscribed:    make(map[carrier.Topic]bool),
		underway:      newUnderway(options.MaxPending, options.MaxPendingBytes),
		delivered:     newWindow(0, options.MaxSeen, int64(seenFor)),
		others:        newWindow(1, options.MaxSeen, int64(seenFor)),
		limiter:       rate.NewLimiter(rate.Inf, options.Burst),
		outbound:      newOutbound(options.MaxPublishing, options.MaxPublishingBytes),
	}
	if options.Rate > 0 {
		c.limiter.SetLimit(rate.Limit(options.Rate))
	}
	c.room.L = &c.mu
	c.coverage = coverage{
		overlap:  int64(options.Overlap),
		lookBack: int64(options.LookBack),
		horizon: func(r *route) int64 {
			if r.kind == topic.KindContactCode {
				return int64(options.ContactCodes)
			}
			return int64(options.History)
		},
		routes: make(map[id]*route),
	}
	if c.segments, err = newAssemblies(options.Segments); err != nil {
		return nil, err
	}
	if err := c.load(ctx); err != nil {
		return nil, err
	}
	c.ctx, c.end = context.WithCancel(context.Background())
	keys := options.Keys
	if keys.Report == nil {
		keys.Report = func(err error) { c.log.Debug("keys of topics and the store", "error", err) }
	}
	c.keys = topic.NewKeys(shelf{c}, keys)
	options.Carrier.Receive(receiver{c})
	c.running.Go(c.subscribeAll)
	c.running.Go(c.readAll)
	c.running.Go(c.writeAll)
	return c, nil
}

// seenFor is how long it is remembered that a message was dealt with: longer than
// histories go back by default.
const seenFor = 15 * 24 * time.Hour

// load reads what the store has of an earlier courier.
func (c *Courier) load(ctx context.Context) error {
	cursor, err := loadCursor(ctx, c.options.Store)
	if err != nil {
		return err
	}
	c.coverage.cursor, c.coverage.reached = cursor, cursor
	now := c.now()
	err = loadRoutes(ctx, c.options.Store, func(r *route) {
		c.coverage.load(r, now)
		if r.kind == topic.KindNegotiated {
			c.restorable[r.identity] = append(c.restorable[r.identity], r)
		}
	})
	if err != nil {
		return err
	}
	for _, w := range []*window{c.delivered, c.others} {
		if err := w.loadAll(ctx, c.options.Store); err != nil {
			return err
		}
	}
	if err := loadSegments(ctx, c.options.Store, nil, c.segments.of); err != nil {
		return err
	}
	for _, y := range c.segments.both() {
		y.sort()
	}
	return nil
}

func (c *Courier) now() int64 { return c.options.Now().UnixNano() }

// Format implements fmt.Formatter without what the courier holds.
func (c *Courier) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "courier over %T", c.options.Carrier)
}

// Close closes the carrier, gives what is being published transport.ErrClosed, and
// writes how far everything was dealt with. What is not settled comes again with the
// next courier of the store. It must not be called by a subscriber.
func (c *Courier) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	queue := c.outbound.clear()
	for _, s := range c.subscriptions {
		for _, one := range s.subscribers {
			for h := range one.pending {
				c.unrefused(h)
			}
		}
	}
	c.room.Broadcast()
	c.mu.Unlock()
	c.end()
	for _, p := range queue {
		c.published(p, transport.ErrClosed)
	}
	err := c.options.Carrier.Close()
	c.keys.Close()
	c.running.Wait()
	return errors.Join(err, c.write(context.Background()))
}

// Health is how a courier is.
type Health struct {
	// Carrier is how its carrier is.
	Carrier carrier.Health
	// CatchingUp: messages may be missing that the history has. Behind is on how many
	// topics.
	CatchingUp bool
	Behind     int
	// History and Store are what the last reading and the last write failed with, nil
	// if they have not.
	History, Store error
}

// Health tells how the courier is now, without asking the network.
func (c *Courier) Health() Health {
	health := Health{Carrier: c.options.Carrier.Health()}
	c.mu.Lock()
	defer c.mu.Unlock()
	health.Behind = c.coverage.behind
	health.CatchingUp = health.Behind > 0
	health.History, health.Store = c.historyErr, c.storeErr
	return health
}
