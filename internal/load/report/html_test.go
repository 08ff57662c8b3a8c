package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery/internal/load"
)

func htmlOf(t *testing.T, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// judged is the example with thresholds, one of which has failed.
func judged(t *testing.T) *Report {
	t.Helper()
	r := &Report{Result: *example()}
	var err error
	if r.Thresholds, err = Judge(&r.Result, mustParse(t, "lost>0", "p99>1s")); err != nil {
		t.Fatal(err)
	}
	return r
}

// A report names nothing that a browser would fetch, has no script, and forbids both.
func TestHTMLNeedsNothingElse(t *testing.T) {
	text := htmlOf(t, judged(t))
	for _, forbidden := range []string{"http:", "https:", "<script", "javascript:", "@import", "url(", "src="} {
		if strings.Contains(text, forbidden) {
			t.Errorf("there is %q", forbidden)
		}
	}
	if !strings.Contains(text, `<meta http-equiv="Content-Security-Policy" content="default-src 'none';`) {
		t.Error("nothing is forbidden")
	}
	for _, want := range []string{"990/s", "10,998", "A threshold was passed.", "fail if lost&gt;0", "prefers-color-scheme: dark"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
}

// What others have a say in cannot become part of the page's code.
func TestHTMLShowsTextsAsTexts(t *testing.T) {
	r := judged(t)
	const evil = `</title></svg><script>alert(1)</script>`
	r.Place.Transport, r.Machine.Processor = evil, evil
	r.Outcomes.Causes = map[string]int64{evil: 1}
	if text := htmlOf(t, r); strings.Contains(text, "<script") {
		t.Error("a script got in")
	}
}

// A run without anything measured has a report all the same.
func TestHTMLOfNothing(t *testing.T) {
	for _, r := range []*load.Result{{}, {Timeline: []load.Sample{{}}}, {Timeline: []load.Sample{{At: time.Second}, {At: 2 * time.Second}}}} {
		if text := htmlOf(t, &Report{Result: *r}); strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("%+v: there is a figure that is none", r)
		}
	}
}

// All lines lie inside of their picture, and end where the axes say.
func TestChartsDrawInsideOfTheirAxes(t *testing.T) {
	r := judged(t)
	r.Timeline[3].Latency = load.Latency{} // a gap
	for _, c := range r.charts() {
		svg := string(c.SVG())
		if err := wellFormed(svg); err != nil {
			t.Errorf("%s: %v", c.Title, err)
		}
		points := 0
		for _, l := range c.lines {
			for _, p := range l.points {
				if math.IsNaN(p.y) {
					continue
				}
				points++
				if x, y := c.left(p.x), c.top(p.y); x < marginLeft-.1 || x > chartWidth-marginRight+.1 || y < marginTop-.1 || y > chartHeight-marginLow+.1 {
					t.Errorf("%s, %s: %v is drawn at %.1f, %.1f", c.Title, l.name, p, x, y)
				}
			}
		}
		if points < 6 || strings.Count(svg, `<path class="line`) != len(c.lines) {
			t.Errorf("%s: %d points, %s", c.Title, points, svg)
		}
		if marks := len(c.y.marks()); marks < 2 || marks > 12 {
			t.Errorf("%s: %d marks: %v", c.Title, marks, c.y.marks())
		}
	}
	if svg := string(r.latencies().SVG()); strings.Count(svg[strings.Index(svg, `class="line`):], "M") < 8 {
		t.Error("no line is broken where nothing was measured")
	}
}

func wellFormed(svg string) error {
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%w in %s", err, svg)
		}
	}
}
