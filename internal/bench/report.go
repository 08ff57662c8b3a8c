package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rookery-im/rookery/internal/bench/measure"
)

// Format is that of the JSON of a report. It changes when a field gets another
// meaning.
const Format = 1

// Report is what one run has measured.
type Report struct {
	Format   int       `json:"format"`
	Note     string    `json:"note,omitempty"`
	Made     time.Time `json:"made"`
	Short    bool      `json:"short"`
	Machine  Machine   `json:"machine"`
	Sections []Section `json:"sections"`
	Missing  []string  `json:"missing,omitempty"` // titles of what was not measured
}

// Section is a group of results.
type Section struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// Columns are ways that have columns of their own in a table.
	Columns []string         `json:"columns,omitempty"`
	Results []measure.Result `json:"results"`
}

// ErrReport is what a file is refused with that is no report of this format.
var ErrReport = errors.New("bench: not a report of a run")

// ReadJSON reads a report that WriteJSON has written.
func ReadJSON(from io.Reader) (*Report, error) {
	var r Report
	decoder := json.NewDecoder(from)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReport, err)
	}
	if r.Format != Format {
		return nil, fmt.Errorf("%w: format %d, not %d", ErrReport, r.Format, Format)
	}
	for _, s := range r.Sections {
		for _, result := range s.Results {
			if len(result.Ways) == 0 {
				return nil, fmt.Errorf("%w: %s is empty", ErrReport, result.ID)
			}
		}
	}
	return &r, nil
}

// WriteJSON writes the report for programs, and for the page.
func (r *Report) WriteJSON(to io.Writer) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// WriteText writes the report for a terminal.
func (r *Report) WriteText(to io.Writer) error {
	if _, err := fmt.Fprintf(to, "%s\n%s\n", r.Machine, r.Made.Format(time.RFC3339)); err != nil {
		return err
	}
	if r.Note != "" {
		if _, err := fmt.Fprintln(to, r.Note); err != nil {
			return err
		}
	}
	for _, s := range r.Sections {
		if len(s.Results) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(to, "\n%s (%s, medians of %d rounds)\n", s.Title, s.Results[0].Basis, s.Results[0].Rounds); err != nil {
			return err
		}
		if err := measure.WriteText(to, s.Results); err != nil {
			return err
		}
	}
	if len(r.Missing) > 0 {
		_, err := fmt.Fprintf(to, "\nnot measured:\n  %s\n", strings.Join(r.Missing, "\n  "))
		return err
	}
	return nil
}

// result finds the result of an id.
func (r *Report) result(id string) (measure.Result, bool) {
	for _, s := range r.Sections {
		for _, result := range s.Results {
			if result.ID == id {
				return result, true
			}
		}
	}
	return measure.Result{}, false
}

// section finds the section of a name.
func (r *Report) section(name string) (Section, bool) {
	for _, s := range r.Sections {
		if s.Name == name && len(s.Results) > 0 {
			return s, true
		}
	}
	return Section{}, false
}
