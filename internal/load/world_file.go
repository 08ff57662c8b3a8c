package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

var (
	// ErrNotWorld: a directory holds something else than a world for load runs.
	ErrNotWorld = errors.New("load: no world of load runs")
	// ErrOtherWorld: a world is another than the one that is asked for.
	ErrOtherWorld = errors.New("load: another world")
	// ErrUnfinished: a world whose making has not ended.
	ErrUnfinished = errors.New("load: unfinished world")
	// ErrUsed: a scenario needs a world of its own that nobody has talked in.
	ErrUsed = errors.New("load: world is there already")
)

// World is what a directory with identities for load runs holds.
type World struct {
	Format     int   `json:"format"`
	Graph      Graph `json:"graph"`
	Devices    int   `json:"devices"`
	Engines    int   `json:"engines"`
	Identities bool  `json:"identities_made"`
	// Established is how many pairs, the first ones, surely have their sessions.
	Established int `json:"established"`
	// Talked: a scenario was run in it.
	Talked bool `json:"talked"`
	// Ahead is by how much the clock of its engines is ahead.
	Ahead time.Duration `json:"ahead_ns"`
}

const (
	worldFormat = 1
	worldName   = "world.json"
)

// finished tells whether all pairs have their sessions.
func (w World) finished() bool { return w.Identities && w.Established == w.Graph.Pairs() }

// Sessions is how many there are when all pairs are established: one at each end,
// for each installation with each.
func (w World) Sessions() int { return 2 * w.Graph.Pairs() * w.Devices * w.Devices }

// established is how many of them there surely are.
func (w World) established() int { return 2 * w.Established * w.Devices * w.Devices }

// ReadWorld reads what a directory holds: false if it does not exist or is empty.
// ErrNotWorld.
func ReadWorld(dir string) (World, bool, error) {
	var w World
	text, err := os.ReadFile(filepath.Join(dir, worldName)) //nolint:gosec // the user's
	if errors.Is(err, os.ErrNotExist) {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
			return w, false, nil
		}
		if err != nil {
			return w, false, fmt.Errorf("%w: %w", ErrNotWorld, err)
		}
		return w, false, fmt.Errorf("%w: %s holds other things and no %s", ErrNotWorld, dir, worldName)
	}
	if err != nil {
		return w, false, fmt.Errorf("%w: %w", ErrNotWorld, err)
	}
	if err := json.Unmarshal(text, &w); err != nil {
		return w, false, fmt.Errorf("%w: %s: %w", ErrNotWorld, worldName, err)
	}
	if w.Format != worldFormat {
		return w, false, fmt.Errorf("%w: format %d, this release knows %d", ErrNotWorld, w.Format, worldFormat)
	}
	if err := w.check(); err != nil {
		return w, false, fmt.Errorf("%w: %s: %w", ErrNotWorld, worldName, err)
	}
	return w, true, nil
}

func (w World) check() error {
	if err := w.Graph.Check(); err != nil {
		return err
	}
	if w.Devices < 1 || w.Devices > MaxDevices || w.Engines < 1 || w.Engines > 2 || w.Established < 0 || w.Established > w.Graph.Pairs() {
		return fmt.Errorf("%d devices, %d engines, %d pairs established", w.Devices, w.Engines, w.Established)
	}
	return nil
}

// write replaces the file in a directory; an interrupted one leaves the old one.
func (w World) write(dir string) error {
	text, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, worldName+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, worldName))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
