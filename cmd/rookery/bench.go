package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rookery-im/rookery/internal/bench"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/transport"
	memnet "github.com/rookery-im/rookery/transport/memory"
)

// BenchCmd measures the engine and its parts.
type BenchCmd struct {
	Only       []string `placeholder:"SECTION,..." help:"Measure only these sections: ${bench_sections}."`
	Short      bool     `help:"Small sizes and few rounds: to see that it works, in less than half a minute."`
	Rounds     int      `default:"0" help:"Rounds of each comparison (default: 5 or 7)."`
	Identities int      `default:"100000" help:"How many identities are hosted at most, where cost is followed as their number grows."`
	Dir        string   `help:"Directory for the stores, which are removed at the end (default: a temporary one)." type:"path"`
	Note       string   `help:"What has to be known about this run; it stands in the report."`
	From       string   `help:"Measure nothing: take the JSON of an earlier run." type:"existingfile"`
	JSON       string   `name:"json" help:"Write the figures to this file, for programs and for --from." type:"path"`
	HTML       string   `name:"html" help:"Write the figures to this file as a page with bars, which needs nothing else." type:"path"`
	Markdown   string   `help:"Write docs/performance.md with these figures to this file. It needs all sections." type:"path"`
}

var (
	errBenchFlags   = errors.New("flags that do not go together")
	errBenchStopped = fmt.Errorf("%w: not everything was measured", errBadResult)
)

// Run implements kong's command.
func (c *BenchCmd) Run(out *output) error {
	if err := c.check(); err != nil {
		return err
	}
	report, err := c.report(out)
	if report == nil {
		return err
	}
	if errors.Is(err, bench.ErrStopped) {
		err = fmt.Errorf("%w: %w", errBenchStopped, err)
	}
	return errors.Join(err, c.write(out, report))
}

// check refuses what would be found out only after minutes.
func (c *BenchCmd) check() error {
	switch {
	case c.Rounds < 0:
		return fmt.Errorf("--rounds=%d: 1 or more", c.Rounds)
	case c.Identities < 1:
		return fmt.Errorf("--identities=%d: 1 or more", c.Identities)
	case c.From != "" && (c.Short || len(c.Only) > 0):
		return fmt.Errorf("%w: --from measures nothing", errBenchFlags)
	case c.Markdown != "" && len(c.Only) > 0:
		return fmt.Errorf("%w: --markdown needs all sections, --only leaves some out", errBenchFlags)
	}
	return nil
}

// report measures, or reads what was measured.
func (c *BenchCmd) report(out *output) (*bench.Report, error) {
	if c.From != "" {
		f, err := os.Open(c.From)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		return bench.ReadJSON(f)
	}
	dir, err := os.MkdirTemp(c.Dir, "rookery-bench-*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := interruptible()
	defer cancel()
	return bench.Run(ctx, bench.Options{
		Sections: c.Only, Short: c.Short, Rounds: c.Rounds, Identities: c.Identities, Dir: dir, Note: c.Note,
		Network: func() transport.Transport { return memnet.New(1, memnet.Faults{}) },
		Records: func(dir string) (persistence.Store, error) { return pebble.Open(dir, pebble.Options{}) },
		Memory:  func() persistence.Store { return memstore.New() },
	}, func(n, of int, section, title string) {
		out.progress.write(fmt.Sprintf("%d of %d  %s: %s", n, of, section, title))
		if out.progress.terminal && n == of {
			_, _ = fmt.Fprintln(out.progress.to)
		}
	})
}

// write writes the report in all forms that are asked for. Files are written also
// when the run was stopped, but for the page.
func (c *BenchCmd) write(out *output, report *bench.Report) error {
	err := report.WriteText(out.stdout)
	for _, form := range []struct {
		path  string
		write func(io.Writer) error
	}{{c.JSON, report.WriteJSON}, {c.HTML, report.WriteHTML}, {c.Markdown, report.WritePage}} {
		err = errors.Join(err, writeReport(form.path, form.write))
	}
	return err
}
