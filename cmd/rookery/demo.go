package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/footprint"
	"github.com/rookery-im/rookery/transport/memory"
)

// DemoCmd plays a few scenes with two people, then hosts many identities in
// this process and lets them talk.
type DemoCmd struct {
	Identities int           `default:"1000" help:"How many identities; they talk in pairs."`
	Messages   int           `default:"20000" help:"How many messages in all; at least 20 for each pair."`
	Devices    int           `default:"2" help:"Installations of each identity, 1 to 3."`
	Dir        string        `help:"Directory for the store and its key file (default: a temporary one, removed at the end)." type:"path"`
	Seed       uint64        `default:"1" help:"Seed of the network's faults."`
	Timeout    time.Duration `default:"10m" help:"Give up after this long."`
	metricsFlags
}

// The network of the demo mistreats this share of the envelopes.
var demoFaults = memory.Faults{Loss: 0.02, Duplicate: 0.01, Reorder: 0.05}

var errLost = fmt.Errorf("%w: messages were lost", errBadResult)

// Run implements kong's command.
func (c *DemoCmd) Run(out *output) error {
	if err := c.check(); err != nil {
		return err
	}
	dir, cleanUp, err := c.directory()
	if err != nil {
		return err
	}
	defer cleanUp()
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	server, err := c.serve(ctx, out)
	if err != nil {
		return err
	}
	defer server.close()
	if err := showcase(ctx, out.stdout); err != nil {
		return err
	}

	network := memory.New(c.Seed, demoFaults)
	world := newDemoWorld(c, network, out.progress)
	engine, err := rookery.Open(ctx, rookery.Options{
		Dir:       filepath.Join(dir, "store"),
		Unlock:    rookery.KeyFile(filepath.Join(dir, "key")),
		Transport: network,
		Handler:   world.handle,

		MeterProvider: server.provider(),
	})
	if err != nil {
		return err
	}
	result, err := world.run(ctx, engine)
	if closing := engine.Close(ctx); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	result.disk = footprint.Directory(dir)
	result.print(out.stdout)
	if lost := result.lost(); lost > 0 {
		return fmt.Errorf("%w: %d", errLost, lost)
	}
	return nil
}

func (c *DemoCmd) check() error {
	switch {
	case c.Identities < 2 || c.Identities%2 != 0:
		return fmt.Errorf("--identities=%d: an even number from 2 on is needed, since they talk in pairs", c.Identities)
	case c.Devices < 1 || c.Devices > 3:
		return fmt.Errorf("--devices=%d: 1 to 3", c.Devices)
	case c.Messages < 20*c.pairs():
		return fmt.Errorf("--messages=%d: at least %d, 20 for each pair", c.Messages, 20*c.pairs())
	}
	return nil
}

func (c *DemoCmd) pairs() int { return c.Identities / 2 }

// directory gives the store's directory and what has to be done with it at the
// end.
func (c *DemoCmd) directory() (dir string, cleanUp func(), err error) {
	if c.Dir != "" {
		return c.Dir, func() {}, nil
	}
	dir, err = os.MkdirTemp("", "rookery-demo-*")
	if err != nil {
		return "", nil, err
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// demoResult is what the summary says.
type demoResult struct {
	command       DemoCmd
	setUp, talk   time.Duration
	want, arrived tally
	duplicates    uint64
	counts        rookery.Counts
	network       memory.Counts
	refused       map[string]int
	p50, p99      time.Duration
	memory, disk  int64 // bytes
}

// tally is what happened at all installations together, or should have.
type tally struct {
	messages   int
	copies     int // at the sender's other installations
	discovered int // installations, by another one of the same identity
	approved   int // of those
}

// lost is what did not arrive: messages and copies.
func (r *demoResult) lost() int {
	return r.want.messages - r.arrived.messages + r.want.copies - r.arrived.copies
}

func (r *demoResult) print(w io.Writer) {
	line := func(name, format string, args ...any) { field(w, name, format, args...) }
	_, _ = fmt.Fprintln(w, "demo:")
	line("identities", "%d, each with %d installation(s)", r.command.Identities, r.command.Devices)
	line("own devices", "%d discovered, %d approved, each by each other device of its identity",
		r.arrived.discovered, r.arrived.approved)
	line("messages sent", "%d (each encrypted for every installation of the recipient)", r.counts.Sent)
	line("messages delivered", "%d of %d", r.arrived.messages, r.want.messages)
	line("copies delivered", "%d of %d, to the sender's other devices", r.arrived.copies, r.want.copies)
	line("messages lost", "%d", r.lost())
	line("network", "%d envelopes: %d lost and made good later, %d overtaken, %d duplicated",
		r.network.Published, r.network.Lost, r.network.Reordered, r.network.Duplicated)
	line("duplicates refused", "%d", r.duplicates)
	for _, cause := range slices.Sorted(maps.Keys(r.refused)) {
		line("refused", "%d: %s", r.refused[cause], cause)
	}
	line("sessions made", "%d", r.counts.SessionsStarted)
	line("DH ratchet steps", "%d", r.counts.RatchetSteps)
	line("set-up", "%v", r.setUp.Round(time.Millisecond))
	line("throughput", "%.0f messages/s delivered, beside their copies (%v)",
		float64(r.arrived.messages)/r.talk.Seconds(), r.talk.Round(time.Millisecond))
	line("latency", "p50 %v, p99 %v from send to handler (not counting what the network held back)",
		r.p50.Round(10*time.Microsecond), r.p99.Round(10*time.Microsecond))
	line("memory per identity", "%d KiB resident", r.memory/int64(r.command.Identities)/1024)
	line("disk per identity", "%d KiB", r.disk/int64(r.command.Identities)/1024)
}
