package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"github.com/rookery-im/rookery/internal/load"
	"github.com/rookery-im/rookery/internal/load/report"
)

// LoadCmd puts an engine under load and measures it.
type LoadCmd struct {
	OneWay    LoadRunCmd     `cmd:"" name:"one-way" help:"One of each pair writes to the other."`
	PingPong  LoadRunCmd     `cmd:"" name:"ping-pong" help:"One of each pair writes, the other answers: a DH ratchet step each way."`
	FanOut    LoadRunCmd     `cmd:"" name:"fan-out" help:"Identities write to all their contacts, as to a group."`
	Bot       LoadRunCmd     `cmd:"" name:"bot" help:"All write to one identity, which answers each."`
	Cold      LoadRunCmd     `cmd:"" name:"cold" help:"Each message goes to a pair that is asleep."`
	Storm     LoadRunCmd     `cmd:"" name:"storm" help:"Each message is the first of its pair and sets up a session."`
	Rekey     LoadRunCmd     `cmd:"" name:"rekey" help:"A day passes and every pair makes a new session."`
	Reconnect LoadRunCmd     `cmd:"" name:"reconnect" help:"The recipients' engine is away while all is sent, then comes back."`
	Create    LoadCreateCmd  `cmd:"" help:"Make a world for load runs in a directory, or go on making it."`
	Compare   LoadCompareCmd `cmd:"" help:"Compare the JSON reports of two runs."`
}

// loadWorld says who talks to whom.
type loadWorld struct {
	Identities *int   `placeholder:"N" help:"How many identities (100, or what --dir has)."`
	Contacts   *int   `placeholder:"N" help:"How many contacts each has (2, or what --dir has); of bot, the first has all."`
	Devices    *int   `placeholder:"N" help:"Installations of each, 1 to 3 (1, or what --dir has)."`
	Seed       uint64 `default:"1" help:"The same seed is the same plan of sends, and the same faults of a network in memory."`
}

// LoadRunCmd runs one scenario.
type LoadRunCmd struct {
	loadWorld
	Dir        string        `type:"path" placeholder:"DIR" help:"A world that load create has made, or a directory for a new one (default: a temporary one, removed at the end)."`
	Hot        int           `placeholder:"N" help:"Use only so many pairs, spread over all (of fan-out: groups)."`
	Payload    string        `default:"100" placeholder:"BYTES" help:"Size of payloads, or several with weights: 100:80,1024:15,65536:5."`
	Rate       float64       `placeholder:"N" help:"Sends per second, whatever is under way: what has to wait has waited (open loop)."`
	InFlight   int           `placeholder:"N" help:"Without a rate: how many sends are under way at a time (64; closed loop)."`
	Duration   time.Duration `default:"10s" help:"For how long is measured."`
	WarmUp     time.Duration `default:"1s" help:"For how long messages are sent before that."`
	Drain      time.Duration `default:"30s" help:"When nothing has come for so long, what is missing is lost."`
	Transport  string        `default:"memory" env:"ROOKERY_LOAD_TRANSPORT" placeholder:"NETWORK" help:"memory, waku:MULTIADDR[,store=URL], wakurest:URL or nats://HOST:PORT."`
	Durability string        `default:"durable" enum:"durable,memory" help:"durable: sealed, on disk, synced; memory: nothing outlasts the process."`
	Loss       float64       `placeholder:"SHARE" help:"Share of envelopes, 0 to 1, that a network in memory makes good later."`
	Duplicate  float64       `placeholder:"SHARE" help:"Share that it delivers twice."`
	Reorder    float64       `placeholder:"SHARE" help:"Share that it lets others overtake."`
	Plain      bool          `help:"Write progress line by line, as to a log."`
	JSON       string        `name:"json" type:"path" placeholder:"FILE" help:"Write everything measured as JSON."`
	HTML       string        `name:"html" type:"path" placeholder:"FILE" help:"Write a report with charts, one file that needs nothing else."`
	FailIf     []string      `name:"fail-if" sep:"none" placeholder:"CONDITION" help:"Exit with 1 if it holds, such as lost>0, p99>50ms, memory>2GiB, goroutine_growth>5%, throughput<1000. May be repeated."`
	metricsFlags
}

var errThresholds = fmt.Errorf("%w: a threshold was passed", errBadResult)

// Run implements kong's command.
func (c *LoadRunCmd) Run(out *output, command *kong.Context) error {
	scenario := load.Scenario(command.Selected().Name)
	config, thresholds, err := c.check(scenario)
	if err != nil {
		return err
	}
	out.progress.plain(c.Plain)
	ctx, stop := interruptible()
	defer stop()
	server, err := c.serve(ctx, out)
	if err != nil {
		return err
	}
	defer server.close()
	result, err := c.measure(ctx, config, server, out.progress)
	if err != nil {
		return err
	}
	r := &report.Report{Result: *result}
	r.Place = load.Place{Transport: shownTransport(c.Transport), Durability: c.Durability}
	if r.Thresholds, err = report.Judge(result, thresholds); err != nil {
		return err
	}
	if err := errors.Join(r.WriteText(out.stdout), writeReport(c.JSON, r.WriteJSON), writeReport(c.HTML, r.WriteHTML)); err != nil {
		return err
	}
	if report.Failed(r.Thresholds) {
		return errThresholds
	}
	return nil
}

// check refuses what cannot be run before anything is made.
func (c *LoadRunCmd) check(scenario load.Scenario) (load.Config, []report.Threshold, error) {
	config := load.Config{
		Scenario: scenario, Hot: c.Hot, Rate: c.Rate, InFlight: c.InFlight,
		Duration: c.Duration, WarmUp: c.WarmUp, Drain: c.Drain, Seed: c.Seed,
	}
	if config.Rate == 0 && config.InFlight == 0 {
		config.InFlight = 64
	}
	var thresholds []report.Threshold
	for _, text := range c.FailIf {
		t, err := report.ParseThreshold(text)
		if err != nil {
			return config, nil, err
		}
		thresholds = append(thresholds, t)
	}
	if _, err := report.Judge(&load.Result{}, thresholds); err != nil { // no ratios
		return config, nil, err
	}
	if _, err := parseTransport(c.Transport); err != nil {
		return config, nil, err
	}
	for name, share := range map[string]float64{"loss": c.Loss, "duplicate": c.Duplicate, "reorder": c.Reorder} {
		if !(share >= 0 && share <= 0.9) {
			return config, nil, fmt.Errorf("--%s=%v: a share from 0 to 0.9", name, share)
		}
		if share > 0 && c.Transport != string(memoryTransport) {
			return config, nil, fmt.Errorf("--%s: only --transport=memory has faults by choice", name)
		}
	}
	if c.Dir != "" && c.Durability == "memory" {
		return config, nil, fmt.Errorf("--durability=memory: a world in --dir is on disk")
	}
	for _, file := range []string{c.JSON, c.HTML} {
		if file == "" {
			continue
		}
		if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
			return config, nil, fmt.Errorf("%s: its directory does not exist", file)
		}
	}
	var err error
	if config.Payload, err = load.ParseSizes(c.Payload); err != nil {
		return config, nil, err
	}
	if err := c.fill(&config, c.Dir); err != nil {
		return config, nil, err
	}
	return config, thresholds, config.Check()
}

// fill puts into a config what was asked for, or what the world has, or the default.
func (w *loadWorld) fill(c *load.Config, dir string) error {
	c.Identities, c.Contacts, c.Devices = 100, 2, 1
	is := false
	if dir != "" {
		world, exists, err := load.ReadWorld(dir)
		if err != nil {
			return err
		}
		if is = exists; exists {
			c.Identities, c.Contacts, c.Devices = world.Graph.Identities, world.Graph.Contacts, world.Devices
		}
	}
	for _, one := range []struct {
		asked *int
		into  *int
	}{{w.Identities, &c.Identities}, {w.Contacts, &c.Contacts}, {w.Devices, &c.Devices}} {
		if one.asked != nil {
			*one.into = *one.asked
		}
	}
	if c.Scenario == load.Bot && w.Contacts == nil && !is {
		c.Contacts = c.Identities - 1
	}
	return nil
}

// measure runs the scenario in its directory, with progress.
func (c *LoadRunCmd) measure(ctx context.Context, config load.Config, server *metricsServer, p *progress) (*load.Result, error) {
	env, cleanUp, err := c.environment()
	if err != nil {
		return nil, err
	}
	defer cleanUp()
	env.Options = watched(env.Options, server)
	var m load.Monitor
	defer p.every(loadProgressEvery, func() string { return loadLine(m.Progress()) })()
	return load.Run(ctx, config, env, &m)
}

// writeReport writes a file, if one is wanted and all of it can be written.
func writeReport(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	var whole bytes.Buffer
	if err := write(&whole); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, whole.Bytes(), 0o666) //nolint:gosec // figures, for whom the umask lets
}

// shownTransport is a network as a report may show it: without what may be secret.
func shownTransport(text string) string {
	spec, err := parseTransport(text)
	if err != nil {
		return ""
	}
	return string(spec.kind)
}

// LoadCompareCmd compares two runs.
type LoadCompareCmd struct {
	Before string   `arg:"" type:"existingfile" help:"JSON report of the first run."`
	After  string   `arg:"" type:"existingfile" help:"JSON report of the second run."`
	FailIf []string `name:"fail-if" sep:"none" placeholder:"CONDITION" help:"Exit with 1 if it holds, such as p99>1.2x (of the first run) or lost>0 (in the second). May be repeated."`
}

// Run implements kong's command.
func (c *LoadCompareCmd) Run(out *output) error {
	var thresholds []report.Threshold
	for _, text := range c.FailIf {
		t, err := report.ParseThreshold(text)
		if err != nil {
			return err
		}
		thresholds = append(thresholds, t)
	}
	before, err := readReport(c.Before)
	if err != nil {
		return err
	}
	after, err := readReport(c.After)
	if err != nil {
		return err
	}
	outcomes := report.JudgeChange(&before.Result, &after.Result, thresholds)
	if err := report.WriteChanges(out.stdout, before, after, outcomes); err != nil {
		return err
	}
	if slices.ContainsFunc(outcomes, func(o report.Outcome) bool { return o.Failed }) {
		return errThresholds
	}
	return nil
}

func readReport(path string) (*report.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	r, err := report.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}
