package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/rookery-im/rookery/internal/bench/measure"
)

//go:embed report.html.tmpl
var htmlPage string

// WriteHTML writes the report as one file that needs nothing else: each operation with
// bars that are as long as it takes in each way, or as it does in a second.
func (r *Report) WriteHTML(to io.Writer) error {
	parsed, err := template.New("report.html").Funcs(template.FuncMap{
		"bars": bars,
	}).Parse(htmlPage)
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

// bar is one way of an operation.
type bar struct {
	Name, Figure, Ratio string
	Own                 bool
	Percent             string // of the longest of the operation
}

func bars(r measure.Result) []bar {
	length := func(w measure.WayResult) float64 {
		if r.Basis == measure.Clock {
			return w.Rate()
		}
		return w.Nanoseconds
	}
	longest := 0.0
	for _, w := range r.Ways {
		longest = max(longest, length(w))
	}
	all := make([]bar, len(r.Ways))
	for i, w := range r.Ways {
		all[i] = bar{Name: w.Name, Figure: r.Basis.Figure(w), Own: i == 0, Percent: fmt.Sprintf("%.1f", 100*length(w)/longest)}
		if i > 0 {
			all[i].Ratio = r.Basis.Ratio(w)
		}
	}
	return all
}
