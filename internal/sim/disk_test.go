package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
)

var (
	errDiskFault = errors.New("simulated disk fault")
	errPowerOff  = errors.New("simulated power failure")
)

// fault is what happens at the next write.
type fault uint8

const (
	noFault         fault = iota
	failUnwritten         // an error, and nothing is there
	failWritten           // an error, though everything is there
	crashUnwritten        // the power goes before the write
	crashWritten          // the power goes after the write, before anything else
	crashUnreported       // the same, but the process never learns that it was written
)

var faultNames = [...]string{"none", "fails", "fails but is written", "power off before it", "power off after it", "power off while it is written"}

func (f fault) String() string { return faultNames[f] }

// disk is the store of one installation. Its records survive crashes.
type disk struct {
	*memory.Store
	next fault
	off  bool // the process that uses it has no power any more
	// writes counts the records written, those of our own prekeys and bundle
	// left out: an answer to a refused message may need a new prekey.
	writes int
	// applying sees each batch, and whether it was written.
	applying func(batch persistence.Batch, written bool)
}

func newDisk() *disk { return &disk{Store: memory.New()} }

// copy gives a disk with the same records, as a backup has them.
func (d *disk) copy() *disk {
	var batch persistence.Batch
	d.each(func(name persistence.Name, value []byte) {
		if name.Kind() != persistence.KindFence { // a store makes its own
			batch.Records = append(batch.Records, persistence.Record{Name: name, Value: append([]byte{}, value...)})
		}
	})
	made := newDisk()
	if err := made.Store.Apply(context.Background(), batch); err != nil {
		panic(err)
	}
	return made
}

func (d *disk) each(visit func(persistence.Name, []byte)) {
	err := d.Store.Scan(context.Background(), "", func(name persistence.Name, value []byte) error {
		visit(name, value)
		return nil
	})
	if err != nil {
		panic(err)
	}
}

// hash is one of all records but those that an answer may need.
func (d *disk) hash() [sha256.Size]byte {
	h := sha256.New()
	d.each(func(name persistence.Name, value []byte) {
		if name.Kind() != persistence.KindPrekey && name.Kind() != persistence.KindPublication {
			h.Write(fmt.Appendf(nil, "%d %s %d ", len(name), string(name), len(value)))
			h.Write(value)
		}
	})
	return [sha256.Size]byte(h.Sum(nil))
}

// mark tells a state of the disk from others: always by the number of records
// written, and when it is hashed by what they are.
type mark struct {
	writes int
	hashed bool
	hash   [sha256.Size]byte
}

func (d *disk) mark(hashed bool) mark {
	m := mark{writes: d.writes, hashed: hashed}
	if hashed {
		m.hash = d.hash()
	}
	return m
}

// Apply implements persistence.Store.
func (d *disk) Apply(ctx context.Context, batch persistence.Batch) error {
	if d.off {
		return errPowerOff
	}
	f := d.next
	d.next = noFault
	switch f {
	case failUnwritten:
		d.applying(batch, false)
		return errDiskFault
	case crashUnwritten:
		d.off = true
		d.applying(batch, false)
		return errPowerOff
	case noFault, failWritten, crashWritten, crashUnreported:
	}
	if err := d.Store.Apply(ctx, batch); err != nil {
		return err
	}
	for _, r := range batch.Records {
		if r.Name.Kind() != persistence.KindPrekey && r.Name.Kind() != persistence.KindPublication {
			d.writes++
		}
	}
	d.applying(batch, true)
	switch f {
	case failWritten:
		return errDiskFault
	case crashWritten:
		d.off = true
	case crashUnreported:
		d.off = true
		return errPowerOff
	case noFault, failUnwritten, crashUnwritten:
	}
	return nil
}

// Get implements persistence.Store.
func (d *disk) Get(ctx context.Context, name persistence.Name) ([]byte, error) {
	if d.off {
		return nil, errPowerOff
	}
	return d.Store.Get(ctx, name)
}

// Scan implements persistence.Store.
func (d *disk) Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error {
	if d.off {
		return errPowerOff
	}
	return d.Store.Scan(ctx, prefix, fn)
}
