package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/daemon"
	"github.com/rookery-im/rookery/internal/metrics"
	carriers "github.com/rookery-im/rookery/transport/carrier/memory"
)

// served begins to serve metrics on some port, and gives the address.
func served(t *testing.T, f metricsFlags) (s *metricsServer, url string) {
	t.Helper()
	said, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	f.Metrics = "127.0.0.1:0"
	s, err = f.serve(t.Context(), &output{progress: newProgress(said)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = said.Close() }) // a test's own file
	text, err := os.ReadFile(said.Name())
	if err != nil {
		t.Fatal(err)
	}
	return s, addressIn(t, string(text))
}

var metricsAddress = regexp.MustCompile(`metrics at (http://127\.0\.0\.1:[0-9]+)/metrics\n`)

func addressIn(t *testing.T, said string) string {
	t.Helper()
	found := metricsAddress.FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("no address in %q", said)
	}
	return found[1]
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	return call(t, http.MethodGet, url, "")
}

// call makes a request with a body of JSON, or none.
func call(t *testing.T, method, url, json string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(json))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // read to its end
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(read)
}

// documented is a row of a table of docs/metrics.md.
type documented struct {
	kind, unit string
	labels     []string
}

var (
	metricRow = regexp.MustCompile("(?m)^\\| `(rookery_[a-z_]+)` \\| (counter|gauge|histogram) \\| ([^|]+) \\|([^|]*)\\|")
	quoted    = regexp.MustCompile("`([^`]+)`")
	typeLine  = regexp.MustCompile(`(?m)^# TYPE (rookery_\w+) (\w+)$`)
	series    = regexp.MustCompile(`^(rookery_\w+)\{(.*)\} `)
	label     = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

func metricsPage(t *testing.T) (text string, rows map[string]documented) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows = make(map[string]documented)
	for _, row := range metricRow.FindAllStringSubmatch(string(page), -1) {
		d := documented{kind: row[2], unit: row[3]}
		for _, name := range quoted.FindAllStringSubmatch(row[4], -1) {
			d.labels = append(d.labels, name[1])
		}
		rows[row[1]] = d
	}
	return string(page), rows
}

// docs/metrics.md has all metrics of an engine on disk with a network, with their
// types, units, labels and the values of these, and no others; and nothing that is
// served tells who is hosted, whom he talks to or what is said.
func TestWhatIsServedIsWhatIsDocumentedAndNamesNobody(t *testing.T) {
	server, url := served(t, metricsFlags{})
	defer server.close()
	const people, text, name = 30, "words-that-nobody-else-reads", "name-on-this-host"
	arrived := make(chan struct{}, people)
	dir := t.TempDir()
	engine, err := rookery.Open(t.Context(), rookery.Options{
		Dir:     filepath.Join(dir, "store"),
		Unlock:  rookery.KeyFile(filepath.Join(dir, "key")),
		Carrier: carriers.New(carriers.Options{Seed: 1}).Open(),
		Handler: func(e rookery.Event) {
			if m, ok := e.(rookery.Message); ok {
				m.Ack()
				arrived <- struct{}{}
			}
		},
		MeterProvider: server.provider(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := metrics.Webhooks(server.provider(), daemon.New(daemon.Options{}).WebhookReading); err != nil {
		t.Fatal(err)
	}
	var all []*rookery.Identity
	for range people {
		i, err := engine.CreateIdentity(t.Context(), rookery.NewIdentity{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, i)
	}
	for n, i := range all {
		next := all[(n+1)%people]
		bundle, err := next.Bundle(t.Context())
		if err == nil {
			err = i.TakeBundle(t.Context(), next.PublicKey(), bundle)
		}
		if err == nil {
			_, err = i.Send(t.Context(), next.PublicKey(), []byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for range people {
		<-arrived
	}
	status, body := get(t, url+"/metrics")
	if status != http.StatusOK {
		t.Fatal(status, body)
	}
	documentedAsServed(t, body)

	lower := strings.ToLower(body)
	for _, i := range all {
		key := i.PublicKey()
		for _, encode := range []func([]byte) string{hex.EncodeToString, base64.StdEncoding.EncodeToString, base64.URLEncoding.EncodeToString} {
			for _, secret := range [][]byte{key[:], key[1:]} { // with and without its parity
				if strings.Contains(lower, strings.ToLower(encode(secret)[:12])) {
					t.Fatalf("the key %v shows", key)
				}
			}
		}
		for _, word := range []string{i.InstallationID(), name, text, dir} {
			if strings.Contains(lower, strings.ToLower(word)) {
				t.Fatalf("%q shows", word)
			}
		}
	}
	if err := engine.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, url+"/metrics"); strings.Contains(body, "\nrookery_messages_sent_total ") {
		t.Error("a closed engine shows")
	}
}

func documentedAsServed(t *testing.T, body string) {
	t.Helper()
	page, rows := metricsPage(t)
	types, labels := make(map[string]string), make(map[string]map[string]bool)
	for _, found := range typeLine.FindAllStringSubmatch(body, -1) {
		types[found[1]] = found[2]
		labels[found[1]] = make(map[string]bool)
	}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if row, ok := rows[name]; !ok || row.kind != types[name] {
			t.Errorf("%s, a %s, is served; documented is %+v (%t)", name, types[name], row, ok)
		}
	}
	for scan := bufio.NewScanner(strings.NewReader(body)); scan.Scan(); {
		found := series.FindStringSubmatch(scan.Text())
		if found == nil {
			continue
		}
		name := found[1]
		if rows[name].kind == "" { // of a histogram
			name = name[:strings.LastIndexByte(name, '_')]
		}
		for _, pair := range label.FindAllStringSubmatch(found[2], -1) {
			if pair[1] == "le" {
				continue
			}
			labels[name][pair[1]] = true
			if !strings.Contains(page, "`"+pair[2]+"`") && !strings.Contains(page, pair[1]+`="`+pair[2]+`"`) {
				t.Errorf("%s: the value %s of %s is not documented", name, pair[2], pair[1])
			}
		}
	}
	units := map[string]string{"_seconds": "seconds", "_bytes": "bytes"}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		if types[name] == "" {
			t.Errorf("%s is documented and not served", name)
			continue
		}
		if got := slices.Sorted(maps.Keys(labels[name])); !slices.Equal(got, rows[name].labels) {
			t.Errorf("%s has the labels %q, documented are %q", name, got, rows[name].labels)
		}
		for suffix, unit := range units {
			if strings.HasSuffix(name, suffix) != (rows[name].unit == unit) {
				t.Errorf("%s is not in %s", name, rows[name].unit)
			}
		}
	}
	if len(types) < 30 {
		t.Errorf("only %d are served", len(types))
	}
}

func TestMetricsAreServedToThisMachineUnlessToldOtherwise(t *testing.T) {
	out := &output{progress: newProgress(os.Stderr)}
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0"} {
		if _, err := (metricsFlags{Metrics: address}).serve(t.Context(), out); !errors.Is(err, errMetricsPublic) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"127.0.0.1", "127.0.0.1:high", "127.0.0.1:70000"} {
		if _, err := (metricsFlags{Metrics: address}).serve(t.Context(), out); !errors.Is(err, errMetricsAddress) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, flags := range []metricsFlags{{Pprof: true}, {MetricsPublic: true}} {
		if _, err := flags.serve(t.Context(), out); !errors.Is(err, errMetricsMissing) {
			t.Errorf("%+v: %v", flags, err)
		}
	}
	for _, address := range []string{"localhost:0", "127.0.0.1:0"} {
		s, err := (metricsFlags{Metrics: address, MetricsPublic: address == "127.0.0.1:0"}).serve(t.Context(), out)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		s.close()
	}
	if s, err := (metricsFlags{}).serve(t.Context(), out); err != nil || s.provider() != nil {
		t.Errorf("without the flag: %v, %v", s, err)
	}
}

// Profiles are served if they are asked for, but no stack that would show what
// functions were called with.
func TestProfilesAreServedWithoutArguments(t *testing.T) {
	for _, test := range []struct {
		profiles bool
		path     string
		want     int
	}{
		{false, "/debug/pprof/", http.StatusNotFound},
		{false, "/debug/pprof/goroutine?debug=1", http.StatusNotFound},
		{true, "/debug/pprof/", http.StatusOK},
		{true, "/debug/pprof/goroutine?debug=1", http.StatusOK},
		{true, "/debug/pprof/goroutine?debug=2", http.StatusForbidden},
		{true, "/debug/pprof/goroutine?debug=%32", http.StatusForbidden},
		{true, "/debug/pprof/goroutine?debug=02", http.StatusForbidden},
		{true, "/debug/pprof/heap", http.StatusOK},
		{true, "/", http.StatusNotFound},
	} {
		s, url := served(t, metricsFlags{Pprof: test.profiles})
		if status, _ := get(t, url+test.path); status != test.want {
			t.Errorf("%s with profiles %t: %d, want %d", test.path, test.profiles, status, test.want)
		}
		s.close()
	}
}

func TestListenServesMetricsWhileItRuns(t *testing.T) {
	p := newPerson(t)
	p.new()
	p.fails(exitError, "takes --metrics-public", "listen", "--transport=memory", "--metrics=0.0.0.0:0")
	l := p.listens("--metrics=127.0.0.1:0")
	url := addressIn(t, l.said())
	status, body := get(t, url+"/metrics")
	if status != http.StatusOK || !strings.Contains(body, "\nrookery_identities 1\n") || !strings.Contains(body, "\ngo_goroutines ") {
		t.Errorf("%d: %s", status, body)
	}
	l.interrupt()
	l.ends(0)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultTransport.RoundTrip(request); err == nil {
		_ = response.Body.Close()
		t.Error("it is served after the end")
	}
}

func TestDemoServesMetrics(t *testing.T) {
	status, _, said := command(t, "demo", "--identities=2", "--messages=20", "--devices=1", "--metrics=127.0.0.1:0")
	if status != 0 {
		t.Fatal(status, said)
	}
	addressIn(t, said)
}

func TestLoadServesMetricsOfItsRun(t *testing.T) {
	said, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = said.Close() }() // a test's own file
	text := func() string {
		read, err := os.ReadFile(said.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(read)
	}
	status, out := make(chan int, 1), new(shared)
	go func() {
		status <- run([]string{"load", "one-way", "--identities=4", "--durability=memory", "--duration=1h", "--metrics=127.0.0.1:0"}, strings.NewReader(""), out, said)
	}()
	soon(t, "an address", func() bool { return metricsAddress.MatchString(text()) || len(status) > 0 })
	url := addressIn(t, text())
	sent := regexp.MustCompile(`(?m)^rookery_messages_sent_total [1-9]`)
	soon(t, "messages", func() bool {
		_, body := get(t, url+"/metrics")
		return sent.MatchString(body)
	})
	// It waits for signals since before it served.
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-status
}
