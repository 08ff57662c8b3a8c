package throughput

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-im/rookery/internal/bench/measure"
	"github.com/rookery-im/rookery/persistence"
)

// manyPairs is the whole path, for pairs that talk at the same time: encrypt, commit,
// publish, decrypt, commit, deliver to the handler, take its acknowledgement, commit
// that. It is compared with the same messages over the bare ratchet.
func manyPairs(o Options, inFlight int, wanted float64) measure.Comparison {
	messages := o.Sizes.Pairs * o.Sizes.Messages
	open := func(ctx context.Context, c *closers) ([]measure.Way, error) {
		w, err := o.openWorld(ctx, o.Sizes.Pairs, c)
		if err != nil {
			return nil, err
		}
		bare, err := newBarePairs(o.Sizes.Pairs)
		return []measure.Way{
			w.way(o.Sizes.Messages, inFlight),
			measure.Turn("bare ratchet", messages, func(context.Context) error { return bare.talk(o.Sizes.Messages, inFlight) }),
		}, err
	}
	return measure.Comparison{
		ID: fmt.Sprintf("pairs-%d-in-flight", inFlight), Title: fmt.Sprintf("%d pairs, %d in flight each", o.Sizes.Pairs, inFlight),
		Basis: measure.Clock, Wanted: wanted, Open: opening(open),
	}
}

// onePair is the whole path for one pair alone, compared with one synced commit of
// one record after the other.
func onePair(o Options) measure.Comparison {
	open := func(ctx context.Context, c *closers) ([]measure.Way, error) {
		w, err := o.openWorld(ctx, 1, c)
		if err != nil {
			return nil, err
		}
		dir, remove, err := o.room()
		c.add(remove)
		if err != nil {
			return nil, err
		}
		store, err := o.openStore(ctx, dir)
		if err != nil {
			return nil, err
		}
		c.add(store.Close)
		commits := max(1, o.Sizes.Burst/5)
		name := persistence.NewName(persistence.KindSession, []byte("one"))
		value := make([]byte, 300)
		return []measure.Way{
			w.way(o.Sizes.Burst, 2048),
			measure.Turn("one synced commit after another", commits, func(ctx context.Context) error {
				for range commits {
					if err := store.Apply(ctx, persistence.Batch{Records: []persistence.Record{{Name: name, Value: value}}}); err != nil {
						return err
					}
				}
				return nil
			}),
		}, nil
	}
	return measure.Comparison{
		ID: "one-pair", Title: fmt.Sprintf("1 pair, %d messages", o.Sizes.Burst),
		Basis: measure.Clock, Wanted: 5, Open: opening(open),
	}
}

// way is the whole path for all pairs.
func (w *world) way(perPair, inFlight int) measure.Way {
	return w.turns(measure.Rookery, perPair*len(w.pairs), func(ctx context.Context) error { return w.talk(ctx, perPair, inFlight) })
}

// turns is a way of the whole path with what the engine has counted.
func (w *world) turns(name string, messages int, turn func(context.Context) error) measure.Way {
	return measure.Way{Name: name, Turn: func(ctx context.Context, _ time.Duration) (measure.Figures, error) {
		before := w.engine.Counts()
		f, err := measure.Take(messages, func() error { return turn(ctx) })
		after := w.engine.Counts()
		if steps := after.RatchetSteps - before.RatchetSteps; err == nil && steps != 0 {
			err = fmt.Errorf("%w: %d", errSteps, steps)
		}
		f.Batches, f.Commits, f.Records = after.Batches-before.Batches, after.Commits-before.Commits, after.Records-before.Records
		f.Wakes = after.Wakes - before.Wakes
		return f, err
	}}
}

var errSteps = errors.New("DH ratchet steps, which the bare ratchet does not make")
