package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/transport/carrier/jetstream/embedded"
)

// short is a run that takes little.
func short(scenario string, args ...string) []string {
	return append([]string{"load", scenario, "--identities=10", "--duration=300ms", "--warm-up=50ms", "--fail-if=lost>0"}, args...)
}

func TestLoadRunsAndCompares(t *testing.T) {
	dir := t.TempDir()
	before, after := filepath.Join(dir, "before.json"), filepath.Join(dir, "after.json")
	for path, durability := range map[string]string{before: "durable", after: "memory"} {
		status, out, errors := command(t, short("one-way", "--rate=200", "--durability="+durability, "--json="+path)...)
		if status != 0 || !strings.Contains(out, "kept, 0") || !strings.Contains(out, "from when it was meant to be sent") {
			t.Fatalf("%s: status %d: %s%s", durability, status, out, errors)
		}
	}
	status, out, errors := command(t, "load", "compare", before, after, "--fail-if=sent>100x")
	if status != 0 || !strings.Contains(out, "send to handler, p99") {
		t.Errorf("status %d: %s%s", status, out, errors)
	}
	if status, _, _ = command(t, "load", "compare", before, after, "--fail-if=sent>0.5x"); status != exitBadResult {
		t.Errorf("status %d of a comparison that fails", status)
	}
}

func TestLoadThatPassesAThresholdIsABadResult(t *testing.T) {
	status, out, errors := command(t, short("ping-pong", "--durability=memory", "--fail-if=max>1ns")...)
	if status != exitBadResult || !strings.Contains(out, "FAILED") || !strings.Contains(errors, "threshold") {
		t.Errorf("status %d: %s%s", status, out, errors)
	}
}

func TestLoadWorldIsMadeOnceAndUsedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "world")
	for _, want := range []string{"10 made now", "0 made now"} {
		status, out, errors := command(t, "load", "create", "--dir="+dir, "--identities=10", "--contacts=4")
		if status != 0 || !strings.Contains(out, want) || !strings.Contains(out, "40\n") {
			t.Fatalf("status %d: %s%s", status, out, errors)
		}
	}
	for _, scenario := range []string{"cold", "fan-out", "one-way"} {
		status, out, errors := command(t, "load", scenario, "--dir="+dir, "--duration=200ms", "--warm-up=0s", "--fail-if=lost>0")
		if status != 0 || strings.Contains(out, "set-up") || !strings.Contains(out, "10 identities with 4 contacts") {
			t.Errorf("%s: status %d: %s%s", scenario, status, out, errors)
		}
	}
}

func TestLoadOverNATS(t *testing.T) {
	server, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	for _, scenario := range []string{"ping-pong", "reconnect"} {
		status, out, errors := command(t, short(scenario, "--rate=50", "--transport="+server.URL()+",create=true")...)
		if status != 0 || strings.Contains(out, server.URL()) {
			t.Errorf("%s: status %d: %s%s", scenario, status, out, errors)
		}
	}
}

func TestLoadThatCannotRunIsRefusedBeforeAnythingIsMade(t *testing.T) {
	for want, args := range map[string][]string{
		"at least 2":          {"--identities=0"},
		"have 9 others":       {"--contacts=10"},
		"half a pair":         {"--identities=11", "--contacts=3"},
		"rate of -1":          {"--rate=-1"},
		"either a rate":       {"--rate=1", "--in-flight=1"},
		"4 devices":           {"--devices=4"},
		"payload sizes":       {"--payload=5"},
		"no \"speed\"":        {"--fail-if=speed<5"},
		"a time, such as":     {"--fail-if=p99>50"},
		"for comparisons":     {"--fail-if=p99>2x"},
		"no kind of network":  {"--transport=pigeons"},
		"a share":             {"--loss=2"},
		"has faults":          {"--loss=0.1", "--transport=nats://127.0.0.1:4222"},
		"does not exist":      {"--json=" + filepath.Join(t.TempDir(), "nowhere", "out.json")},
		"is on disk":          {"--durability=memory"},
		"duration of -1s":     {"--duration=-1s"},
		"unknown flag --what": {"--what"},
	} {
		dir := filepath.Join(t.TempDir(), "world")
		status, out, errors := command(t, short("one-way", append(args, "--dir="+dir)...)...)
		if status != exitError || !strings.Contains(errors, want) {
			t.Errorf("%v: status %d, no %q: %s%s", args, status, want, out, errors)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%v: the directory was made", args)
		}
	}
}

func TestLoadDoesNotTouchAStoreOfSomebody(t *testing.T) {
	p := newPerson(t)
	p.new()
	for _, args := range [][]string{{"load", "create", "--dir=" + p.dir}, short("cold", "--dir="+p.dir)} {
		status, _, errors := command(t, args...)
		if status != exitError || !strings.Contains(errors, "no world of load runs") {
			t.Errorf("%v: status %d: %s", args, status, errors)
		}
	}
	if status, _, errors := command(t, p.args("identity", "list")...); status != 0 {
		t.Errorf("status %d: %s", status, errors)
	}
}
