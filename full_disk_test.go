package rookery_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/sealing"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/transport"
)

// unwritable are the ways in which a disk takes no writes for a while.
var unwritable = map[string]struct {
	cause syscall.Errno
	kind  error
}{
	"full":      {syscall.ENOSPC, cause.ErrStoreFull},
	"read-only": {syscall.EROFS, persistence.ErrReadOnly},
}

// fullDisk is a disk in memory that takes no writes while it is full.
type fullDisk struct {
	vfs.FS
	full atomic.Bool
}

func newFullDisk(cause syscall.Errno) *fullDisk {
	d := new(fullDisk)
	d.FS = errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && d.full.Load() {
			return fmt.Errorf("operation %d on %s: %w", op.Kind, op.Path, cause)
		}
		return nil
	}))
	return d
}

// records opens the store of records on the disk.
func (d *fullDisk) records(dir string) (persistence.Store, error) {
	return pebble.Open(dir, pebble.Options{FS: d, Headroom: 4 << 10, ProbeEvery: time.Millisecond})
}

// TestFullDiskRefusesUntilThereIsSpace is T04 for the engine: while the disk is
// full nothing is sent and nothing received, and both are told so; what is
// received stays with the network and moves no ratchet. With space all goes on
// by itself, and no message key is used twice. A batch that was refused may be
// there all the same: then its message comes again as one that is known.
func TestFullDiskRefusesUntilThereIsSpace(t *testing.T) {
	for name, open := range map[string]func(*testing.T, *fullDisk) (persistence.Store, error){
		"records": func(_ *testing.T, disk *fullDisk) (persistence.Store, error) { return disk.records("store") },
		"sealed records": func(t *testing.T, disk *fullDisk) (persistence.Store, error) {
			return sealing.Open(t.Context(), sealing.Options{
				Dir: "store", Files: pebble.Files(disk), Records: disk.records, Bound: -1,
				Protector: keyring.KeyFile(filepath.Join(t.TempDir(), "key")),
			})
		},
	} {
		for how, full := range unwritable {
			t.Run(name+", "+how, func(t *testing.T) { refuseUntilThereIsSpace(t, open, full.cause, full.kind) })
		}
	}
}

func refuseUntilThereIsSpace(t *testing.T, open func(*testing.T, *fullDisk) (persistence.Store, error), why syscall.Errno, kind error) {
	disk := newFullDisk(why)
	store, err := open(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, on(store))
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.send(alice, bob.key, "before")
	w.send(bob, alice.key, "before, too")
	w.awaitMessages(1, bob)
	w.awaitMessages(1, alice)
	w.air.setRule(func(transport.Envelope) verdict { return hold })
	w.send(alice, bob.key, "held")
	settle(t, store)
	w.flush(alice)

	for round := range 3 {
		disk.full.Store(true)
		refused := w.air.Counts().Refused
		wantFull := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, kind) || !errors.Is(err, why) {
				t.Errorf("round %d: %s: %v, want %v", round, what, err, kind)
			}
		}
		published := len(w.air.history())
		for range 3 {
			_, err := w.at(alice).Send(w.context(), bob.key, []byte("never"))
			wantFull("send", err)
			if !errors.Is(err, cause.ErrNotDurable) {
				t.Errorf("send: %v, want ErrNotDurable too", err)
			}
		}
		w.air.release()
		w.air.Redeliver()
		eventually(t, "refusal", func() bool { return w.air.Counts().Refused > refused })
		if n := len(w.air.history()); n != published {
			t.Errorf("round %d: %d envelopes were published", round, n-published)
		}
		if n := len(messages(w.bag.all(), bob)); n != 1+round {
			t.Errorf("round %d: %d messages were reported", round, n)
		}

		disk.full.Store(false)
		eventually(t, "receiving again", func() bool {
			w.air.Redeliver()
			w.sweep() // what is there after all is found
			return len(messages(w.bag.all(), bob)) == 2+round
		})
		eventually(t, "sending again", func() bool {
			_, err := w.at(alice).Send(w.context(), bob.key, fmt.Appendf(nil, "held in round %d", round))
			if err != nil {
				wantFull("send with space", err)
			}
			return err == nil
		})
		settle(t, store) // else what is on its way to the disk is seen to change
		w.flush(alice)   // or is lost again
	}
	w.air.setRule(nil)
	w.air.release()
	w.sweepUntil("all", func() bool { return len(messages(w.bag.all(), bob)) == 5 }) // before, held, and one for each round
	w.send(bob, alice.key, "after")
	w.awaitMessages(2, alice)
	again := 0 // after a batch that was there, once for each round at most
	for _, r := range refusals(w.bag.all()) {
		if again++; again > 3 || !errors.Is(r.Err, ratchet.ErrMessageKeyGone) {
			t.Errorf("refused for good: %v", r.Err)
		}
	}
}

// T04: an identity that has not been awake yet, and one that is to be made, are
// told as well, and go on when there is space.
func TestFullDiskRefusesIdentitiesThatAreAsleep(t *testing.T) {
	for name, full := range unwritable {
		t.Run(name, func(t *testing.T) { refuseAsleep(t, full.cause, full.kind) })
	}
}

func refuseAsleep(t *testing.T, why syscall.Errno, kind error) {
	disk := newFullDisk(why)
	store, err := disk.records("store")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, on(lasting{store}))
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.reopen() // both are asleep
	disk.full.Store(true)
	if _, err := w.at(alice).Send(w.context(), bob.key, []byte("never")); !errors.Is(err, kind) || !errors.Is(err, cause.ErrNotDurable) {
		t.Errorf("send: %v", err)
	}
	if _, err := w.engine.CreateIdentity(w.context(), rookery.NewIdentity{}); !errors.Is(err, kind) {
		t.Errorf("create: %v", err)
	}
	w.sweep() // nobody minds
	disk.full.Store(false)
	eventually(t, "sending", func() bool {
		_, err := w.at(alice).Send(w.context(), bob.key, []byte("there is space"))
		return err == nil
	})
	w.awaitMessages(1, bob)
	if n := len(w.engine.Identities()); n != 2 {
		t.Errorf("%d identities", n)
	}
	w.close()
	w.open()
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}
