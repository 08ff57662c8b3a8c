package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// world is one round: two directories, the network between them, and the judge.
type world struct {
	seed       uint64
	dir        string
	judge      *judge
	network    *network
	history    *history
	errors     *journal // what the children wrote
	identities [sides]party
	tally      *tally
}

// party is who a side is, once it is known.
type party struct{ key, installation string }

// meet holds that a side stays who it is: another installation would mean that
// the store was taken for an older copy.
func (w *world) meet(s side, key []byte, installation string) {
	now := party{string(key), installation}
	if before := w.identities[s]; before != (party{}) && before != now {
		w.judge.blame(failure, "%v was %x, installation %s, and is %x, %s", s, before.key, before.installation, now.key, now.installation)
	}
	w.identities[s] = now
}

// roundError is a round with violations.
type roundError struct {
	seed       uint64
	life       int
	dir        string
	violations []violation
}

// Error implements error.
func (e *roundError) Error() string {
	const most = 10
	text := fmt.Sprintf("seed %d, life %d:", e.seed, e.life)
	for i, v := range e.violations {
		if i == most {
			text += fmt.Sprintf("\n  and %d more", len(e.violations)-most)
			break
		}
		text += "\n  " + v.String()
	}
	return text + "\n  directories and history are in " + e.dir
}

// round runs one world until it was killed so many times.
func round(ctx context.Context, base string, seed uint64, kills int, drainEvery int, t *tally) error {
	dir, err := os.MkdirTemp(base, fmt.Sprintf("torture-%d-*", seed))
	if err != nil {
		return err
	}
	d := newDice(seed)
	w := &world{
		seed: seed, dir: dir, tally: t,
		judge: newJudge(), network: newNetwork(d.fork()), history: newHistory(), errors: new(journal),
	}
	planner := &planner{dice: d.fork(), drainEvery: drainEvery}
	if err := w.run(ctx, planner, kills); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	t.change(func(t *tally) {
		t.rounds++
		t.keys += len(w.judge.sealed)
		for _, v := range w.judge.violations {
			t.violations[v.offence]++
		}
	})
	if len(w.judge.violations) == 0 {
		return os.RemoveAll(dir)
	}
	failed := &roundError{seed, planner.life - 1, dir, w.judge.violations}
	w.history.note(failed.life, "%v", failed)
	return errors.Join(failed, w.keep())
}

// run is over at the first violation.
func (w *world) run(ctx context.Context, planner *planner, kills int) error {
	for killed := 0; killed < kills; {
		wasKilled, err := w.live(ctx, planner.next(killed == kills-1))
		if err != nil {
			return err
		}
		if len(w.judge.violations) > 0 {
			return nil
		}
		if wasKilled {
			killed++
		}
	}
	return nil
}

// keep writes what is known beside the directories of the sides.
func (w *world) keep() error {
	return errors.Join(
		w.history.write(filepath.Join(w.dir, "history.txt")),
		os.WriteFile(filepath.Join(w.dir, "stderr.txt"), w.errors.bytes(), 0o600),
	)
}
