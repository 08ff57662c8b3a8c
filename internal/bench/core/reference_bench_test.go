package core

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery/internal/bench/measure"
	"github.com/rookery-im/rookery/internal/curve"
)

var (
	rounds  = flag.Int("rounds", 7, "turns of each way of doing an operation")
	rowTime = flag.Duration("row-time", 400*time.Millisecond, "how long a turn takes")
)

// table is what TestMain prints.
var table []measure.Result

// TestMain prints what was measured as one table.
func TestMain(m *testing.M) {
	flag.Parse()
	status := m.Run()
	if len(table) > 0 {
		fmt.Printf("\n%d rounds on one thread; curve: %s\n\n", *rounds, curve.Backend)
		_ = measure.WriteText(os.Stdout, table)
	}
	os.Exit(status)
}

// referenceWay is the name of the way of the deployed reference.
const referenceWay = "reference"

// BenchmarkBesideReference is each operation as the product does it, as its
// primitives, and in the way of the deployed reference. "make bench-core" runs it.
func BenchmarkBesideReference(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, c := range append(Ratchet(), X3DH()...) {
		b.Run(c.ID, func(b *testing.B) {
			r, err := besideReference(c).Run(b.Context(), measure.Settings{Rounds: *rounds, Turn: *rowTime})
			if err != nil {
				b.Fatal(err)
			}
			theirs, _ := r.Way(referenceWay)
			b.ReportMetric(1/theirs.Times, "times-faster")
			b.ReportMetric(0, "ns/op")
			table = append(table, r)
		})
	}
}

// besideReference adds the way of the reference to a comparison.
func besideReference(c measure.Comparison) measure.Comparison {
	open := c.Open
	c.Open = func(ctx context.Context) (measure.Opened, error) {
		opened, err1 := open(ctx)
		ways, err2 := referenceWays(c.ID)
		opened.Ways = append(opened.Ways, ways...)
		return opened, errors.Join(err1, err2)
	}
	return c
}

// Every operation has its way of the reference, and each way does it.
func TestEveryOperationHasItsReference(t *testing.T) {
	all := append(Ratchet(), X3DH()...)
	if len(all) != 14 {
		t.Errorf("%d operations", len(all))
	}
	for _, c := range all {
		r, err := besideReference(c).Run(t.Context(), measure.Settings{Rounds: 1, Turn: time.Millisecond})
		if err != nil {
			t.Error(err)
			continue
		}
		if own, _ := r.Way(measure.Rookery); own.Times != 1 {
			t.Errorf("%s: the own way takes %v times as long as itself", c.ID, own.Times)
		}
		if theirs, ok := r.Way(referenceWay); !ok || theirs.Nanoseconds <= 0 || theirs.Times <= 0 {
			t.Errorf("%s: %+v", c.ID, theirs)
		}
	}
}

func referenceWays(id string) ([]measure.Way, error) {
	way := func(op func() error) []measure.Way { return []measure.Way{measure.Each(referenceWay, op)} }
	switch {
	case strings.HasPrefix(id, "set-up-"):
		return referenceSetUp(id, way)
	case strings.HasPrefix(id, "refused-"):
		return referenceRefusal(id, way)
	case id == "ping-pong":
		payload := make([]byte, 100)
		alice, bob, err1 := establishedDeployed()
		decredAlice, decredBob, err2 := decredPair()
		return append(
			way(func() error { return roundTrip(alice, bob, payload) }),
			measure.Each("decred", func() error { return roundTrip(decredAlice, decredBob, payload) }),
		), errors.Join(err1, err2)
	}
	var n int
	from, to, err := establishedDeployed()
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Sscanf(id, "encrypt-%d", &n); err == nil {
		payload := make([]byte, n)
		return way(func() error { _, err := from.send(payload); return err }), nil
	}
	start := to.deployedState
	if _, err := fmt.Sscanf(id, "decrypt-%d", &n); err == nil {
		sent, err := flight(from, made, make([]byte, n))
		i := 0
		return way(func() error {
			if i == made {
				i, to.deployedState = 0, start
			}
			_, err := to.receive(sent[i])
			i++
			return err
		}), err
	}
	if _, err := fmt.Sscanf(id, "gap-%d", &n); err == nil {
		after := 0
		if strings.HasSuffix(id, "-late") {
			after = n
		}
		sent, err := flight(from, n+1, make([]byte, 100))
		return way(func() error {
			to.deployedState, to.skipped = start, nil
			return receiveGap(to, sent, after)
		}), err
	}
	return nil, fmt.Errorf("no way of the reference for %s", id)
}

func referenceSetUp(id string, way func(func() error) []measure.Way) ([]measure.Way, error) {
	payload := make([]byte, 100)
	alice, err1 := newDeployedHost()
	bob, err2 := newDeployedHost()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if id == "set-up-initiator" {
		return way(func() error { _, _, err := alice.startDeployed(&bob.bundle, payload); return err }), nil
	}
	_, flight, err := alice.startDeployed(&bob.bundle, payload)
	if id == "set-up-responder" {
		return way(func() error { _, _, err := bob.acceptDeployed(flight); return err }), err
	}
	// The reference makes its sending ratchet key at once.
	return way(func() error { s, _, err := bob.acceptDeployed(flight); return answered(s, payload, err) }), err
}

// The reference finds out about a new chain only after its DH ratchet step.
func referenceRefusal(id string, way func(func() error) []measure.Way) ([]measure.Way, error) {
	from, to, err := establishedDeployed()
	if err != nil {
		return nil, err
	}
	m, err1 := from.send(nil)
	other, err2 := newDeployedPair()
	m.n += deployedMaxSkip + 1
	if id != "refused-"+sameChain {
		m.key, m.pn = other.public, to.receiving.n
	}
	return way(func() error {
		_, err := to.receive(m)
		return expect(errDeployedTooMany, err)
	}), errors.Join(err1, err2)
}
