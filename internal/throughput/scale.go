package throughput

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-im/rookery/internal/bench/measure"
)

const (
	// hotPairs is how many pairs talk at most, of all that there are.
	hotPairs = 10_000
	// scaleInFlight is how many messages are under way in all pairs together.
	scaleInFlight = 1024
	// scaleIdle is how long a contact stays in memory without a message. The engine's
	// own default is longer than the measurement: nobody would sleep.
	scaleIdle = 10 * time.Second
)

// The names of what the hot set stands beside.
const (
	fewWay     = "10 identities"
	uniformWay = "uniform traffic"
)

// Scale follows the cost of a message as the number of identities in one store grows:
// the whole path, as manyPairs has it, in pairs of a hot set of at most 10,000. It is
// compared with the same in a store of 10 identities, and with traffic that is spread
// evenly over all pairs, most of which have to be woken when there are many. The
// identities are made once, and grow from one number to the next; each comparison
// can be left out. The stores are closed by the function.
func Scale(o Options, identities []int) (all []measure.Comparison, end func() error) {
	s := &scale{Options: o}
	for _, n := range identities {
		all = append(all, measure.Comparison{
			ID: fmt.Sprint("scale-", n), Title: fmt.Sprintf("%d identities", n), Basis: measure.Clock,
			Open: func(ctx context.Context) (measure.Opened, error) { return s.open(ctx, n) },
		})
	}
	return all, s.close
}

// scale is a store that grows, beside one that does not.
type scale struct {
	Options
	closers
	few, many *world
}

func (s *scale) open(ctx context.Context, identities int) (measure.Opened, error) {
	if s.many == nil {
		var err1, err2 error
		s.few, err1 = s.openEmptyWorld(ctx, scaleIdle, &s.closers)
		s.many, err2 = s.openEmptyWorld(ctx, scaleIdle, &s.closers)
		if err := errors.Join(err1, err2); err != nil {
			return measure.Opened{}, err
		}
		if err := s.few.grow(ctx, 5); err != nil {
			return measure.Opened{}, err
		}
	}
	if err := s.many.grow(ctx, max(1, identities/2)); err != nil {
		return measure.Opened{}, err
	}
	hot := s.many.pairs[:min(hotPairs, len(s.many.pairs))]
	return measure.Opened{Ways: []measure.Way{
		s.round(measure.Rookery, s.many, hot),
		s.round(fewWay, s.few, s.few.pairs),
		s.many.turns(uniformWay, s.Sizes.Scale, func(ctx context.Context) error {
			return s.many.spread(ctx, s.Sizes.Scale, func(int) *pair {
				return s.many.pairs[rand.IntN(len(s.many.pairs))] //nolint:gosec // whose turn it is
			})
		}),
	}}, nil
}

// round is traffic that goes round some pairs, all of which are awake: one message of
// each is sent before the clock runs.
func (s *scale) round(name string, w *world, pairs []*pair) measure.Way {
	next := func(i int) *pair { return pairs[i%len(pairs)] }
	way := w.turns(name, s.Sizes.Scale, func(ctx context.Context) error { return w.spread(ctx, s.Sizes.Scale, next) })
	turn := way.Turn
	way.Turn = func(ctx context.Context, long time.Duration) (measure.Figures, error) {
		if err := w.spread(ctx, len(pairs), next); err != nil {
			return measure.Figures{}, err
		}
		return turn(ctx, long)
	}
	return way
}

// spread sends so many messages, each in the pair that next gives for it, and waits
// until all acknowledgements are durable.
func (w *world) spread(ctx context.Context, messages int, next func(i int) *pair) error {
	settled := w.settling(messages)
	var sent atomic.Int64
	failed := make([]error, scaleInFlight)
	var all sync.WaitGroup
	for sender := range scaleInFlight {
		all.Go(func() {
			payload := make([]byte, payloadSize)
			for failed[sender] == nil {
				i := int(sent.Add(1)) - 1
				if i >= messages {
					return
				}
				p := next(i)
				failed[sender] = p.send(ctx, p.from, p.to, payload)
			}
		})
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	return settled(ctx)
}
