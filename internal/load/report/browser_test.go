package report

import (
	"context"
	"encoding/json"
	"errors"
	"html"
	"image/color"
	"image/png"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// browsers are the names under which headless ones are looked for; ROOKERY_BROWSER
// names another.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}

// browser is a headless one all of whose requests go to a proxy of ours, which
// refuses them, and counts those that are for others than the browser's maker: it
// asks for the time and for accounts by itself, whatever it shows.
type browser struct {
	t        *testing.T
	path     string
	proxy    string
	requests *atomic.Int64
}

// makers are the domains of the browser's maker.
var makers = []string{".google.com", ".googleapis.com", ".gstatic.com", ".gvt1.com"}

// newBrowser gives false where there is none, which is an error where changes are
// checked.
func newBrowser(t *testing.T) (browser, bool) {
	t.Helper()
	path := os.Getenv("ROOKERY_BROWSER")
	for i := 0; path == "" && i < len(browsers); i++ {
		path, _ = exec.LookPath(browsers[i]) // "" where it is not
	}
	if path == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("no browser: install chromium, or name one with ROOKERY_BROWSER")
		}
		t.Log("NOT TESTED: no browser was found; install chromium, or name one with ROOKERY_BROWSER")
		return browser{}, false
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	requests := new(atomic.Int64)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.ContainsFunc(makers, func(maker string) bool { return strings.HasSuffix(r.URL.Hostname(), maker) }) {
			requests.Add(1)
		}
		w.WriteHeader(http.StatusForbidden)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return browser{t, path, "http://" + listener.Addr().String(), requests}, true
}

// show opens a page and gives what is written to standard output, and how many
// requests were made.
func (b browser) show(page string, args ...string) (string, int64) {
	b.t.Helper()
	dir := b.t.TempDir()
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		b.t.Fatal(err)
	}
	before := b.requests.Load()
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Minute)
	defer cancel()
	args = append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run", "--disable-sync",
		"--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions", "--no-default-browser-check",
		"--disable-features=OptimizationHints,MediaRouter,Translate", "--window-size=1180,2400",
		"--user-data-dir=" + filepath.Join(dir, "profile"), "--proxy-server=" + b.proxy, "--proxy-bypass-list=<-loopback>",
	}, args...)
	command := exec.CommandContext(ctx, b.path, append(args, "file://"+file)...)
	var errors strings.Builder
	command.Stderr = &errors
	out, err := command.Output()
	if err != nil {
		b.t.Fatalf("%v: %s", err, errors.String())
	}
	return string(out), b.requests.Load() - before
}

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
	b, ok := newBrowser(t)
	if !ok {
		return
	}
	report := htmlOf(t, judged(t))
	out, requests := b.show(report, "--dump-dom")
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
		if _, requests := b.show(test.page, "--dump-dom"); requests > 0 != test.fetches {
			t.Errorf("%s: the proxy has seen %d requests", name, requests)
		}
		out, _ := b.show(scripts(test.page), "--dump-dom")
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
	b, ok := newBrowser(t)
	if !ok {
		return
	}
	report := judged(t)
	text := strings.Replace(policy.ReplaceAllString(htmlOf(t, report), ""), "</body>", measuring, 1)
	out, _ := b.show(text, "--dump-dom")
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
	b, ok := newBrowser(t)
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
		b.show(text, scheme, "--screenshot="+path)
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
