package bench

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rookery-im/rookery/internal/bench/core"
	"github.com/rookery-im/rookery/internal/bench/envelopes"
	"github.com/rookery-im/rookery/internal/bench/measure"
	"github.com/rookery-im/rookery/internal/throughput"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport"
)

// ErrUnknownSection is what a section is refused with that does not exist.
var ErrUnknownSection = errors.New("bench: no such section")

// Options are what is measured, where and with what.
type Options struct {
	Sections []string // all if empty; in the order of Sections() whatever theirs is
	Short    bool     // small sizes and few rounds: to see that it works
	Rounds   int      // of each comparison; 0: as many as the section takes by itself
	// Identities bounds how many are hosted where cost is followed as their number
	// grows.
	Identities int
	// Dir is where stores are made; they go when they have been measured.
	Dir string
	// Network makes a transport inside the process that loses nothing, Records opens a
	// store on the disk that syncs its batches, Memory one in memory.
	Network func() transport.Transport
	Records func(dir string) (persistence.Store, error)
	Memory  func() persistence.Store
	// Note is written into the report: what has to be known about the machine.
	Note string
}

// section is a group of comparisons.
type section struct {
	name, title string
	oneThread   bool // the Go runtime is held to one processor
	rounds      int  // in a full run
	columns     []string
	comparisons func(Options) []measure.Comparison
	// grown is instead of comparisons for those that share what has to be closed.
	grown func(Options) (all []measure.Comparison, end func() error)
}

var sections = []section{
	{
		name: "primitives", title: "Primitives", oneThread: true, rounds: 7,
		comparisons: func(Options) []measure.Comparison { return core.Primitives() },
	},
	{
		name: "ratchet", title: "Ratchet", oneThread: true, rounds: 7, columns: []string{core.Floor, core.Least},
		comparisons: func(Options) []measure.Comparison { return core.Ratchet() },
	},
	{
		name: "x3dh", title: "X3DH and the first message", oneThread: true, rounds: 7, columns: []string{core.Floor},
		comparisons: func(Options) []measure.Comparison { return core.X3DH() },
	},
	{
		name: "durable", title: "Durable sending and receiving", rounds: 5,
		comparisons: func(o Options) []measure.Comparison { return throughput.Comparisons(o.throughput()) },
	},
	{
		name: "envelopes", title: "Envelopes of 1 KiB", oneThread: true, rounds: 7,
		comparisons: func(o Options) []measure.Comparison {
			return envelopes.Comparisons(envelopes.Options{Store: o.Memory, Hosted: o.upTo(1, 10_000, 100_000)})
		},
	},
	{
		name: "scale", title: "As the number of identities grows", rounds: 3, columns: []string{"10 identities", "uniform traffic"},
		grown: func(o Options) ([]measure.Comparison, func() error) {
			return throughput.Scale(o.throughput(), o.upTo(10, 100, 1000, 10_000, 100_000))
		},
	},
}

// Sections are the names of all sections, in their order.
func Sections() []string {
	names := make([]string, len(sections))
	for i, s := range sections {
		names[i] = s.name
	}
	return names
}

// chosen are the sections that the options name.
func (o Options) chosen() ([]section, error) {
	if len(o.Sections) == 0 {
		return sections, nil
	}
	for _, name := range o.Sections {
		if !slices.Contains(Sections(), name) {
			return nil, fmt.Errorf("%w: %q; there are %s", ErrUnknownSection, name, strings.Join(Sections(), ", "))
		}
	}
	var some []section
	for _, s := range sections {
		if slices.Contains(o.Sections, s.name) {
			some = append(some, s)
		}
	}
	return some, nil
}

// open gives the comparisons of a section, and how what they share is closed.
func (s section) open(o Options) (all []measure.Comparison, end func() error) {
	if s.grown != nil {
		return s.grown(o)
	}
	return s.comparisons(o), func() error { return nil }
}

// settings are how carefully a section is measured.
func (o Options) settings(s section) measure.Settings {
	settings := measure.Settings{Rounds: s.rounds, Turn: 200 * time.Millisecond}
	if o.Short {
		settings = measure.Settings{Rounds: 3, Turn: 10 * time.Millisecond}
	}
	if o.Rounds > 0 {
		settings.Rounds = o.Rounds
	}
	return settings
}

func (o Options) throughput() throughput.Options {
	sizes := throughput.Full
	if o.Short {
		sizes = throughput.Short
	}
	return throughput.Options{Dir: o.Dir, Network: o.Network, Records: o.Records, Sizes: sizes}
}

// shortIdentities is how many identities a short run hosts at most.
const shortIdentities = 1000

// upTo are those of the numbers of identities that may be hosted.
func (o Options) upTo(numbers ...int) []int {
	if o.Short {
		o.Identities = min(o.Identities, shortIdentities)
	}
	return slices.DeleteFunc(numbers, func(n int) bool { return n > o.Identities })
}
