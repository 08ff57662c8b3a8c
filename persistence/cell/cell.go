package cell

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/rookery-im/rookery/persistence"
)

// ErrTooLong: the value has more than MaxValue bytes.
var ErrTooLong = errors.New("value is too long for a cell")

// Cell is an open cell. One goroutine at a time may use it, and one process at
// a time may write: whoever has opened it looks at slots that the other moves.
type Cell struct {
	name string
	fs   FS
	file File
	// current is the slot (0 or 1) of the newest value, and what is in it.
	current    int
	generation uint64
	// settled: the newest value is on disk for sure, and so is the name of the
	// file. What was only read may still be in a cache, left there by a process
	// that was killed before it could sync.
	settled bool
	// clean: the other slot is zeros on disk.
	clean bool
	slot  [slotBytes]byte // of the newest value until settled, then what is written
}

// Create makes a cell: the file is whole, durable and has its name, or is not
// there. fs.ErrExist when there is one, ErrTooLong for a value that does not fit.
// Two processes must not create the same cell at the same time. After another
// error the cell may be there; Open tells.
func Create(on FS, name string, value []byte) (*Cell, error) {
	c := &Cell{name: name, fs: on, generation: 1, settled: true, clean: true}
	if err := c.create(value); err != nil {
		return nil, c.failed("create", err)
	}
	return c, nil
}

func (c *Cell) create(value []byte) error {
	if len(value) > MaxValue {
		return ErrTooLong
	}
	switch taken, err := c.fs.Open(c.name); {
	case err == nil:
		return errors.Join(fs.ErrExist, taken.Close())
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	// Under a name of its own until it is whole. One that is there was left by a
	// crash in here and is written over.
	growing := c.name + ".new"
	made, err := c.fs.Create(growing)
	if errors.Is(err, fs.ErrExist) {
		made, err = c.fs.Open(growing)
	}
	if err != nil {
		return err
	}
	whole := make([]byte, fileBytes)
	encodeSlot(whole[:slotBytes], c.generation, value)
	_, err = made.WriteAt(whole, 0)
	if err == nil {
		err = made.Sync()
	}
	// Not every system renames an open file.
	if err := errors.Join(err, made.Close()); err != nil {
		return err
	}
	if err := c.fs.Rename(growing, c.name); err != nil {
		return err
	}
	if err := c.syncName(); err != nil {
		return err
	}
	c.file, err = c.fs.Open(c.name)
	return err
}

// Open opens a cell and gives its newest value, which the caller owns; it only
// reads. fs.ErrNotExist when there is none, persistence.ErrCorrupt when neither
// slot is intact, persistence.ErrNewerFormat, persistence.ErrPermission when
// others may read the file.
func Open(on FS, name string) (*Cell, []byte, error) {
	c := &Cell{name: name, fs: on}
	file, err := on.Open(name)
	if err != nil {
		return nil, nil, c.failed("open", err)
	}
	c.file = file
	value, err := c.read()
	if err != nil {
		return nil, nil, errors.Join(c.failed("open", err), file.Close())
	}
	return c, value, nil
}

func (c *Cell) read() (value []byte, err error) {
	var slots [2][slotBytes]byte
	var newest uint64
	for i := range slots {
		slot := slots[i][:]
		if _, err := c.file.ReadAt(slot, offset(i)); errors.Is(err, io.EOF) {
			clear(slot) // a file that was cut has lost this one
		} else if err != nil {
			return nil, err
		}
		generation, found, err := decodeSlot(slot)
		if err != nil {
			return nil, err
		}
		if generation > newest {
			newest, value = generation, found
			c.current, c.generation = i, generation
		}
	}
	if newest == 0 {
		return nil, fmt.Errorf("%w: no slot is intact", persistence.ErrCorrupt)
	}
	c.slot = slots[c.current]
	return slices.Clone(value), nil
}

// Replace puts a value in the place of the one before, durably when it returns
// nil. After an error the file has the one or the other, and the next Replace
// begins again without touching the slot that is known to be good. ErrTooLong
// for a value that does not fit.
func (c *Cell) Replace(value []byte) error {
	if len(value) > MaxValue {
		return c.failed("replace", ErrTooLong)
	}
	if err := c.settle(); err != nil {
		return c.failed("replace", err)
	}
	c.clean = false
	encodeSlot(c.slot[:], c.generation+1, value)
	if err := c.write(1 - c.current); err != nil {
		return c.failed("replace", err)
	}
	c.current, c.generation = 1-c.current, c.generation+1
	return nil
}

// Destroy overwrites the slot of the older value with zeros: when it returns nil
// no byte of any older value is in the file. It writes nothing when that is known.
func (c *Cell) Destroy() error {
	if c.clean {
		return nil
	}
	if err := c.settle(); err != nil {
		return c.failed("destroy", err)
	}
	clear(c.slot[:])
	if err := c.write(1 - c.current); err != nil {
		return c.failed("destroy", err)
	}
	c.clean = true
	return nil
}

func (c *Cell) syncName() error { return c.fs.SyncDir(filepath.Dir(c.name)) }

// settle makes sure of the newest value before the other slot is touched. It is
// written again and not only synced: after a sync that failed the operating
// system may take the cached data for clean.
func (c *Cell) settle() error {
	if c.settled {
		return nil
	}
	if err := c.write(c.current); err != nil {
		return err
	}
	if err := c.syncName(); err != nil {
		return err
	}
	c.settled = true
	return nil
}

func (c *Cell) write(slot int) error {
	if _, err := c.file.WriteAt(c.slot[:], offset(slot)); err != nil {
		return err
	}
	return c.file.Sync()
}

// Close closes the file.
func (c *Cell) Close() error {
	clear(c.slot[:])
	if err := c.file.Close(); err != nil {
		return c.failed("close", err)
	}
	return nil
}

func (c *Cell) failed(doing string, err error) error {
	return fmt.Errorf("%s cell %s: %w", doing, c.name, err)
}

func offset(slot int) int64 { return int64(slot) * slotBytes }
