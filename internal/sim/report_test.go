package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// report counts what happened in one schedule or in many.
type report struct {
	Schedules     int
	Installations int   // that ever were
	Sizes         []int // installations at the start, by schedule
	Steps         []int // events, by schedule
	Events        map[string]int
	Sent          int
	Unsent        map[string]int // by cause
	Delivered     int
	Refused       map[string]int // by cause and reason
	Sessions      map[string]int // by transition
	Alarms        map[string]int // by cause
	Recoveries    int
	Lost          int // parts that the network has lost for good
	Agreed        int // pairs of installations that agreed at the end
	Excluded      map[string]int
}

func newReport() report {
	return report{
		Events:   make(map[string]int),
		Unsent:   make(map[string]int),
		Refused:  make(map[string]int),
		Sessions: make(map[string]int),
		Alarms:   make(map[string]int),
		Excluded: make(map[string]int),
	}
}

func (r *report) add(other report) {
	r.Schedules += other.Schedules
	r.Installations += other.Installations
	r.Sizes = append(r.Sizes, other.Sizes...)
	r.Steps = append(r.Steps, other.Steps...)
	r.Sent += other.Sent
	r.Delivered += other.Delivered
	r.Recoveries += other.Recoveries
	r.Lost += other.Lost
	r.Agreed += other.Agreed
	for _, pair := range [][2]map[string]int{
		{r.Events, other.Events},
		{r.Unsent, other.Unsent},
		{r.Refused, other.Refused},
		{r.Sessions, other.Sessions},
		{r.Alarms, other.Alarms},
		{r.Excluded, other.Excluded},
	} {
		for name, n := range pair[1] {
			pair[0][name] += n
		}
	}
}

func median(of []int) int {
	if len(of) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(of))[len(of)/2]
}

// String is the report for people.
func (r *report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d schedules, median of %d installations and %d events\n", r.Schedules, median(r.Sizes), median(r.Steps))
	fmt.Fprintf(&b, "%d messages sent, %d reported, %d parts lost by the network, %d recoveries, %d pairs agreed\n", r.Sent, r.Delivered, r.Lost, r.Recoveries, r.Agreed)
	for _, list := range []struct {
		title  string
		counts map[string]int
	}{
		{"events", r.Events},
		{"not sent", r.Unsent},
		{"refused", r.Refused},
		{"sessions", r.Sessions},
		{"alarms", r.Alarms},
		{"pairs not held to agree", r.Excluded},
	} {
		fmt.Fprintf(&b, "%s:", list.title)
		for _, name := range slices.Sorted(maps.Keys(list.counts)) {
			fmt.Fprintf(&b, " %s %d;", name, list.counts[name])
		}
		b.WriteByte('\n')
	}
	return b.String()
}
