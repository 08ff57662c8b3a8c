package report

import (
	"encoding/json"
	"html"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/internal/browsertest"
)

// policy is what forbids a report's browser to do anything but show it.
var policy = regexp.MustCompile(`<meta http-equiv="Content-Security-Policy"[^>]*>`)

// resources writes into the page what the browser has fetched for it, or has tried to.
const resources = `<script>
addEventListener("load", () => {
  const out = document.createElement("pre");
  out.id = "measured";
  out.textContent = JSON.stringify(performance.getEntriesByType("resource").map(r => r.name));
  document.body.append(out);
});
</script></body>`

// A browser that opens a report asks nobody for anything, and would not if there was
// something to ask for; one that opens a page without the policy would, and is seen:
// by the proxy, and in the browser's own list of what it has tried to fetch.
func TestBrowserMakesNoRequestForAReport(t *testing.T) {
	b, ok := browsertest.New(t)
	if !ok {
		return
	}
	report := htmlOf(t, judged(t))
	out, requests := b.Show(report, "--dump-dom")
	if requests != 0 || !strings.Contains(out, "one-way: 100 identities") {
		t.Errorf("%d requests for %.200s", requests, out)
	}
	const picture, style = "http://192.0.2.1/picture.png", "http://192.0.2.1/style.css"
	asking := strings.Replace(report, "</main>", `<img src="`+picture+`"><link rel="stylesheet" href="`+style+`"></main>`, 1)
	scripts := func(text string) string { // the policy as it is but for our script
		text = strings.Replace(text, "default-src 'none';", "default-src 'none'; script-src 'unsafe-inline';", 1)
		return strings.Replace(text, "</body>", resources, 1)
	}
	free := policy.ReplaceAllString(asking, "")
	for name, test := range map[string]struct {
		page           string
		tries, fetches bool
	}{"the report": {report, false, false}, "a report that asks": {asking, true, false}, "without a policy": {free, true, true}} {
		if _, requests := b.Show(test.page, "--dump-dom"); requests > 0 != test.fetches {
			t.Errorf("%s: the proxy has seen %d requests", name, requests)
		}
		out, _ := b.Show(scripts(test.page), "--dump-dom")
		found := measuredBox.FindStringSubmatch(out)
		if found == nil || (found[1] != "[]") != test.tries {
			t.Errorf("%s: the browser has tried %q", name, found)
		}
	}
}

// measuring writes the sizes of what is drawn into the page. The policy, which forbids
// scripts, is taken out for it.
const measuring = `<script>
addEventListener("load", () => {
  const box = e => { const r = e.getBoundingClientRect(); return [r.width, r.height]; };
  const out = document.createElement("pre");
  out.id = "measured";
  out.textContent = JSON.stringify({
    page: [document.documentElement.scrollWidth, innerWidth],
    figures: [...document.querySelectorAll("figure")].map(f => ({
      title: f.querySelector("h2").textContent,
      svg: box(f.querySelector(":scope > svg")),
      lines: [...f.querySelectorAll(":scope > svg > path.line")].map(l => ({size: box(l), length: l.getTotalLength(), color: getComputedStyle(l).stroke})),
      texts: [...f.querySelectorAll(":scope > svg > text")].map(box),
    })),
  });
  document.body.append(out);
});
</script></body>`

var measuredBox = regexp.MustCompile(`(?s)<pre id="measured">(.*?)</pre>`)

func TestBrowserDrawsTheCharts(t *testing.T) {
	b, ok := browsertest.New(t)
	if !ok {
		return
	}
	report := judged(t)
	text := strings.Replace(policy.ReplaceAllString(htmlOf(t, report), ""), "</body>", measuring, 1)
	out, _ := b.Show(text, "--dump-dom")
	found := measuredBox.FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("nothing was measured: %.500s", out)
	}
	type box [2]float64
	var drawn struct {
		Page    box
		Figures []struct {
			Title string
			SVG   box
			Lines []struct {
				Size   box
				Length float64
				Color  string
			}
			Texts []box
		}
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(found[1])), &drawn); err != nil {
		t.Fatal(err)
	}
	if drawn.Page[0] > drawn.Page[1] {
		t.Errorf("the page is %v wide in a window of %v", drawn.Page[0], drawn.Page[1])
	}
	charts := report.charts()
	if len(drawn.Figures) != len(charts) {
		t.Fatalf("%d figures, want %d", len(drawn.Figures), len(charts))
	}
	for i, f := range drawn.Figures {
		if f.SVG[0] < 300 || f.SVG[1] < 100 || len(f.Lines) != len(charts[i].lines) {
			t.Errorf("%s: %v with %d lines", f.Title, f.SVG, len(f.Lines))
		}
		colors := make(map[string]bool)
		for _, l := range f.Lines {
			colors[l.Color] = true
			if l.Size[0] < f.SVG[0]/2 || l.Length < f.SVG[0]/2 || l.Color == "none" {
				t.Errorf("%s: a line of %v, %v long, %s", f.Title, l.Size, l.Length, l.Color)
			}
		}
		if len(colors) != len(f.Lines) {
			t.Errorf("%s: %d colours for %d lines", f.Title, len(colors), len(f.Lines))
		}
		for _, text := range f.Texts {
			if text[0] <= 0 || text[1] < 8 {
				t.Errorf("%s: a text of %v", f.Title, text)
			}
		}
	}
}

// In light and in dark surroundings the page has their background, and lines that can
// be told from it.
func TestBrowserShowsTheReportLightAndDark(t *testing.T) {
	b, ok := browsertest.New(t)
	if !ok {
		return
	}
	text := htmlOf(t, judged(t))
	for scheme, want := range map[string]struct {
		page, line color.RGBA
	}{
		"--blink-settings=preferredColorScheme=1": {color.RGBA{0xf6, 0xf6, 0xf4, 0xff}, color.RGBA{0x1f, 0x6f, 0xd0, 0xff}},
		"--blink-settings=preferredColorScheme=0": {color.RGBA{0x13, 0x14, 0x16, 0xff}, color.RGBA{0x6a, 0xa9, 0xf4, 0xff}},
	} {
		path := filepath.Join(t.TempDir(), "page.png")
		b.Show(text, scheme, "--screenshot="+path)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		found := make(map[color.RGBA]int)
		for y := range picture.Bounds().Dy() {
			for x := range picture.Bounds().Dx() {
				found[color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)]++
			}
		}
		if found[want.page] < 10_000 || found[want.line] < 500 {
			t.Errorf("%s: %d points of the page's colour, %d of the first line's", scheme, found[want.page], found[want.line])
		}
	}
}
