package main

import (
	"bytes"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/leakscan"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/memory"
)

// command runs one command line and gives what it wrote.
func command(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	return commandOn(t, strings.NewReader(""), args...)
}

// commandOn is command with something to read.
func commandOn(t *testing.T, stdin io.Reader, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	errors, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	status = run(args, stdin, &out, errors)
	if err := errors.Close(); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(errors.Name())
	if err != nil {
		t.Fatal(err)
	}
	leaks := leakscan.Watch(t)
	for _, arg := range args {
		for _, option := range []string{"--key-file=", "--passphrase-file=", "--new-key-file=", "--new-passphrase-file="} {
			if name, given := strings.CutPrefix(arg, option); given {
				learnFile(leaks, name)
			}
		}
	}
	leaks.Line("the output", out.String())
	leaks.Line("the standard error", string(written))
	return status, out.String(), string(written)
}

// learnFile has a scanner look for what opens a store (T48).
func learnFile(leaks *leakscan.Scanner, name string) {
	text, err := os.ReadFile(name)
	if err != nil {
		return // of a command that fails
	}
	text = bytes.TrimSpace(text)
	if key, err := hex.DecodeString(string(text)); err == nil {
		leaks.Key(key)
	}
	leaks.Text(text)
}

func TestDemoLosesNothing(t *testing.T) {
	for _, devices := range []string{"1", "2", "3"} {
		status, out, errors := command(t, "demo", "--identities=6", "--messages=90", "--devices="+devices, "--dir="+filepath.Join(t.TempDir(), "store"))
		if status != 0 {
			t.Fatalf("%s devices: status %d: %s", devices, status, errors)
		}
		copies := map[string]string{"1": "0 of 0", "2": "90 of 90", "3": "180 of 180"}[devices]
		for _, want := range []string{`messages lost +0\n`, `messages sent +90 `, `copies delivered +` + copies + `,`} {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("%s devices: no %q in %s", devices, want, out)
			}
		}
	}
}

// A loss has to be seen: a demo that reports none whatever happens proves
// nothing.
func TestDemoCountsWhatIsLost(t *testing.T) {
	r := demoResult{
		command: DemoCmd{Identities: 2}, talk: 1,
		want: tally{messages: 40, copies: 20}, arrived: tally{messages: 39, copies: 18},
	}
	var out bytes.Buffer
	r.print(&out)
	for _, want := range []string{`messages delivered +39 of 40\n`, `copies delivered +18 of 20,`, `messages lost +3\n`} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("no %q in %s", want, out.String())
		}
	}
}

// losing is a network that keeps some envelopes for good.
type losing struct {
	transport.Transport
	loses func(transport.Envelope) bool
}

func (n losing) Publish(e transport.Envelope, accepted func(error)) {
	if n.loses(e) {
		accepted(nil)
		return
	}
	n.Transport.Publish(e, accepted)
}

// toOurselves are the envelopes of copies.
func toOurselves(e transport.Envelope) bool { return e.Topic == transport.PersonalTopic(e.Sender) }

func TestLostCopiesAreLostMessages(t *testing.T) {
	network := memory.New(1, memory.Faults{})
	c := &DemoCmd{Identities: 2, Messages: 20, Devices: 2}
	w := newDemoWorld(c, network, &progress{to: io.Discard})
	w.patience = func(now tally) time.Duration {
		want := w.want()
		want.copies = 0
		if now == want { // copies are all that is missing, and do not come
			return 300 * time.Millisecond
		}
		return testPatience
	}
	engine, err := rookery.Open(t.Context(), rookery.Options{
		Dir: filepath.Join(t.TempDir(), "store"), Unlock: rookery.KeyFile(filepath.Join(t.TempDir(), "key")), Transport: losing{network, toOurselves}, Handler: w.handle,
	})
	if err != nil {
		t.Fatal(err)
	}
	result, err := w.run(t.Context(), engine)
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if result.lost() != 20 || result.arrived.messages != 40 || result.arrived.copies != 0 {
		t.Errorf("lost %d; arrived: %+v", result.lost(), result.arrived)
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
