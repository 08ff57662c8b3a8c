package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// RunCmd kills the child until it was killed often enough or a violation has
// shown.
type RunCmd struct {
	Kills    int    `default:"10000" help:"How many kills in all."`
	First    uint64 `default:"1" help:"Seed of the first round; each further one has the next."`
	Round    int    `default:"100" help:"Kills in one round, on one pair of directories."`
	Drain    int    `default:"20" help:"Every so many cycles the senders stop and all has to arrive."`
	Parallel int    `default:"2" help:"Rounds that run at the same time, 1 to 64."`
	Dir      string `help:"Where the directories of the rounds are made (default: the system's temporary directory)." type:"path"`
}

const progressEvery = 5 * time.Second

// errViolated is what every error means that tells of a violation.
var errViolated = errors.New("violated")

// Run carries out the command.
func (c *RunCmd) Run(ctx context.Context, stdout, stderr io.Writer) error {
	if c.Kills < 1 || c.Round < 1 || c.Drain < 1 || c.Parallel < 1 || c.Parallel > 64 {
		return errors.New("--kills, --round and --drain are at least 1, --parallel is 1 to 64")
	}
	if c.Dir != "" {
		if err := os.MkdirAll(c.Dir, 0o700); err != nil {
			return err
		}
	}
	r := &run{command: c, tally: newTally(), begun: make(map[uint64]bool), next: c.First}
	began := time.Now()
	stop := r.progress(stderr, began)
	err := r.work(ctx)
	stop()
	r.tally.print(stdout, time.Since(began))
	if err != nil {
		r.hint(stdout, err)
	}
	return err
}

// run is one run of the command: workers that take a round each.
type run struct {
	command *RunCmd
	tally   *tally

	mu    sync.Mutex
	next  uint64
	given int // kills of all rounds so far
	begun map[uint64]bool
}

// take gives the next round, 0 kills if there is none.
func (r *run) take() (seed uint64, kills int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seed, kills = r.next, min(r.command.Round, r.command.Kills-r.given)
	if kills > 0 {
		r.next++
		r.given += kills
		r.begun[seed] = true
	}
	return seed, kills
}

func (r *run) finished(seed uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.begun, seed)
}

// work lets the workers run. The first that fails ends the others.
func (r *run) work(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup
	for range r.command.Parallel {
		workers.Go(func() {
			for {
				seed, kills := r.take()
				if kills <= 0 || ctx.Err() != nil {
					return
				}
				if err := round(ctx, r.command.Dir, seed, kills, r.command.Drain, r.tally); err != nil {
					cancel(err)
					return
				}
				r.finished(seed)
			}
		})
	}
	workers.Wait()
	err := context.Cause(ctx)
	var failed *roundError
	if errors.As(err, &failed) {
		return fmt.Errorf("%w: %w", errViolated, err)
	}
	return err
}

// progress writes a line now and then until stop is called.
func (r *run) progress(to io.Writer, began time.Time) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				_, _ = fmt.Fprintln(to, r.tally.line(r.command.Kills, time.Since(began)))
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// hint says how to repeat or to go on.
func (r *run) hint(to io.Writer, err error) {
	var failed *roundError
	if errors.As(err, &failed) {
		_, _ = fmt.Fprintf(to, "repeat: %s\n", r.command.again(failed.seed, r.command.Round))
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.next
	for seed := range r.begun {
		first = min(first, seed)
	}
	done := int(first-r.command.First) * r.command.Round //nolint:gosec // as many rounds as were run
	_, _ = fmt.Fprintf(to, "go on: %s\n", r.command.again(first, r.command.Kills-done))
}

// again is the command line for other rounds of the same kind.
func (c *RunCmd) again(first uint64, kills int) string {
	return fmt.Sprintf("go run ./cmd/torture --first=%d --kills=%d --round=%d --drain=%d", first, kills, c.Round, c.Drain)
}
