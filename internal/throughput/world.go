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

type pair struct {
	from, to *rookery.Identity
	arrived  chan struct{}
}

func (o Options) openWorld(ctx context.Context, n int, c *closers) (*world, error) {
	dir, remove, err := o.room()
	c.add(remove)
	if err != nil {
		return nil, err
	}
	w := &world{}
	options := o.engineOptions(dir)
	options.Handler = w.handle
	if w.engine, err = rookery.Open(ctx, options); err != nil {
		return nil, err
	}
	c.add(func() error { return w.engine.Close(context.WithoutCancel(ctx)) })
	var all sync.WaitGroup
	failed := make([]error, n)
	for i := range n {
		p := &pair{arrived: make(chan struct{}, 4096)}
		w.pairs = append(w.pairs, p)
		all.Go(func() { failed[i] = w.meet(ctx, p) })
	}
	all.Wait()
	return w, errors.Join(failed...)
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
	acknowledged := w.engine.Counts().Acknowledged + uint64(perPair*len(w.pairs)) //nolint:gosec // a count
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
	for w.engine.Counts().Acknowledged < acknowledged && ctx.Err() == nil {
		time.Sleep(100 * time.Microsecond)
	}
	return ctx.Err()
}
