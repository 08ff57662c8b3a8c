package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestMain lets the test be its own child, as the command is.
func TestMain(m *testing.M) {
	if os.Getenv(noChild) != "" && len(os.Args) == 2 && os.Args[1] == childCommand {
		os.Exit(3)
	}
	if as := os.Getenv(fakeSpeaker); as != "" && len(os.Args) == 2 && os.Args[1] == speakerCommand {
		if err := speakFalsely(as); err != nil {
			os.Exit(exitError)
		}
		os.Exit(0)
	}
	if status, isOurs := started(os.Args); isOurs {
		os.Exit(status)
	}
	os.Exit(m.Run())
}

// noChild in the environment makes every child end at once.
const noChild = "TORTURE_TEST_NO_CHILD"

// torture runs one command line and gives what it wrote.
func torture(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errors bytes.Buffer
	status = command(ctx, args, &out, &errors)
	return status, out.String(), errors.String()
}

// T01: a short slice of what the command does for hours.
func TestTwoEnginesSurviveKills(t *testing.T) {
	dir := t.TempDir()
	status, out, errors := torture(t.Context(), "--kills=24", "--round=12", "--drain=6", "--dir="+dir)
	if status != 0 {
		t.Fatalf("repeat: go run ./cmd/torture --first=1 --kills=24 --round=12 --drain=6\nstatus %d: %s\n%s", status, errors, out)
	}
	for _, want := range []string{`kills +24\n`, `reuse +0\n`, `lost +0\n`, `duplicate +0\n`, `stuck +0\n`, `rounds +2,`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	if told := regexp.MustCompile(`messages told +([0-9]+)`).FindStringSubmatch(out); told == nil || len(told[1]) < 2 {
		t.Errorf("hardly any message was told: %s", out)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestChildThatEndsByItselfIsAViolation(t *testing.T) {
	t.Setenv(noChild, "1")
	dir := t.TempDir()
	status, out, errors := torture(t.Context(), "--kills=5", "--parallel=1", "--dir="+dir)
	if status != exitViolation || !strings.Contains(errors, "ended by itself: exit status 3") ||
		!strings.Contains(out, "repeat: go run ./cmd/torture --first=1 ") || !regexp.MustCompile(`failure +1\n`).MatchString(out) {
		t.Errorf("status %d: %s\n%s", status, errors, out)
	}
	if kept, err := filepath.Glob(filepath.Join(dir, "torture-1-*", "history.txt")); err != nil || len(kept) != 1 {
		t.Errorf("kept: %v, %v", kept, err)
	}
}

func TestViolationKeepsTheDirectoriesAndSaysHowToRepeat(t *testing.T) {
	dir := t.TempDir()
	w := &world{seed: 7, dir: dir, judge: newJudge(), history: newHistory(), errors: new(journal)}
	_, _ = fmt.Fprintln(w.errors, "child")
	w.judge.blame(lost, "a message")
	w.history.note(3, "something")
	if err := w.keep(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"history.txt": "life 3: something", "stderr.txt": "child"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	r := &run{command: &RunCmd{Kills: 1000, First: 1, Round: 100, Drain: 20}, next: 9}
	var out bytes.Buffer
	r.hint(&out, &roundError{seed: 7, dir: dir, violations: w.judge.violations})
	if !strings.Contains(out.String(), "repeat: go run ./cmd/torture --first=7 --kills=100 --round=100 --drain=20\n") {
		t.Errorf("hint: %s", out.String())
	}
}

func TestInterruptedRunSaysHowToGoOn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	status, out, _ := torture(ctx, "--kills=500", "--first=11", "--dir="+dir)
	if status != exitError || !strings.Contains(out, "go on: go run ./cmd/torture --first=11 --kills=500 --round=100 --drain=20\n") {
		t.Errorf("status %d: %s", status, out)
	}
	r := &run{command: &RunCmd{Kills: 1000, First: 1, Round: 100, Drain: 20}, next: 6, begun: map[uint64]bool{4: true, 5: true}}
	var hint bytes.Buffer
	r.hint(&hint, context.Canceled)
	if !strings.Contains(hint.String(), "--first=4 --kills=700 ") {
		t.Errorf("hint: %s", hint.String())
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestBadCommandLinesAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"--kills=0"},
		{"--parallel=0"},
		{"--parallel=65"},
		{"--drain=0"},
		{"--round=0"},
		{"dance"},
		{"--first=-1"},
		{"exchange"},
		{"exchange", "--network=pigeons"},
		{"exchange", "--network=nats", "--messages=1"},
		{"exchange", "--network=waku", "--kills=-1"},
		{"exchange", "--network=nats", "--restarts=-1"},
		{"exchange", "--network=nats", "--patience=0s"},
	} {
		if status, _, errors := torture(t.Context(), args...); status != exitError || errors == "" {
			t.Errorf("%v: status %d, %q", args, status, errors)
		}
	}
}
