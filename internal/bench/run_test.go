package bench

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/internal/bench/measure"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/transport"
	memnet "github.com/rookery-im/rookery/transport/memory"
)

func shortly(t *testing.T) Options {
	return Options{
		Short: true, Rounds: 1, Identities: 1 << 30, Dir: t.TempDir(), Note: "of a test",
		Network: func() transport.Transport { return memnet.New(1, memnet.Faults{}) },
		Records: func(dir string) (persistence.Store, error) { return pebble.Open(dir, pebble.Options{}) },
		Memory:  func() persistence.Store { return memstore.New() },
	}
}

// A short run measures everything: each comparison has a figure and a ratio to
// something else, and a page can ask for it by its id.
func TestShortRunMeasuresEverySection(t *testing.T) {
	last := 0
	report, err := Run(t.Context(), shortly(t), func(n, of int, _, _ string) {
		if n != last+1 || n > of {
			t.Errorf("%d of %d after %d", n, of, last)
		}
		last = n
	})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for i, s := range report.Sections {
		if s.Name != Sections()[i] || len(s.Results) == 0 {
			t.Errorf("section %d: %q with %d results", i, s.Name, len(s.Results))
		}
		for _, r := range s.Results {
			if ids[r.ID] {
				t.Errorf("%s: measured twice", r.ID)
			}
			ids[r.ID] = true
			mustBePlausible(t, r)
		}
	}
	if len(ids) != last || len(report.Sections) != len(Sections()) || len(report.Missing) != 0 {
		t.Errorf("%d of %d figures, %d sections, missing %q", len(ids), last, len(report.Sections), report.Missing)
	}
	mustRoundTrip(t, report)
}

func mustBePlausible(t *testing.T, r measure.Result) {
	t.Helper()
	if r.Title == "" || r.Rounds != 1 || len(r.Ways) < 2 || r.Ways[0].Name != measure.Rookery || r.Ways[0].Times != 1 {
		t.Errorf("%+v", r)
	}
	for _, w := range r.Ways {
		if w.Nanoseconds <= 0 || w.Times <= 0 || w.Rate() <= 0 || w.Allocations < 0 {
			t.Errorf("%s, %s: %+v", r.ID, w.Name, w)
		}
	}
}

// What is read is what was written, and it is written as text as well.
func mustRoundTrip(t *testing.T, report *Report) {
	t.Helper()
	var b bytes.Buffer
	if err := report.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	again, err := ReadJSON(&b)
	if err != nil || !reflect.DeepEqual(report, again) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, again, report)
	}
	if err := again.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, s := range report.Sections {
		for _, want := range []string{s.Title, s.Results[0].Title, s.Results[0].Ways[1].Name, "of a test"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("no %q in the text", want)
			}
		}
	}
}

func TestUnknownSectionIsRefused(t *testing.T) {
	o := shortly(t)
	o.Sections = []string{"ratchet", "nonsense"}
	report, err := Run(t.Context(), o, func(int, int, string, string) { t.Error("something was measured") })
	if !errors.Is(err, ErrUnknownSection) || report != nil || !strings.Contains(err.Error(), `"nonsense"`) {
		t.Errorf("%v, %v", report, err)
	}
}

// A stopped run has what was measured until then, and names the rest.
func TestStoppedRunSaysWhatIsMissing(t *testing.T) {
	o := shortly(t)
	o.Sections = []string{"x3dh", "primitives"}
	ctx, cancel := context.WithCancel(t.Context())
	titles := map[int]string{}
	report, err := Run(ctx, o, func(n, _ int, _, title string) {
		titles[n] = title
		if n == 3 {
			cancel()
		}
	})
	if !errors.Is(err, ErrStopped) || len(titles) != 3 {
		t.Fatalf("%v after %v", err, titles)
	}
	primitives := report.Sections[0]
	if primitives.Name != "primitives" || len(primitives.Results) != 2 || len(report.Sections[1].Results) != 0 {
		t.Errorf("%+v", report.Sections)
	}
	if len(report.Missing) != 8+3 || report.Missing[0] != titles[3] || slices.Contains(report.Missing, titles[2]) {
		t.Errorf("missing %q", report.Missing)
	}
	var b strings.Builder
	if err := report.WriteText(&b); err != nil || !strings.Contains(b.String(), "not measured:\n  "+titles[3]) {
		t.Errorf("%v in\n%s", err, b.String())
	}
	mustRoundTripStopped(t, report)
}

func mustRoundTripStopped(t *testing.T, report *Report) {
	t.Helper()
	var b bytes.Buffer
	if err := report.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if again, err := ReadJSON(&b); err != nil || !slices.Equal(again.Missing, report.Missing) {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestFilesThatAreNoReportAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":       ``,
		"no JSON":       `figures`,
		"no format":     `{}`,
		"a later one":   `{"format":2}`,
		"unknown field": `{"format":1,"figures":[]}`,
		"no ways":       `{"format":1,"sections":[{"name":"a","title":"A","results":[{"id":"b"}]}]}`,
	} {
		if r, err := ReadJSON(strings.NewReader(text)); !errors.Is(err, ErrReport) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}
