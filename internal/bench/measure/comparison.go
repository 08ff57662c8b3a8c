package measure

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Basis is the time that a comparison goes by.
type Basis string

// Processor time is for what runs on one thread: what else the machine does does
// not count. Clock is for what waits for disks and for others.
const (
	Processor Basis = "processor time"
	Clock     Basis = "clock"
)

// Comparison is one operation that is done in several ways.
type Comparison struct {
	ID    string // by which a page asks for it: "encrypt-100"
	Title string
	Basis Basis
	// Wanted is the share of the second way's rate that the first one is to reach, 0
	// if nobody has said.
	Wanted float64
	// Open prepares the ways.
	Open func(context.Context) (Opened, error)
}

// Opened are ways that are ready. The first is Rookery's own.
type Opened struct {
	Ways  []Way
	Close func() error // nil if there is nothing to close
}

// Way is one way of doing an operation.
type Way struct {
	Name string
	// Turn does it for about so long, or as often as it always does.
	Turn func(ctx context.Context, long time.Duration) (Figures, error)
}

// Rookery is the name of the own way.
const Rookery = "rookery"

// Each is a way whose turns call op again and again.
func Each(name string, op func() error) Way {
	n := 1
	return Way{Name: name, Turn: func(ctx context.Context, long time.Duration) (Figures, error) {
		for {
			f, err := Take(n, func() error {
				for range n {
					if err := op(); err != nil {
						return fmt.Errorf("%s: %w", name, err)
					}
				}
				return nil
			})
			if err == nil {
				err = ctx.Err()
			}
			if err != nil || f.Elapsed >= long*7/10 && f.Processor > 0 {
				return f, err
			}
			needed := float64(n) * float64(long) / float64(max(f.Elapsed, time.Microsecond))
			n = min(max(int(needed), n+1), 100*n)
		}
	}}
}

// Turn is a way whose turns do the whole of it, so many operations, once.
func Turn(name string, operations int, turn func(context.Context) error) Way {
	return Way{Name: name, Turn: func(ctx context.Context, _ time.Duration) (Figures, error) {
		return Take(operations, func() error { return turn(ctx) })
	}}
}

// Settings are how carefully a comparison is made.
type Settings struct {
	Rounds int           // turns of each way
	Turn   time.Duration // of a way whose turns have no length of their own
	Alone  bool          // leave out what the own way is compared with, for a profile
}

var errNothing = errors.New("nothing was measured")

// Run opens a comparison, lets its ways take turns and closes it.
func (c Comparison) Run(ctx context.Context, s Settings) (result Result, err error) {
	opened, err := c.Open(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", c.ID, err)
	}
	if opened.Close != nil {
		defer func() {
			if closing := opened.Close(); err == nil && closing != nil {
				err = fmt.Errorf("%s: %w", c.ID, closing)
			}
		}()
	}
	ways := opened.Ways
	if s.Alone {
		ways = ways[:1]
	}
	rounds := make([][]Figures, len(ways))
	for range s.Rounds {
		for i, way := range ways {
			f, err := way.Turn(ctx, s.Turn)
			switch {
			case err == nil:
				err = ctx.Err()
			case ctx.Err() != nil:
				err = errors.Join(ctx.Err(), err)
			}
			if err == nil && (f.Operations == 0 || f.each(c.Basis) <= 0) {
				err = errNothing
			}
			if err != nil {
				return Result{}, fmt.Errorf("%s, %s: %w", c.ID, way.Name, err)
			}
			rounds[i] = append(rounds[i], f)
		}
	}
	result = Result{ID: c.ID, Title: c.Title, Basis: c.Basis, Rounds: s.Rounds, Wanted: c.Wanted}
	for i, way := range ways {
		result.Ways = append(result.Ways, summary(way.Name, c.Basis, rounds[i], rounds[0]))
	}
	return result, nil
}
