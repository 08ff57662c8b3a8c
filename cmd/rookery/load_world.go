package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/footprint"
	"github.com/rookery-im/rookery/internal/load"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport/memory"
)

// LoadCreateCmd makes a world that scenarios run in.
type LoadCreateCmd struct {
	loadWorld
	Dir   string        `required:"" type:"path" placeholder:"DIR" help:"Directory of the world. One whose making has ended early goes on."`
	For   load.Scenario `default:"one-way" placeholder:"SCENARIO" help:"Scenario that it is for: bot and reconnect have worlds of their own, all others the same."`
	Plain bool          `help:"Write progress line by line, as to a log."`
}

// Run implements kong's command.
func (c *LoadCreateCmd) Run(out *output) error {
	config := load.Config{Scenario: c.For, Seed: c.Seed}
	if c.For == load.Storm {
		return fmt.Errorf("%w: %s makes its own, in which nobody has talked", load.ErrScenario, load.Storm)
	}
	if err := c.fill(&config, c.Dir); err != nil {
		return err
	}
	out.progress.plain(c.Plain)
	ctx, stop := interruptible()
	defer stop()
	var m load.Monitor
	env := loadEnvironment(c.Dir, memory.New(c.Seed, memory.Faults{}))
	made, err := func() (*load.Made, error) {
		defer out.progress.every(loadProgressEvery, func() string { return loadLine(m.Progress()) })()
		return load.Create(ctx, config, env, &m)
	}()
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("ended early; the same command goes on: %w", err)
	}
	if err != nil {
		return err
	}
	line := func(name, format string, args ...any) { field(out.stdout, name, format, args...) }
	w := made.World
	_, _ = fmt.Fprintln(out.stdout, "world:")
	line("identities", "%d with %d contacts each, %d made now", w.Graph.Identities, w.Graph.Contacts, made.Identities)
	line("pairs", "%d, %d established now, %.0f/s", w.Graph.Pairs(), made.Pairs, made.PairsPerSecond)
	line("sessions", "%d", w.Sessions())
	line("took", "%v", made.Took.Round(time.Millisecond))
	line("disk", "%d MiB, %d bytes per session", made.Disk>>20, made.Disk/int64(w.Sessions()))
	return nil
}

// environment is where a run takes place.
func (c *LoadRunCmd) environment() (load.Environment, func(), error) {
	dir, cleanUp := c.Dir, func() {}
	if dir == "" && c.Durability == "durable" {
		made, err := os.MkdirTemp("", "rookery-load-*")
		if err != nil {
			return load.Environment{}, nil, err
		}
		dir, cleanUp = made, func() { _ = os.RemoveAll(made) }
	}
	spec, err := parseTransport(c.Transport)
	if err != nil {
		return load.Environment{}, nil, err
	}
	if spec.kind == memoryTransport {
		network := memory.New(c.Seed, memory.Faults{Loss: c.Loss, Duplicate: c.Duplicate, Reorder: c.Reorder})
		return loadEnvironment(dir, network), cleanUp, nil
	}
	env := loadEnvironment(dir, nil)
	stores := env.Options
	env.Options = func(ctx context.Context, engine int) (rookery.Options, error) {
		options, err := stores(ctx, engine)
		if err != nil {
			return options, err
		}
		return options, openTransport(ctx, spec, &options)
	}
	return env, cleanUp, nil
}

// watched has the first engine measured, which is the one that sends if there are
// two: each needs a provider of its own.
func watched(options func(context.Context, int) (rookery.Options, error), server *metricsServer) func(context.Context, int) (rookery.Options, error) {
	return func(ctx context.Context, engine int) (rookery.Options, error) {
		o, err := options(ctx, engine)
		if engine == 0 {
			o.MeterProvider = server.provider()
		}
		return o, err
	}
}

// loadEnvironment keeps a world in a directory, or in memory if that is "".
func loadEnvironment(dir string, network *memory.Network) load.Environment {
	env := load.Environment{Dir: dir, InProcess: network != nil}
	if network != nil {
		env.Redeliver = network.Redeliver
	}
	if dir != "" {
		env.Disk = func() int64 { return footprint.Directory(dir) }
	}
	stores := make(map[int]persistence.Store)
	env.Options = func(_ context.Context, engine int) (rookery.Options, error) {
		var options rookery.Options
		if network != nil {
			options.Transport = network
		}
		if dir != "" {
			options.Dir = filepath.Join(dir, fmt.Sprintf("store-%d", engine))
			options.Unlock = rookery.KeyFile(filepath.Join(dir, fmt.Sprintf("key-%d", engine)))
			return options, nil
		}
		if stores[engine] == nil {
			stores[engine] = lastingStore{memstore.New()}
		}
		options.Store = stores[engine]
		return options, nil
	}
	return env
}

// lastingStore is a store in memory that is there when its engine is opened again.
type lastingStore struct{ persistence.Store }

// Close implements persistence.Store.
func (lastingStore) Close() error { return nil }

// loadProgressEvery is how often a line on a terminal is written anew.
const loadProgressEvery = 250 * time.Millisecond

// loadLine tells how a run gets on.
func loadLine(p load.Progress) string {
	elapsed := p.Elapsed.Round(time.Second)
	switch {
	case p.Phase == "":
		return "beginning"
	case p.Total > 0:
		line := fmt.Sprintf("%s %s %d of %d  %.0f/s  %v", p.Phase, bar(p.Done, p.Total), p.Done, p.Total, p.Rate, elapsed)
		if p.Left > 0 {
			line += fmt.Sprintf("  %v left", p.Left.Round(time.Second))
		}
		return line
	case p.Traffic.Sent > 0:
		return fmt.Sprintf("%s  %v  sent %d  delivered %d  on the way %d  p99 %v", p.Phase, elapsed,
			p.Traffic.Sent, p.Traffic.Delivered, p.Traffic.Waiting, p.Traffic.P99.Round(10*time.Microsecond))
	}
	return fmt.Sprintf("%s  %v", p.Phase, elapsed)
}

// bar shows how much of something is done.
func bar(done, total int) string {
	const width = 24
	full := min(width, width*done/max(1, total))
	text := make([]byte, width)
	for i := range text {
		text[i] = '-'
		if i < full {
			text[i] = '#'
		}
	}
	return "[" + string(text) + "]"
}
