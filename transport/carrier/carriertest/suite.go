package carriertest

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// Network is one network, and what it can do.
type Network struct {
	// Open opens one more carrier, independent of the others. It need not be ready;
	// the suite waits for that. The suite closes it, at the latest in a Cleanup of t.
	Open func(t testing.TB) carrier.Carrier
	// HasHistory: what is published is kept for the time of a test, whoever comes
	// and goes. If not, History has to give ErrNoHistory.
	HasHistory bool
	// KeepsAcrossRestart: the history is there after Restart too.
	KeepsAcrossRestart bool
	// Exact: nothing is delivered but the topics that are subscribed.
	Exact bool

	// Cut cuts one carrier off from the network until restore is called, while the
	// others go on. Nil if that cannot be done.
	Cut func(t testing.TB, c carrier.Carrier) (restore func())
	// Outage cuts off all carriers until restore is called. Nil if that cannot be
	// done, or if Cut says it all.
	Outage func(t testing.TB) (restore func())
	// Restart ends the network and starts it anew, where the carriers find it again.
	// Nil if that cannot be done.
	Restart func(t testing.TB)

	// Patience is how long something that has to happen may take (20 s if 0), and
	// Quiet how long something that must not happen is waited for (150 ms if 0).
	Patience, Quiet time.Duration
	// Many is how many messages of 12 kB the tests of memory publish (2000 if 0).
	Many int
	// MemoryAside leaves the tests of memory, which take long, to another network on
	// which the same code of a carrier runs.
	MemoryAside bool
	// HistoryAside leaves the rules that are about the history alone to another network
	// on which the same code asks for it.
	HistoryAside bool
	// HistoryOnly leaves the rules that the history takes no part in to another network,
	// on which the same code has none: there nothing can make good what is lost.
	HistoryOnly bool
}

// test is one rule; only says for which networks it is one (nil: for all), and past that
// the history takes part in it.
type test struct {
	run  func(b *bench)
	only func(n Network) bool
	past bool
}

// has tells whether a rule is one for a network.
func (n Network) has(name string, rule test) bool {
	_, ofHistory := keeping[name]
	switch {
	case rule.only != nil && !rule.only(n):
		return false
	case ofHistory:
		return !n.HistoryAside
	}
	return rule.past || !n.HistoryOnly
}

func all() map[string]test {
	tests := make(map[string]test)
	for _, group := range []map[string]test{publishing, subscribing, keeping, holding, closing, failing} {
		maps.Copy(tests, group)
	}
	return tests
}

// Run runs the suite. open gives the network of one test: a new one, or one that
// other tests use too, but not at the same time if there is Outage or Restart.
func Run(t *testing.T, open func(t *testing.T) Network) {
	tests := all()
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, open(t))
			if rule := tests[name]; b.network.has(name, rule) {
				rule.run(b)
			}
		})
	}
}

func hasHistory(n Network) bool  { return n.HasHistory }
func showsMemory(n Network) bool { return !n.MemoryAside }
