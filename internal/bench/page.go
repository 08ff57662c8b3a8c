package bench

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"

	"github.com/rookery-im/rookery/internal/bench/measure"
)

//go:embed performance.md.tmpl
var page string

// ErrMissingFigure is what a page is refused with for which something was not
// measured.
var ErrMissingFigure = errors.New("bench: a figure is missing")

// WritePage writes the page docs/performance.md with the figures of the report. Nothing
// is written if one of them is missing.
func (r *Report) WritePage(to io.Writer) error { return r.write(to, page) }

func (r *Report) write(to io.Writer, text string) error {
	parsed, err := template.New("performance.md").Option("missingkey=error").Funcs(template.FuncMap{
		"micros": r.figure(func(w measure.WayResult) string { return measure.Micros(w.Nanoseconds) }),
		"cpu":    r.figure(func(w measure.WayResult) string { return measure.Micros(w.ProcessorNanoseconds) }),
		"rate":   r.figure(func(w measure.WayResult) string { return fmt.Sprintf("%.0f", w.Rate()) }),
		"times":  r.figure(func(w measure.WayResult) string { return measure.Times(w.Times) }),
		"share":  r.figure(func(w measure.WayResult) string { return measure.Share(1 / w.Times) }),
		"table":  r.table,
		"gib":    gibibytes,
		"join":   strings.Join,
		"rounds": func(name string) (int, error) {
			s, ok := r.section(name)
			if !ok {
				return 0, fmt.Errorf("%w: section %s", ErrMissingFigure, name)
			}
			return s.Results[0].Rounds, nil
		},
	}).Parse(text)
	if err != nil {
		return err
	}
	var b strings.Builder
	if err := parsed.Execute(&b, r); err != nil {
		return err
	}
	_, err = io.WriteString(to, b.String())
	return err
}

// figure is one of a way of a result.
func (r *Report) figure(show func(measure.WayResult) string) func(id, way string) (string, error) {
	return func(id, way string) (string, error) {
		result, ok := r.result(id)
		if !ok {
			return "", fmt.Errorf("%w: %s", ErrMissingFigure, id)
		}
		w, ok := result.Way(way)
		if !ok {
			return "", fmt.Errorf("%w: %s, %s", ErrMissingFigure, id, way)
		}
		return show(w), nil
	}
}

// table is a section as a table.
func (r *Report) table(name string) (string, error) {
	s, ok := r.section(name)
	if !ok {
		return "", fmt.Errorf("%w: section %s", ErrMissingFigure, name)
	}
	var b strings.Builder
	s.writeTable(&b)
	return strings.TrimSuffix(b.String(), "\n"), nil
}
