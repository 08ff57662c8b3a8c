package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/internal/installation"
	"github.com/rookery-im/rookery/persistence"
)

// switchOn starts a device from its disk.
func (w *world) switchOn(d *device) {
	d.disk.off, d.faulty = false, d.disk.next != noFault
	d.opening = true
	running, err := installation.Open(ctx, d.config(), d.clock())
	d.opening = false
	w.logf("%v starts%s", d, because(err))
	d.opening = true // what it has reported belongs to the start
	w.look(d, nil)
	d.opening = false
	if err == nil {
		d.running = running
	} else if !d.faulty {
		w.violation("%v did not start: %v", d, err)
	}
	w.settle(d)
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprintf(": %v", err)
}

// switchOff ends a device without warning; its memory is gone.
func (w *world) switchOff(d *device) {
	d.running, d.disk.off = nil, false
	w.logf("%v crashes", d)
}

// settle notes that the power has gone during the last step.
func (w *world) settle(d *device) {
	if d.disk.off {
		w.look(d, nil)
		w.switchOff(d)
	}
}

// breakDisk makes the next write of a device fail.
func (w *world) breakDisk(d *device, f fault) {
	d.disk.next, d.faulty = f, true
	w.logf("the next write of %v: %v", d, f)
}

// retire takes a device out of the world.
func (w *world) retire(d *device) {
	d.retired, d.running = true, nil
	w.net.purge(d)
	w.logf("%v is gone", d)
}

// recover replaces a device by a new installation of the same identity: its
// state was lost, or is too old to go on with (54, Account recovery).
func (w *world) recover(d *device) {
	w.retire(d)
	made := w.addDevice(d.person)
	made.follows = d.follows
	w.logf("%v takes its place", made)
	w.report.Recoveries++
	w.switchOn(made)
}

// backUp notes the disk as it is.
func (w *world) backUp(d *device) {
	d.saved = d.disk.copy()
	w.logf("%v is backed up", d)
}

// restore puts a backup back under a device that notices: a rolled-back store is
// that of a new installation.
func (w *world) restore(d *device) {
	w.logf("%v is restored and notices", d)
	w.recover(d)
}

// rollBack puts a backup back under a device that does not notice.
func (w *world) rollBack(d *device) {
	w.taint(d)
	d.disk, d.running = d.saved.copy(), nil
	clear(d.disabled)
	d.watchDisk()
	w.logf("%v goes on from its backup", d)
	w.switchOn(d)
}

// twin makes a second copy of a device that does not know of the first.
func (w *world) twin(d *device) {
	w.taint(d)
	made := w.addDevice(d.person)
	made.id, made.disk, made.follows = d.id, d.disk.copy(), d.follows
	made.watchDisk()
	made.tainted, made.jumped, made.first, made.last = true, d.jumped, d.first, d.last
	made.offset = d.offset
	for m, s := range d.seen {
		made.seen[m] = &sighting{id: s.id}
	}
	w.logf("%v is a copy of %v", made, d)
	w.switchOn(made)
}

func (w *world) taint(d *device) {
	d.tainted = true
	for m := range d.seen {
		d.seen[m].acked = false // it may be reported again
	}
}

// setClock makes the clock of a device wrong by an offset, or stand still.
func (w *world) setClock(d *device, offset time.Duration, stuck int64) {
	d.offset, d.stuck, d.jumped = int64(offset), stuck, true
	w.logf("the clock of %v is wrong by %v", d, time.Duration(d.clock()-w.now).Round(time.Second))
}

// mendClock puts it right.
func (w *world) mendClock(d *device) {
	d.offset, d.stuck = 0, 0
	d.clock()
	w.logf("the clock of %v is right", d)
}

// pass lets time go by for everybody.
func (w *world) pass(t time.Duration) {
	w.now += int64(t)
}

// sweep does what a device does every now and then.
func (w *world) sweep(d *device) {
	_, err := d.running.Bundle(ctx, d.clock())
	if err == nil {
		err = d.running.Sweep(ctx, d.clock())
	}
	w.look(d, nil)
	w.logf("%v sweeps%s", d, because(err))
	if err != nil && !w.excusedSweep(d, err) {
		w.violation("sweep of %v: %v", d, err)
	}
	w.settle(d)
}

// acknowledge deals with a reported message.
func (w *world) acknowledge(d *device, n int) {
	m := d.unacked[n]
	d.unacked = slices.Delete(slices.Clone(d.unacked), n, n+1)
	err := d.running.Ack(ctx, m)
	if sent := w.judge.byPayload[string(m.Payload)]; err == nil && sent != nil && d.seen[sent] != nil {
		d.seen[sent].acked = true
	}
	w.settle(d)
}

// preKeys reads the signed prekeys of a device from its disk.
func (d *device) preKeys() bundleactor.PreKeys {
	owner := persistence.NewOwnerID(d.person.public[:], d.id)
	state, err := bundleactor.Load(ctx, d.disk.Store, owner)
	if err != nil {
		panic(err)
	}
	return state.Keys
}

// waiting tells whether a message stands in the inbox that was not reported
// yet, since its commit had failed and was there all the same.
func (d *device) waiting(m *message) bool {
	found := false
	d.disk.each(func(name persistence.Name, value []byte) {
		if name.Kind() == persistence.KindInbox {
			r, err := deviceactor.DecodeReceived(value)
			found = found || err == nil && string(r.Payload) == string(m.payload)
		}
	})
	return found
}
