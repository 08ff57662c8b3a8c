package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// line is the progress of an exchange.
func (x *exchange) line() string {
	return fmt.Sprintf("torture: %s, %s: %d messages told of %d in %v, %d and %d kills, %d restarts, %d violations",
		x.command.Network, x.stage, x.arrived, x.command.Messages, time.Since(x.began).Round(time.Second),
		len(x.speakers[alice].kills), len(x.speakers[bob].kills), len(x.keeper.kills), len(x.judge.violations))
}

// print writes the summary.
func (x *exchange) print(w io.Writer) {
	a, b := x.speakers[alice], x.speakers[bob]
	_, _ = fmt.Fprintf(w, "torture: exchange over %s, seed %d:\n", x.command.Network, x.seed)
	row(w, "messages acknowledged", "%d: %d of alice, %d of bob", a.acknowledged+b.acknowledged, a.acknowledged, b.acknowledged)
	row(w, "without an outcome", "%d, their Send was cut short by a kill; %d of them arrived", a.unanswered+b.unanswered, x.unexpected())
	row(w, "messages told", "%d, %d times again after a kill, as they have to be", x.arrived, x.tally.again)
	for _, t := range x.speakers {
		row(w, fmt.Sprintf("kills of %v", t.side), "%s", spread(t.kills, t.acknowledged, "what it has sent"))
	}
	row(w, "kills of the "+map[string]string{natsNetwork: "server", wakuNetwork: "store"}[x.command.Network], "%s",
		spread(x.keeper.kills, x.command.Messages, "what was told"))
	x.tally.printCauses(w)
	counts := make(map[offence]int)
	for _, v := range x.judge.violations {
		counts[v.offence]++
	}
	for _, o := range offences {
		if o != reused { // what is published is sealed here
			row(w, string(o), "%d", counts[o])
		}
	}
	row(w, "duration", "%v", time.Since(x.began).Round(time.Millisecond))
}

// unexpected counts what was told though it was not acknowledged.
func (x *exchange) unexpected() (n int) {
	for _, m := range x.judge.messages {
		if m.told && !m.acknowledged {
			n++
		}
	}
	return n
}

// spread shows how kills lie in an exchange.
func spread(kills []int, of int, what string) string {
	if len(kills) == 0 {
		return "0"
	}
	var at []string
	most, last := 0, 0
	for _, n := range append(kills[:len(kills):len(kills)], of) {
		most, last = max(most, n-last), n
	}
	for _, n := range kills {
		at = append(at, fmt.Sprint(100*n/max(of, 1)))
	}
	return fmt.Sprintf("%d, after %s %% of %s, at most %d messages apart", len(kills), strings.Join(at, " "), what, most)
}
