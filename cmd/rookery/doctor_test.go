package main

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var rewriteGolden = flag.Bool("golden.rewrite", false, "write testdata/*.golden instead of comparing them")

// doctoring is a doctor of somebody's store in surroundings that stay as they are.
type doctoring struct {
	DoctorCmd
	on surroundings
}

// plenty is a disk with room.
func plenty(string) (int64, bool) { return 100 << 30, true }

// doctored gives status, text and findings.
func (p person) doctored(configure ...func(*doctoring)) (status int, text string, found []diagnosis) {
	p.t.Helper()
	d := doctoring{DoctorCmd{Dir: p.dir, opener: opener{KeyFile: p.key}, Wait: testPatience}, surroundings{time.Now(), plenty}}
	for _, c := range configure {
		c(&d)
	}
	result, err := d.examine(p.t.Context(), d.on)
	if err != nil {
		p.t.Fatal(err)
	}
	var shown strings.Builder
	result.print(&shown)
	text = shown.String()
	for _, d := range result.Findings {
		if !strings.Contains(text, d.What) || !strings.Contains(text, d.Do) || !strings.Contains(text, d.Next) {
			p.t.Errorf("the text has not all of %+v\n%s", d, text)
		}
	}
	switch err := result.outcome(); {
	case errors.Is(err, errBadResult):
		status = exitBadResult
	case err != nil:
		status = exitError
	}
	return status, text, result.Findings
}

// over is a network that is tried.
func over(transport string) func(*doctoring) { return func(d *doctoring) { d.Transport = transport } }

// later is a clock that is ahead.
func later(by time.Duration) func(*doctoring) {
	return func(d *doctoring) { d.on.now = d.on.now.Add(by) }
}

// finds fails unless something is said of a kind.
func finds(t *testing.T, found []diagnosis, want severity, about, what string) {
	t.Helper()
	for _, d := range found {
		if d.Severity == want && d.About == about && strings.Contains(d.What, what) {
			if rank[want] >= rank[warning] && d.Do == "" {
				t.Errorf("nothing to do about %+v", d)
			}
			return
		}
	}
	t.Errorf("no %s about %s with %q: %+v", want, about, what, found)
}

// without fails if something is said of a kind.
func without(t *testing.T, found []diagnosis, severity severity, about, what string) {
	t.Helper()
	for _, d := range found {
		if d.Severity == severity && d.About == about && strings.Contains(d.What, what) {
			t.Errorf("found %+v", d)
		}
	}
}

// golden compares a text, keys, sizes and times aside.
func golden(t *testing.T, name, text string, replace ...string) {
	t.Helper()
	text = strings.NewReplacer(replace...).Replace(text)
	for _, r := range [][2]string{
		{`0[23][0-9a-f]{64}`, "KEY"},
		{`\b0[23][0-9a-f]{6}\b`, "KEY...."},
		{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "INSTALLATION"},
		{`\b(\d+h)?(\d+m)?\d+s ago`, "TIME ago"},
		{`\d+ (MiB are free|KiB on disk|commits|epochs|records)`, "N $1"},
	} {
		text = regexp.MustCompile(r[0]).ReplaceAllString(text, r[1])
	}
	path := filepath.Join("testdata", name+".golden")
	if *rewriteGolden {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("not what %s has (go test ./cmd/rookery -run %s -golden.rewrite):\n%s", path, t.Name(), text)
	}
}

// The command line gives what the doctor finds, as text and as JSON, with a status.
func TestDoctorIsACommand(t *testing.T) {
	p := newPerson(t)
	says(t, exitError, "error +directory +there is no store", p.args("doctor")...)
	p.new()
	status, out, _ := command(t, p.args("doctor", "--json", "--wait=1s", "--transport=pigeons")...)
	var result doctorResult
	if err := json.Unmarshal([]byte(out), &result); err != nil || status != exitError || result.Worst != failure || result.Directory != p.dir {
		t.Errorf("status %d, %v: %s", status, err, out)
	}
	finds(t, result.Findings, failure, "network", "transport")
}

// What hides the store is an error, with a status of its own.
func TestDoctorSaysWhatHidesTheStore(t *testing.T) {
	p := newPerson(t)
	if status, _, found := p.doctored(); status != exitError {
		t.Errorf("no store: status %d", status)
	} else {
		finds(t, found, failure, "directory", "there is no store")
	}
	p.new()
	other := newPerson(t)
	other.new()
	wrong := person{t, p.dir, other.key}
	if status, _, found := wrong.doctored(); status != exitError {
		t.Errorf("another key: status %d", status)
	} else {
		finds(t, found, failure, "store", "key")
	}
	l := p.listens()
	status, _, found := p.doctored()
	if status != exitBadResult {
		t.Errorf("in use: status %d", status)
	}
	finds(t, found, warning, "lock", "a running process has the store open")
	l.interrupt()
	l.ends(0)
}
