package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/crypto/chacha20"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/persistence/cell/celltest"
)

const slotBytes = 4096

// life is what a store does with a keyring, and what it may rely on meanwhile.
type life struct {
	disk   *celltest.Disk
	random io.Reader // one stream, so that keys and nonces differ
	ring   *Keyring  // nil: to be opened first
	// opens are the protectors that may open the keyring.
	opens []Protector
	// created: there is a keyring whatever happens.
	created bool
	// begun are the keys of all epochs that Begin has returned, and retired those
	// of them that Retire has ended; retiring is up to where an unfinished Retire
	// may have got.
	begun    map[uint32][secret.KeySize]byte
	retired  map[uint32][secret.KeySize]byte
	retiring uint32
}

func newLife(seed byte) *life {
	return &life{disk: celltest.NewDisk(), random: seeded(seed), retired: make(map[uint32][secret.KeySize]byte)}
}

func (l *life) options() Options {
	o := onDisk(l.disk, 0)
	o.Random = l.random
	return o
}

func (l *life) open() (err error) {
	if l.ring != nil {
		return nil
	}
	for _, p := range l.opens {
		if l.ring, err = Open(ringName, p, l.options()); !errors.Is(err, ErrWrongKey) {
			break
		}
	}
	if err != nil {
		return err
	}
	if l.begun == nil { // Create has got further than it could tell
		l.begun = keys(l.ring)
	}
	return l.check()
}

// check wants every epoch that was begun and not retired, with its key.
func (l *life) check() error {
	held := keys(l.ring)
	for id, key := range l.begun {
		got, ok := held[id]
		if ok && got != key {
			return fmt.Errorf("epoch %d has another key", id)
		}
		if _, over := l.retired[id]; over && ok {
			return fmt.Errorf("epoch %d was retired and is there", id)
		} else if !over && !ok && id >= l.retiring {
			return fmt.Errorf("epoch %d is lost", id)
		}
	}
	return nil
}

type step func(*life) error

func create(p Protector) step {
	return func(l *life) (err error) {
		l.opens = []Protector{p}
		if l.ring, err = Create(ringName, p, l.options()); errors.Is(err, fs.ErrExist) {
			return l.open() // an earlier try has got that far
		}
		if err == nil {
			l.created, l.begun = true, keys(l.ring)
		}
		return err
	}
}

func begin(l *life) error {
	if err := l.open(); err != nil {
		return err
	}
	begun, err := l.ring.Begin()
	if err != nil {
		return err
	}
	l.created = true
	if _, again := l.begun[begun.ID]; again {
		return fmt.Errorf("epoch %d has begun twice", begun.ID)
	}
	l.begun[begun.ID] = keys(l.ring)[begun.ID]
	return l.check()
}

func retireAllButCurrent(l *life) error {
	if err := l.open(); err != nil {
		return err
	}
	keep := l.ring.Current().ID
	l.retiring = max(l.retiring, keep)
	if err := l.ring.Retire(keep); err != nil {
		return err
	}
	for id, key := range l.begun {
		if id != 0 && id < keep {
			l.retired[id] = key
		}
	}
	if err := findsNone(l.disk.Content(ringName), l.opens, l.retired); err != nil {
		return err
	}
	return l.check()
}

func change(p Protector) step {
	return func(l *life) error {
		if err := l.open(); err != nil {
			return err
		}
		l.opens = append(l.opens, p)
		if err := l.ring.SetProtector(p); err != nil {
			return err
		}
		before := slices.DeleteFunc(l.opens, func(other Protector) bool { return other == p })
		l.opens = []Protector{p}
		return findsNone(l.disk.Content(ringName), before, l.begun)
	}
}

// restart forgets what the process knows, as one that was killed does.
func restart(l *life) error {
	l.ring = nil
	return nil
}

// findsNone opens what is in each slot, whole or torn, with all protectors, and
// looks for keys that have to be gone.
func findsNone(content []byte, with []Protector, gone map[uint32][secret.KeySize]byte) error {
	for slot := 0; slot+slotBytes <= len(content); slot += slotBytes {
		value := content[slot+24 : slot+slotBytes]
		h, err := decodeHeader(value)
		if err != nil {
			continue
		}
		for _, p := range with {
			key, err := p.unlock(h)
			if err != nil {
				return err
			}
			stream, err := chacha20.NewUnauthenticatedCipher(key.Bytes(), value[headerBytes:headerBytes+nonceBytes])
			if err != nil {
				return err
			}
			stream.SetCounter(1)
			text := make([]byte, len(value)-headerBytes-nonceBytes)
			stream.XORKeyStream(text, value[headerBytes+nonceBytes:])
			for id, key := range gone {
				if bytes.Contains(text, key[:8]) {
					return fmt.Errorf("the key of epoch %d can be had from slot %d", id, slot/slotBytes)
				}
			}
		}
	}
	return nil
}

// newScenario gives the steps of a life, with enough epochs for two sectors. It
// may be lived again and again: the key files stay.
func newScenario(tb testing.TB) []step {
	steps := []step{create(newKeyFile(tb))}
	for range 12 {
		steps = append(steps, begin)
	}
	return append(steps,
		retireAllButCurrent, retireAllButCurrent, begin, restart, begin, retireAllButCurrent,
		change(newKeyFile(tb)), begin, restart, change(newKeyFile(tb)), begin, retireAllButCurrent)
}

// survives wants of a disk after a crash what was promised, and that the next
// store that opens it completes what was interrupted.
func (l life) survives(left *celltest.Disk) error {
	l.disk, l.ring, l.begun, l.retired = left, nil, maps.Clone(l.begun), maps.Clone(l.retired)
	if !l.created {
		if err := create(l.opens[0])(&l); err != nil {
			return fmt.Errorf("create again: %w", err)
		}
		l.begun = keys(l.ring)
		l.ring = nil
	}
	for _, do := range []step{begin, restart, begin} {
		if err := do(&l); err != nil {
			return err
		}
	}
	gone := maps.Clone(l.begun)
	for id := range keys(l.ring) {
		delete(gone, id)
	}
	if err := findsNone(left.Content(ringName), l.opens, gone); err != nil {
		return err
	}
	return retireAllButCurrent(&l)
}

var chances = []int{0, 50, 100}

// T02 and T45 for keyrings: a crash before any file operation leaves the old keys
// or the new ones; the next store that is opened finds every key that was not
// retired, and leaves no byte to get a retired one from.
func TestCrashAtEveryOperationLeavesTheOldOrTheNewKeys(t *testing.T) {
	scenario := newScenario(t)
	for seed := range uint64(3) {
		random := rand.New(rand.NewPCG(seed, 1))
		l := newLife(byte(seed))
		crashes := 0
		l.disk.Before = func(operation string) error {
			for _, percent := range chances {
				if len(l.opens) == 0 {
					continue
				}
				crashes++
				left := l.disk.Crash(func() bool { return random.IntN(100) < percent })
				if err := l.survives(left); err != nil {
					t.Fatalf("crash %d, before a %s with %d %% of the unsynced: %v\n"+
						"seed %d: go test -run TestCrashAtEveryOperation ./persistence/keyring", crashes, operation, percent, err, seed)
				}
			}
			return nil
		}
		for i, do := range scenario {
			if err := do(l); err != nil {
				t.Fatalf("step %d: %v", i, err)
			}
		}
		if crashes < 3*100 {
			t.Fatalf("only %d crashes", crashes)
		}
	}
}

// T03 for keyrings: an operation that fails gives its error and changes nothing
// that the caller sees; the step can be done again, in the same process or after
// a restart.
func TestAnErrorAtEveryOperation(t *testing.T) {
	broken := errors.New("broken disk")
	scenario := newScenario(t)
	for _, again := range []string{"in the same process", "after a restart"} {
		for failing := 0; ; failing++ {
			random := rand.New(rand.NewPCG(uint64(failing), 2))
			l := newLife(byte(failing))
			operations, failures := 0, 0
			l.disk.Before = func(string) error {
				if operations++; operations == failing+1 {
					return broken
				}
				return nil
			}
			for i, do := range scenario {
				held := l.ring
				before := []Epoch{}
				if held != nil {
					before = held.Epochs()
				}
				err := do(l)
				if errors.Is(err, broken) {
					failures++
					if held != nil && fmt.Sprint(held.Epochs()) != fmt.Sprint(before) {
						t.Fatalf("operation %d has failed, and so has step %d, but the epochs are %v after %v", failing, i, held.Epochs(), before)
					}
					if again == "after a restart" {
						l.ring = nil
					}
					err = do(l)
				}
				if err != nil {
					t.Fatalf("operation %d has failed, %s, step %d: %v", failing, again, i, err)
				}
				percent := chances[(failing+i)%len(chances)]
				if err := l.survives(l.disk.Crash(func() bool { return random.IntN(100) < percent })); err != nil {
					t.Fatalf("operation %d has failed, %s, a crash after step %d with %d %% of the unsynced: %v", failing, again, i, percent, err)
				}
			}
			if operations <= failing {
				if failing < 100 {
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
