package faults

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

const (
	chains = 24
	lives  = 6
)

// T02: a crash follows a crash. Each life goes on from what the one before has
// left, with some scenario, to a crash before some write operation.
func TestCrashAfterCrash(t *testing.T) {
	t.Logf("seed %d: go test ./internal/faults -count=1 -run TestCrashAfterCrash -crash.seed %d", *seedFlag, *seedFlag)
	key := filepath.Join(t.TempDir(), "key")
	start := prepare(t, scenario{name: "chain", before: settle}, key)
	numbers := make([]uint64, 0, chains)
	for n := range uint64(chains) {
		numbers = append(numbers, n)
	}
	each(numbers, func(n uint64) {
		if err := crashAgainAndAgain(start, key, n); err != nil {
			t.Errorf("seed %d, chain %d: %v", *seedFlag, n, err)
		}
	})
}

func crashAgainAndAgain(b base, key string, number uint64) error {
	random := rand.New(rand.NewPCG(*seedFlag, number))
	at := point{disk: b.copy(), past: b.past}
	for life := range lives {
		s := scenarios[random.IntN(len(scenarios))]
		name := fmt.Sprintf("chain %d, life %d, %s", number, life, s.name)
		before := at
		w := newWorld(nil, key, before.past, seed{*seedFlag, name})
		w.tag = fmt.Sprintf(" (life %d)", life)
		c := newCamera(s.name, before.disk, w.ledger, random.Uint64())
		c.wanted = func(int, int) bool { return random.IntN(8) == 0 }
		w.disk = faulty(before.disk, c)
		c.roll(s.opening)
		err := all(
			w.open,
			func() error { return w.asLeft(before.past) },
			func() error { c.roll(true); return s.run(w) },
			func() error { w.readAll(); c.roll(s.opening); return w.close() },
		)
		c.roll(false)
		if err != nil {
			return fmt.Errorf("%s, after %v: %w", name, before, err)
		}
		if len(c.points) > 0 {
			at = c.points[random.IntN(len(c.points))]
		} else {
			at = point{scenario: s.name, disk: before.disk, past: w.ledger.read()}
		}
	}
	w := newWorld(at.disk, key, at.past, seed{*seedFlag, fmt.Sprintf("chain %d, the end", number)})
	w.tag = " (the end)"
	if err := w.finish(scenario{run: send}); err != nil {
		return fmt.Errorf("the end, after %v: %w", at, err)
	}
	return nil
}
