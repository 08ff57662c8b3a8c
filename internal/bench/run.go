package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/rookery-im/rookery/internal/bench/measure"
)

// ErrStopped is what a run ends with whose context was cancelled.
var ErrStopped = errors.New("bench: stopped")

// Progress is told what is measured next: the n-th (from 1) of so many comparisons.
type Progress func(n, of int, section, title string)

// Run measures. When it is stopped or fails, the report has what was measured until
// then and names the rest, with the error.
func Run(ctx context.Context, o Options, progress Progress) (*Report, error) {
	chosen, err := o.chosen()
	if err != nil {
		return nil, err
	}
	report := &Report{
		Format: Format, Note: o.Note, Made: time.Now().UTC().Truncate(time.Second),
		Short: o.Short, Machine: thisMachine(o.Dir),
	}
	all, ends := make([][]measure.Comparison, len(chosen)), make([]func() error, len(chosen))
	of := 0
	for i, s := range chosen {
		all[i], ends[i] = s.open(o)
		of += len(all[i])
	}
	n := 0
	var failed error
	for i, s := range chosen {
		done := Section{Name: s.name, Title: s.title, Columns: s.columns, Results: []measure.Result{}}
		for _, c := range all[i] {
			if n++; failed != nil {
				report.Missing = append(report.Missing, c.Title)
				continue
			}
			progress(n, of, s.title, c.Title)
			result, err := s.run(ctx, c, o.settings(s))
			if err != nil {
				report.Missing, failed = append(report.Missing, c.Title), err
				continue
			}
			done.Results = append(done.Results, result)
		}
		failed = errors.Join(failed, ends[i]())
		report.Sections = append(report.Sections, done)
	}
	if failed != nil && ctx.Err() != nil {
		failed = fmt.Errorf("%w: %w", ErrStopped, context.Cause(ctx))
	}
	return report, failed
}

func (s section) run(ctx context.Context, c measure.Comparison, settings measure.Settings) (measure.Result, error) {
	if s.oneThread {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	runtime.GC() // what the comparison before has left is not this one's
	return c.Run(ctx, settings)
}
