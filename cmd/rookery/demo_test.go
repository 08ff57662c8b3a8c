package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/internal/curve"
)

// command runs one command line and gives what it wrote.
func command(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	errors, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	status = run(args, &out, errors)
	if err := errors.Close(); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(errors.Name())
	if err != nil {
		t.Fatal(err)
	}
	return status, out.String(), string(written)
}

func TestDemoLosesNothing(t *testing.T) {
	for _, devices := range []string{"1", "2", "3"} {
		status, out, errors := command(t, "demo", "--identities=6", "--messages=90", "--devices="+devices, "--dir="+filepath.Join(t.TempDir(), "store"))
		if status != 0 {
			t.Fatalf("%s devices: status %d: %s", devices, status, errors)
		}
		for line := range strings.Lines(out) {
			if name, figure, ok := strings.Cut(strings.TrimSpace(line), "messages lost"); ok && name == "" && strings.TrimSpace(figure) != "0" {
				t.Errorf("%s devices: lost %s", devices, figure)
			}
		}
		if !strings.Contains(out, "messages lost") || !strings.Contains(out, "90 (each") {
			t.Errorf("summary: %s", out)
		}
	}
}

// A loss has to be seen: a demo that reports none whatever happens proves
// nothing.
func TestDemoCountsWhatIsLost(t *testing.T) {
	r := demoResult{command: DemoCmd{Identities: 2}, expected: 40, lost: 1, talk: 1}
	var out bytes.Buffer
	r.print(&out)
	if !strings.Contains(out.String(), "39 of 40") {
		t.Errorf("summary: %s", out.String())
	}
}

func TestBadCommandLinesAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"dance"},
		{"demo", "--identities=3"},
		{"demo", "--identities=0"},
		{"demo", "--devices=4"},
		{"demo", "--identities=4", "--messages=39"},
		{"demo", "--messages=many"},
	} {
		status, _, errors := command(t, args...)
		if status != exitError || errors == "" {
			t.Errorf("%v: status %d, %q", args, status, errors)
		}
	}
}

func TestVersionNamesTheCurve(t *testing.T) {
	status, out, _ := command(t, "version")
	if status != 0 || !strings.Contains(out, curve.Backend) || !strings.Contains(out, "commit") {
		t.Errorf("status %d: %s", status, out)
	}
}
