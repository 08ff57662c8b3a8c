package browsertest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// names are those under which headless browsers are looked for; ROOKERY_BROWSER names
// another.
var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}

// patience is how long a browser may take for one thing.
const patience = 2 * time.Minute

// Browser is a headless one all of whose requests go to a proxy of ours. The proxy hands
// on those for the hosts that are allowed. It refuses all others, and counts them unless
// they are for the browser's maker: it asks for the time and for accounts by itself,
// whatever it shows.
type Browser struct {
	t       testing.TB
	path    string
	proxy   string
	refused *atomic.Int64
}

// makers are the domains of the browser's maker.
var makers = []string{".google.com", ".googleapis.com", ".gstatic.com", ".gvt1.com"}

// New gives false where there is none, which is an error where changes are checked.
// allowed are addresses that the browser may ask, HOST:PORT.
func New(t testing.TB, allowed ...string) (*Browser, bool) {
	t.Helper()
	path := os.Getenv("ROOKERY_BROWSER")
	for i := 0; path == "" && i < len(names); i++ {
		path, _ = exec.LookPath(names[i]) // "" where it is not
	}
	if path == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("no browser: install chromium, or name one with ROOKERY_BROWSER")
		}
		t.Log("NOT TESTED: no browser was found; install chromium, or name one with ROOKERY_BROWSER")
		return nil, false
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := new(atomic.Int64)
	transport := new(http.Transport) // which has no proxy
	onward := &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.Host = r.In.Host
	}}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect && slices.Contains(allowed, r.URL.Host) {
			onward.ServeHTTP(w, r)
			return
		}
		if !slices.ContainsFunc(makers, func(maker string) bool { return strings.HasSuffix(r.URL.Hostname(), maker) }) {
			refused.Add(1)
		}
		w.WriteHeader(http.StatusForbidden)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		transport.CloseIdleConnections()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return &Browser{t, path, "http://" + listener.Addr().String(), refused}, true
}

// Refused is how many requests were made to others than the allowed hosts.
func (b *Browser) Refused() int64 { return b.refused.Load() }

// command is the browser, with a new profile.
func (b *Browser) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, b.path, append([]string{ //nolint:gosec // who runs the tests names the browser
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run", "--disable-sync",
		"--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions", "--no-default-browser-check",
		"--disable-features=OptimizationHints,MediaRouter,Translate", "--window-size=1180,2400",
		"--user-data-dir=" + filepath.Join(b.t.TempDir(), "profile"), "--proxy-server=" + b.proxy, "--proxy-bypass-list=<-loopback>",
	}, args...)...)
}

// Show opens a page from a file and gives what the browser writes to standard output,
// and how many requests were refused meanwhile.
func (b *Browser) Show(page string, args ...string) (string, int64) {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		b.t.Fatal(err)
	}
	before := b.Refused()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	command := b.command(ctx, append(args, "file://"+file)...)
	var said strings.Builder
	command.Stderr = &said
	out, err := command.Output()
	if err != nil {
		b.t.Fatalf("%v: %s", err, said.String())
	}
	return string(out), b.Refused() - before
}
