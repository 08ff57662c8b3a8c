package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBenchRefusesWhatItWouldFindOutLate(t *testing.T) {
	dir := t.TempDir()
	report := filepath.Join(dir, "report.json")
	if err := os.WriteFile(report, []byte("figures"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"--only=ratchet,nonsense", `no such section: "nonsense"; there are primitives, ratchet`},
		{"--only=ratchet --markdown=" + filepath.Join(dir, "page.md"), "--markdown needs all sections"},
		{"--short --from=" + report, "--from measures nothing"},
		{"--from=" + report, "not a report of a run"},
		{"--from=" + filepath.Join(dir, "none.json"), "none.json"},
		{"--rounds=-1", "--rounds=-1"},
		{"--identities=0", "--identities=0"},
		{"--dir=" + filepath.Join(dir, "none"), "none"},
	} {
		status, out, errors := command(t, append([]string{"bench"}, strings.Fields(c.args)...)...)
		if status != exitError || out != "" || !strings.Contains(errors, c.want) {
			t.Errorf("%s: status %d, %q, %s", c.args, status, out, errors)
		}
	}
}

// What was measured is written as text and as JSON; that JSON gives the same text.
func TestBenchWritesWhatItMeasures(t *testing.T) {
	dir := t.TempDir()
	report, html := filepath.Join(dir, "report.json"), filepath.Join(dir, "report.html")
	status, out, errors := command(t, "bench", "--short", "--rounds=1", "--only=x3dh", "--dir="+dir, "--note=of a test", "--json="+report, "--html="+html)
	if status != 0 {
		t.Fatalf("status %d: %s", status, errors)
	}
	for _, want := range []string{"X3DH", "set-up, initiator", "floor", "of a test"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	shown, err := os.ReadFile(html)
	if err != nil || !strings.Contains(string(shown), "set-up, initiator") {
		t.Errorf("HTML: %v, %d bytes", err, len(shown))
	}
	if !strings.Contains(errors, "3 of 3") {
		t.Errorf("progress: %s", errors)
	}
	status, again, errors := command(t, "bench", "--from="+report)
	if status != 0 || again != out {
		t.Errorf("status %d: %s\n%s", status, errors, again)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("left over: %v, %v", left, err)
	}
	// One section makes no page, and no half of one.
	page := filepath.Join(dir, "page.md")
	status, _, errors = command(t, "bench", "--from="+report, "--markdown="+page)
	if status != exitError || !strings.Contains(errors, "a figure is missing") {
		t.Errorf("a page: status %d: %s", status, errors)
	}
	if _, err := os.Stat(page); err == nil {
		t.Error("a page was written")
	}
}

// The page of the repository is what its figures give.
func TestBenchMakesThePage(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	status, _, errors := command(t, "bench", "--from=../../docs/performance.json", "--markdown="+page)
	if status != 0 {
		t.Fatalf("status %d: %s", status, errors)
	}
	made, err1 := os.ReadFile(page)
	kept, err2 := os.ReadFile("../../docs/performance.md")
	if err1 != nil || err2 != nil || string(made) != string(kept) {
		t.Errorf("%v, %v, %d bytes, not the %d that are kept", err1, err2, len(made), len(kept))
	}
}
