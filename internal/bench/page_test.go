package bench

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

func committed(t *testing.T) *Report {
	t.Helper()
	f, err := os.Open("../../docs/performance.json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	report, err := ReadJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// docs/performance.md is what the template gives for docs/performance.json: no figure
// of it was written by hand.
func TestPageIsTrueToItsFigures(t *testing.T) {
	report := committed(t)
	if report.Short {
		t.Error("the figures are of a short run")
	}
	have, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	if err := report.WritePage(&want); err != nil {
		t.Fatal(err)
	}
	if want.String() != string(have) {
		t.Error("docs/performance.md is not what the template makes of docs/performance.json; run\n" +
			"    go run ./cmd/rookery bench --from docs/performance.json --markdown docs/performance.md")
	}
}

// Without any one of its sections there is no page, and nothing of it is written.
func TestPageNeedsEverySection(t *testing.T) {
	for _, name := range Sections() {
		report := committed(t)
		report.Sections = slices.DeleteFunc(report.Sections, func(s Section) bool { return s.Name == name })
		var b strings.Builder
		if err := report.WritePage(&b); !errors.Is(err, ErrMissingFigure) || b.Len() != 0 {
			t.Errorf("without %s: %v, %d bytes", name, err, b.Len())
		}
	}
}

func TestTemplateFailsWithoutAFigure(t *testing.T) {
	report := committed(t)
	for text, fails := range map[string]bool{
		`{{micros "encrypt-100" "floor"}}`:     false,
		`{{micros "encrypt-100" "ceiling"}}`:   true,
		`{{times "encrypt-101" "floor"}}`:      true,
		`{{share "pairs-7-in-flight" "bare"}}`: true,
		`{{table "nonsense"}}`:                 true,
		`{{rounds "nonsense"}}`:                true,
		`{{rounds "ratchet"}}`:                 false,
	} {
		var b strings.Builder
		if err := report.write(&b, text); errors.Is(err, ErrMissingFigure) != fails || fails == (b.Len() > 0) {
			t.Errorf("%s: %q, %v", text, b.String(), err)
		}
	}
}

// Every result of the report is in a table of the page, and what was not measured is
// named.
func TestPageHasEveryResult(t *testing.T) {
	report := committed(t)
	report.Missing = []string{"the one", "the other"}
	var page strings.Builder
	if err := report.WritePage(&page); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(page.String(), "| not measured in this run | the one; the other |\n") {
		t.Error("what is missing is not named")
	}
	for _, s := range report.Sections {
		for _, r := range s.Results {
			if !strings.Contains(page.String(), "\n| "+r.Title+" |") {
				t.Errorf("no line of %s", r.ID)
			}
		}
	}
}

// One file: no reference to any other, and what a title says is text.
func TestHTMLNeedsNothingElse(t *testing.T) {
	report := committed(t)
	report.Note = `<script src="x">`
	report.Missing = []string{"the rest"}
	var b strings.Builder
	if err := report.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	for _, forbidden := range []string{"<script", "<link", "src=", "href=", "http:", "https:", "url(", "ZgotmplZ"} {
		if strings.Contains(strings.ReplaceAll(b.String(), "&lt;script src=&#34;x&#34;&gt;", ""), forbidden) {
			t.Errorf("it has %s", forbidden)
		}
	}
	for _, want := range []string{"the rest", "encrypt 100 B", report.Sections[0].Title, "width:100.0%"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q", want)
		}
	}
}
