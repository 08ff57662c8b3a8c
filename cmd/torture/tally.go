package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

// tally is what a run has done. Safe for concurrent use.
type tally struct {
	mu         sync.Mutex
	lives      int
	kills      map[string]int // by kind, hooks by name
	exits      int            // lives that ended by Close
	drains     int
	rounds     int
	busy       time.Duration // of all workers together
	messages   int           // acknowledged to their sender
	direct     int           // handed over
	told       int
	again      int // told again in a later life, by design
	published  int
	keys       int // message keys seen
	sessions   map[string]int
	later      map[string]int // sends that were refused for now, by cause
	refused    map[string]int // envelopes
	violations map[offence]int
}

func newTally() *tally {
	return &tally{
		kills: make(map[string]int), sessions: make(map[string]int),
		later: make(map[string]int), refused: make(map[string]int), violations: make(map[offence]int),
	}
}

// change gives the tally to one goroutine.
func (t *tally) change(what func(*tally)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	what(t)
}

// killed is how often the child was killed.
func (t *tally) killed() int {
	n := 0
	for _, count := range t.kills {
		n += count
	}
	return n
}

func (t *tally) offences() int {
	n := 0
	for _, count := range t.violations {
		n += count
	}
	return n
}

// cycle is the mean length of one life of the child with its start.
func (t *tally) cycle() time.Duration {
	if t.lives == 0 {
		return 0
	}
	return t.busy / time.Duration(t.lives)
}

// line is the progress of a run.
func (t *tally) line(kills int, ran time.Duration) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("torture: %d of %d kills in %v, %d messages, %d rounds done, %d violations, %d ms a cycle",
		t.killed(), kills, ran.Round(time.Second), t.messages+t.direct, t.rounds, t.offences(), t.cycle().Milliseconds())
}

// print writes the summary.
func (t *tally) print(w io.Writer, ran time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := func(name, format string, args ...any) { row(w, name, format, args...) }
	_, _ = fmt.Fprintln(w, "torture:")
	line("kills", "%d", t.killed())
	for _, kind := range slices.Sorted(maps.Keys(t.kills)) {
		line("  "+kind, "%d", t.kills[kind])
	}
	line("cycles", "%d, of them %d ended by Close", t.lives, t.exits)
	line("rounds", "%d, on fresh directories each", t.rounds)
	line("drains", "%d", t.drains)
	line("messages acknowledged", "%d, and %d direct ones handed over", t.messages, t.direct)
	line("messages told", "%d, of them %d again after a kill, as they have to be", t.told, t.again)
	line("envelopes published", "%d, with %d message keys", t.published, t.keys)
	t.printCauses(w)
	for _, o := range offences {
		line(string(o), "%d", t.violations[o])
	}
	line("mean cycle", "%.1f ms", float64(t.cycle())/float64(time.Millisecond))
	line("duration", "%v", ran.Round(time.Millisecond))
}

// printCauses writes what may happen, and how often it has.
func (t *tally) printCauses(w io.Writer) {
	for _, change := range slices.Sorted(maps.Keys(t.sessions)) {
		row(w, "session", "%d: %s", t.sessions[change], change)
	}
	for _, cause := range slices.Sorted(maps.Keys(t.later)) {
		row(w, "send tried again", "%d: %s", t.later[cause], cause)
	}
	for _, cause := range slices.Sorted(maps.Keys(t.refused)) {
		row(w, "envelope refused", "%d: %s", t.refused[cause], cause)
	}
}

// row is one line of a summary.
func row(w io.Writer, name, format string, args ...any) {
	_, _ = fmt.Fprintf(w, "  %-24s %s\n", name, fmt.Sprintf(format, args...))
}
