package throughput

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rookery-im/rookery"
)

// world is an engine with pairs of identities that have sessions.
type world struct {
	engine *rookery.Engine
	pairs  []*pair
	by     sync.Map // the receiving *rookery.Identity -> *pair
}

// underWay is more than are under way in one pair.
const underWay = 4096

type pair struct {
	from, to *rookery.Identity
	arrived  chan struct{}
}

func (o Options) openWorld(ctx context.Context, n int, c *closers) (*world, error) {
	w, err := o.openEmptyWorld(ctx, 0, c)
	if err != nil {
		return nil, err
	}
	return w, w.grow(ctx, n)
}

// openEmptyWorld opens one without pairs, whose contacts leave memory after so long
// without a message (0: as every engine has it).
func (o Options) openEmptyWorld(ctx context.Context, idle time.Duration, c *closers) (*world, error) {
	dir, remove, err := o.room()
	c.add(remove)
	if err != nil {
		return nil, err
	}
	w := &world{}
	options := o.engineOptions(dir)
	options.Handler, options.IdleAfter = w.handle, idle
	if w.engine, err = rookery.Open(ctx, options); err != nil {
		return nil, err
	}
	c.add(func() error { return w.engine.Close(context.WithoutCancel(ctx)) })
	return w, nil
}

// meeting is how many pairs are made at a time: enough for one synced commit to carry
// the work of many.
const meeting = 512

// grow makes pairs until there are so many.
func (w *world) grow(ctx context.Context, n int) error {
	first := len(w.pairs)
	for range n - first {
		w.pairs = append(w.pairs, &pair{arrived: make(chan struct{}, underWay)})
	}
	failed := make([]error, meeting)
	var all sync.WaitGroup
	for worker := range meeting {
		all.Go(func() {
			for i := first + worker; i < n && failed[worker] == nil; i += meeting {
				failed[worker] = w.meet(ctx, w.pairs[i])
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}

func (w *world) handle(e rookery.Event) {
	if m, ok := e.(rookery.Message); ok {
		m.Ack()
		if p, ok := w.by.Load(m.Identity); ok {
			p.(*pair).arrived <- struct{}{}
		}
	}
}

// meet makes a pair and its session. The last message each way makes a DH
// ratchet step; from then on messages go one way, and none does.
func (w *world) meet(ctx context.Context, p *pair) (err error) {
	if p.from, err = w.engine.CreateIdentity(ctx, rookery.NewIdentity{}); err != nil {
		return err
	}
	if p.to, err = w.engine.CreateIdentity(ctx, rookery.NewIdentity{}); err != nil {
		return err
	}
	w.by.Store(p.from, p)
	w.by.Store(p.to, p)
	for _, known := range [][2]*rookery.Identity{{p.from, p.to}, {p.to, p.from}} {
		bundle, err := known[1].Bundle(ctx)
		if err != nil {
			return err
		}
		if err := known[0].TakeBundle(ctx, known[1].PublicKey(), bundle); err != nil {
			return err
		}
	}
	for _, turn := range [][2]*rookery.Identity{{p.from, p.to}, {p.to, p.from}, {p.from, p.to}} {
		if err := p.send(ctx, turn[0], turn[1], []byte("hello")); err != nil {
			return err
		}
	}
	return nil
}

// send returns when the handler has the message.
func (p *pair) send(ctx context.Context, from, to *rookery.Identity, payload []byte) error {
	if _, err := from.Send(ctx, to.PublicKey(), payload); err != nil {
		return err
	}
	select {
	case <-p.arrived:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// talk sends so many messages in each pair. One is in flight until the handler
// has it, and the turn ends when all acknowledgements are durable.
func (w *world) talk(ctx context.Context, perPair, inFlight int) error {
	settled := w.settling(perPair * len(w.pairs))
	var all sync.WaitGroup
	failed := make([]error, len(w.pairs)*min(inFlight, perPair))
	for n, p := range w.pairs {
		for sender := range min(inFlight, perPair) {
			all.Go(func() {
				payload := make([]byte, payloadSize)
				for i := sender; i < perPair; i += inFlight {
					if err := p.send(ctx, p.from, p.to, payload); err != nil {
						failed[n*min(inFlight, perPair)+sender] = err
						return
					}
				}
			})
		}
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	return settled(ctx)
}

// settling gives a function that waits until so many more acknowledgements are
// durable.
func (w *world) settling(messages int) func(context.Context) error {
	acknowledged := w.engine.Counts().Acknowledged + uint64(messages) //nolint:gosec // a count
	return func(ctx context.Context) error {
		for w.engine.Counts().Acknowledged < acknowledged && ctx.Err() == nil {
			time.Sleep(100 * time.Microsecond)
		}
		return ctx.Err()
	}
}
