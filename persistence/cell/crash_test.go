package cell_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rookery-im/rookery/persistence/cell"
	"github.com/rookery-im/rookery/persistence/cell/celltest"
)

// life is what a user of a cell does, and what it may rely on meanwhile.
type life struct {
	disk *celltest.Disk
	cell *cell.Cell // nil: to be opened first, or made
	// created: there is a cell whatever happens.
	created bool
	// may are the values that the cell may hold: the last that is durable and
	// those that were tried since.
	may [][]byte
	// gone are the values of which no byte may be left.
	gone [][]byte
}

func (l *life) open() error {
	if l.cell != nil {
		return nil
	}
	opened, got, err := cell.Open(l.disk, name)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(l.may, func(v []byte) bool { return bytes.Equal(v, got) }) {
		return fmt.Errorf("the cell holds %.10q, not one of %.10q", got, l.may)
	}
	l.cell = opened
	return nil
}

// step is one thing to do; it may be done again when it has failed.
type step func(*life) error

func create(v []byte) step {
	return func(l *life) (err error) {
		l.may = append(l.may, v)
		if l.cell, err = cell.Create(l.disk, name, v); errors.Is(err, fs.ErrExist) {
			return l.open() // an earlier try has got that far
		}
		if err == nil {
			l.created, l.may = true, [][]byte{v}
		}
		return err
	}
}

func replace(v []byte) step {
	return func(l *life) error {
		if err := l.open(); err != nil {
			return err
		}
		l.may = append(l.may, v)
		if err := l.cell.Replace(v); err != nil {
			return err
		}
		l.created, l.may = true, [][]byte{v}
		return nil
	}
}

func destroy(older ...[]byte) step {
	return func(l *life) error {
		if err := l.open(); err != nil {
			return err
		}
		if err := l.cell.Destroy(); err != nil {
			return err
		}
		l.gone = older
		return nil
	}
}

// restart forgets what the process knows, as one that was killed does: the disk
// keeps what was written and not synced.
func restart(l *life) error {
	l.cell = nil
	return nil
}

// scenario has each operation after each other one.
func scenario() []step {
	return []step{
		create(value(1)), replace(value(2)), destroy(value(1)), destroy(value(1)), replace(value(3)), replace(value(4)),
		restart, replace(value(5)), destroy(value(1), value(2), value(3), value(4)),
		restart, destroy(value(4)), restart, replace(value(6)), replace(value(7)), destroy(value(5), value(6)),
	}
}

// survives wants of a disk after a crash what was promised, and that it works on.
func (l life) survives(left *celltest.Disk) error {
	content := left.Content(name)
	for _, gone := range l.gone {
		if bytes.Contains(content, gone[:10]) {
			return fmt.Errorf("%q is still in the file", gone[:10])
		}
	}
	l.disk, l.cell, l.may = left, nil, slices.Clone(l.may)
	if !l.created {
		if err := create(value(0))(&l); err != nil {
			return fmt.Errorf("create again: %w", err)
		}
	}
	for i := range 3 {
		if err := replace(value(100 + i))(&l); err != nil {
			return err
		}
	}
	if err := destroy()(&l); err != nil {
		return err
	}
	l.cell = nil // and what was written last is what is found
	return l.open()
}

// chances of what was not synced, in percent.
var chances = []int{0, 50, 100}

func luck(percent int, random *rand.Rand) func() bool {
	return func() bool { return random.IntN(100) < percent }
}

// T02 for cells: a crash before any file operation leaves the old value or the
// new one, and none that was destroyed.
func TestCrashAtEveryOperationLeavesTheOldOrTheNewValue(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		l := &life{disk: celltest.NewDisk()}
		crashes := 0
		l.disk.Before = func(operation string) error {
			for _, percent := range chances {
				crashes++
				if err := l.survives(l.disk.Crash(luck(percent, random))); err != nil {
					t.Fatalf("crash %d, before a %s with %d %% of the unsynced: %v\n"+
						"seed %d: go test -run TestCrashAtEveryOperation ./persistence/cell", crashes, operation, percent, err, seed)
				}
			}
			return nil
		}
		for i, do := range scenario() {
			if err := do(l); err != nil {
				t.Fatalf("step %d: %v", i, err)
			}
		}
		if crashes < 3*30 {
			t.Fatalf("only %d crashes", crashes)
		}
	}
}

var (
	errKilled = errors.New("killed")
	errDisk   = errors.New("broken disk")
)

// T01 and T02 for cells: a process that is killed at any operation leaves writes
// in the cache that no sync has followed; a crash of the machine at any operation
// of the next process still leaves the old value or the new one.
func TestCrashAfterAKill(t *testing.T) {
	for kill := 0; ; kill++ {
		random := rand.New(rand.NewPCG(uint64(kill), 2))
		l := &life{disk: celltest.NewDisk()}
		operations := 0
		l.disk.Before = func(string) error {
			if operations++; operations > kill {
				return errKilled
			}
			return nil
		}
		killed := false
		steps := scenario()
		for i := 0; i < len(steps); i++ {
			err := steps[i](l)
			if err == nil {
				continue
			}
			if !errors.Is(err, errKilled) || killed {
				t.Fatalf("kill %d, step %d: %v", kill, i, err)
			}
			killed = true
			l.cell = nil
			i--
			l.disk.Before = func(operation string) error {
				for _, percent := range chances {
					if err := l.survives(l.disk.Crash(luck(percent, random))); err != nil {
						t.Fatalf("killed at operation %d, then a crash before a %s with %d %% of the unsynced: %v", kill, operation, percent, err)
					}
				}
				return nil
			}
		}
		if !killed {
			if kill < 30 {
				t.Fatalf("only %d operations", kill)
			}
			return
		}
	}
}

// T03 for cells: an operation that fails gives its error, the step can be done
// again in the same process or after a restart, and a crash afterwards leaves
// what was promised.
func TestAnErrorAtEveryOperation(t *testing.T) {
	for _, again := range []string{"in the same process", "after a restart"} {
		for failing := 0; ; failing++ {
			random := rand.New(rand.NewPCG(uint64(failing), 3))
			l := &life{disk: celltest.NewDisk()}
			operations, failures := 0, 0
			l.disk.Before = func(string) error {
				if operations++; operations == failing+1 {
					return errDisk
				}
				return nil
			}
			for i, do := range scenario() {
				err := do(l)
				if errors.Is(err, errDisk) {
					if failures++; again == "after a restart" {
						l.cell = nil
					}
					err = do(l)
				}
				if err != nil {
					t.Fatalf("operation %d has failed, %s, step %d: %v", failing, again, i, err)
				}
				for _, percent := range chances {
					if err := l.survives(l.disk.Crash(luck(percent, random))); err != nil {
						t.Fatalf("operation %d has failed, %s, a crash after step %d with %d %% of the unsynced: %v", failing, again, i, percent, err)
					}
				}
			}
			if operations <= failing {
				if failing < 30 {
					t.Fatalf("only %d operations", failing)
				}
				break
			}
			if failures != 1 {
				t.Fatalf("operation %d has failed and %d steps have said so", failing, failures)
			}
		}
	}
}

// A disk that stays broken for a while costs nothing but the wait: the good slot
// is never the one that is written.
func TestTriesOnABrokenDiskLeaveTheGoodValue(t *testing.T) {
	for _, broken := range []string{"write", "sync"} {
		disk := celltest.NewDisk()
		c := mustCreate(t, disk, value(1))
		mustReplace(t, c, value(2))
		disk.Before = func(operation string) error {
			if operation == broken {
				return errDisk
			}
			return nil
		}
		for range 5 {
			if err := c.Replace(value(3)); !errors.Is(err, errDisk) {
				t.Fatalf("got %v", err)
			}
		}
		disk.Before = nil
		mustHold(t, disk.Crash(func() bool { return false }), value(2))
		mustReplace(t, c, value(4))
		mustHold(t, disk.Crash(func() bool { return false }), value(4))
	}
}
