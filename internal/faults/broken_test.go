package faults

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// What the judge is for has to make it speak: here everything is put back to an
// older disk, anchor included, which no store can notice by itself.
func TestJudgeNoticesWhatMustNotHappen(t *testing.T) {
	for name, test := range map[string]struct {
		before, run func(*world) error
		forget      func(*past) // of what the rest of the world knows
		keeps       bool
		vain        func(past) bool
		want        string
	}{
		"message keys used twice": {
			before: speak("first"), run: speak("second"), want: "message key used twice",
			vain: func(p past) bool { return len(keysUsedTwice(p.published)) > 0 },
		},
		"lost message": {
			before: settle, run: send, want: "lost: \"a 0\"",
			forget: func(p *past) { p.published, p.delivered = nil, nil },
			vain:   already,
		},
		"lost from the inbox": {
			before: settle, run: receive, keeps: true, vain: already, want: "was not acknowledged by",
		},
		"back in the inbox": {
			before: leftOvers, run: ack, keeps: true, vain: already, want: "was durably acknowledged by",
		},
	} {
		t.Run(name, func(t *testing.T) {
			key := filepath.Join(t.TempDir(), "key")
			b := prepare(t, scenario{name: name, before: test.before}, key)
			older := b.copy()
			w := newWorld(b.copy(), key, b.past, seed{*seedFlag, name})
			s := scenario{name: name, keeps: test.keeps, run: test.run}
			if err := w.play(s, func(bool) {}); err != nil {
				t.Fatal(err)
			}
			after := w.ledger.read()
			if test.forget != nil {
				test.forget(&after)
			}
			again := newWorld(older, key, after, seed{*seedFlag, name + " again"})
			again.tag = " again"
			again.vain = test.vain
			err := again.finish(s)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			w = newWorld(b.copy(), key, b.past, seed{*seedFlag, name + " rightly"})
			if err := w.finish(s); err != nil {
				t.Errorf("on the right disk: %v", err)
			}
		})
	}
}

// already: what the judge has to notice is there when the store is opened.
func already(past) bool { return true }

// speak is one more message on the same chain.
func speak(payload string) func(*world) error {
	return func(w *world) error {
		return all(
			func() error { return settle(w) },
			func() error { return w.send(alice1, bob.public, payload) },
			w.arrived,
		)
	}
}

// A disk that keeps its records and gets back an older anchor, or none, is called
// what it is.
func TestJudgeNoticesAReplacedInstallation(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	b := prepare(t, scenario{name: "replaced", before: settle}, key)
	without := b.copy()
	if err := without.Remove(home + "/anchor"); err != nil {
		t.Fatal(err)
	}
	w := newWorld(without, key, b.past, seed{*seedFlag, "replaced"})
	w.vain = func(p past) bool { return len(p.alarms) > 0 }
	err := w.finish(scenario{run: send})
	if err == nil || !strings.Contains(err.Error(), "was taken for an older store") {
		t.Errorf("got %v, want a replaced installation", err)
	}
}

// The crashable disk loses what was not synced, and the camera sees it.
func TestDiskLosesWhatWasNotSynced(t *testing.T) {
	own := vfs.NewCrashableMem()
	l := newLedger(past{})
	c := newCamera("disk", own, l, 1)
	c.roll(true)
	disk := faulty(own, c)
	file, err := disk.Create("a", vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = file.Write([]byte("x"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := disk.Remove("a"); err != nil {
		t.Fatal(err)
	}
	if c.index != 4 || len(c.points) != 12 {
		t.Errorf("%d operations, %d points", c.index, len(c.points))
	}
	for _, p := range c.points {
		_, err := p.disk.Stat("a")
		if there := err == nil; there != (p.percent == 100 && p.index > 0) && p.percent != 50 {
			t.Errorf("%v: the file is there: %t", p, there)
		}
	}
}
