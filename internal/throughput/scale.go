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
	// scaleIdle is how long a contact stays in memory without a message, if there is room.
	scaleIdle = 10 * time.Second
	// scaleLead is how many times as many messages are sent before those that are measured:
	// enough for each of the hot set, and for the memory budget to follow what is in use.
	scaleLead = 3
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
	hot, all := s.many.pairs[:min(hotPairs, len(s.many.pairs))], s.many.pairs
	return measure.Opened{Ways: []measure.Way{
		s.way(measure.Rookery, s.many, func(i int) *pair { return hot[i%len(hot)] }),
		s.way(fewWay, s.few, func(i int) *pair { return s.few.pairs[i%len(s.few.pairs)] }),
		s.way(uniformWay, s.many, func(int) *pair {
			return all[rand.IntN(len(all))] //nolint:gosec // whose turn it is
		}),
	}}, nil
}

// way is traffic in the pairs that next gives. Each turn begins with some that is not
// measured, so that those are awake who are with such traffic.
func (s *scale) way(name string, w *world, next func(i int) *pair) measure.Way {
	messages := s.Sizes.Scale
	way := w.turns(name, messages, func(ctx context.Context) error { return w.spread(ctx, messages, next) })
	turn := way.Turn
	way.Turn = func(ctx context.Context, long time.Duration) (measure.Figures, error) {
		if err := w.spread(ctx, scaleLead*messages, next); err != nil {
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
