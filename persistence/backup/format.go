package backup

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/rookery-im/rookery/persistence"
)

// The content of the age file, numbers big-endian:
//
//	magic          14 bytes
//	format         2 bytes, of the stream
//	store format   2 bytes, of names and values: persistence.Format
//	records        each: 1 (1 byte), length of the name (2), length of the value
//	               (4), name, value; names ascend
//	trailer        2 (1 byte), number of records (8), SHA-256 of everything
//	               before this sum (32)
//
// and nothing behind it.
const (
	magic  = "rookery backup"
	format = 1

	recordMark  = 1
	trailerMark = 2

	// maxValue bounds what is allocated for one value: no record comes near it.
	maxValue = 64 << 20
)

// encoder writes the content and sums it up.
type encoder struct {
	to    io.Writer
	sum   hash.Hash
	frame []byte
}

func newEncoder(to io.Writer) *encoder { return &encoder{to: to, sum: sha256.New()} }

func (e *encoder) write(p []byte) error {
	e.sum.Write(p)
	_, err := e.to.Write(p)
	return err
}

func (e *encoder) header() error {
	head := binary.BigEndian.AppendUint16([]byte(magic), format)
	return e.write(binary.BigEndian.AppendUint16(head, persistence.Format))
}

func (e *encoder) record(name persistence.Name, value []byte) error {
	if len(name) > int(^uint16(0)) || len(value) > maxValue {
		return fmt.Errorf("backup: record %s: a name of %d bytes with a value of %d", name, len(name), len(value))
	}
	e.frame = append(e.frame[:0], recordMark)
	e.frame = binary.BigEndian.AppendUint16(e.frame, uint16(len(name)))  //nolint:gosec // checked above
	e.frame = binary.BigEndian.AppendUint32(e.frame, uint32(len(value))) //nolint:gosec // checked above
	e.frame = append(append(e.frame, name...), value...)
	return e.write(e.frame)
}

func (e *encoder) trailer(records uint64) error {
	if err := e.write(binary.BigEndian.AppendUint64([]byte{trailerMark}, records)); err != nil {
		return err
	}
	_, err := e.to.Write(e.sum.Sum(nil))
	return err
}

// decoder reads what an encoder wrote. Its errors are ErrNotBackup, ErrDamaged,
// ErrTruncated, persistence.ErrNewerFormat, and those of the reader.
type decoder struct {
	from io.Reader
	sum  hash.Hash
	last persistence.Name
	read uint64
}

func newDecoder(from io.Reader) *decoder { return &decoder{from: from, sum: sha256.New()} }

// fill reads exactly len(p) bytes.
func (d *decoder) fill(p []byte) error {
	if _, err := io.ReadFull(d.from, p); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errShort
		}
		return err
	}
	return nil
}

// errShort: the age file is whole, but not what it holds.
var errShort = fmt.Errorf("%w, and was encrypted like that", ErrTruncated)

// take reads the next n bytes and counts them into the sum.
func (d *decoder) take(n int) ([]byte, error) {
	p := make([]byte, n)
	if err := d.fill(p); err != nil {
		return nil, err
	}
	d.sum.Write(p)
	return p, nil
}

func (d *decoder) header() error {
	head, err := d.take(len(magic) + 4)
	switch {
	case errors.Is(err, errShort), err == nil && string(head[:len(magic)]) != magic:
		return ErrNotBackup
	case err != nil:
		return err
	}
	if err := checkFormat("format", binary.BigEndian.Uint16(head[len(magic):]), format); err != nil {
		return err
	}
	return checkFormat("store format", binary.BigEndian.Uint16(head[len(magic)+2:]), persistence.Format)
}

// checkFormat takes all formats up to the known one.
func checkFormat(what string, has, known uint16) error {
	switch {
	case has < 1:
		return fmt.Errorf("%w: %s %d", ErrDamaged, what, has)
	case has > known:
		return fmt.Errorf("%w: %s %d, this one knows up to %d", persistence.ErrNewerFormat, what, has, known)
	}
	return nil
}

// next gives the next record, or io.EOF when the trailer has confirmed them all
// and nothing follows.
func (d *decoder) next() (persistence.Record, error) {
	mark, err := d.take(1)
	if err != nil {
		return persistence.Record{}, err
	}
	switch mark[0] {
	case recordMark:
		return d.record()
	case trailerMark:
		return persistence.Record{}, d.trailer()
	}
	return persistence.Record{}, fmt.Errorf("%w: unknown frame", ErrDamaged)
}

func (d *decoder) record() (persistence.Record, error) {
	lengths, err := d.take(6)
	if err != nil {
		return persistence.Record{}, err
	}
	size := binary.BigEndian.Uint32(lengths[2:])
	if size > maxValue {
		return persistence.Record{}, fmt.Errorf("%w: value of %d bytes", ErrDamaged, size)
	}
	name, err := d.take(int(binary.BigEndian.Uint16(lengths)))
	if err != nil {
		return persistence.Record{}, err
	}
	value, err := d.take(int(size))
	if err != nil {
		return persistence.Record{}, err
	}
	r := persistence.Record{Name: persistence.Name(name), Value: value}
	// Batch.Check refuses what belongs to the store, and names that are none.
	if err := (persistence.Batch{Records: []persistence.Record{r}}).Check(); err != nil {
		return persistence.Record{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if r.Name <= d.last {
		return persistence.Record{}, fmt.Errorf("%w: record %s out of order", ErrDamaged, r.Name)
	}
	d.last = r.Name
	d.read++
	return r, nil
}

func (d *decoder) trailer() error {
	count, err := d.take(8)
	if err != nil {
		return err
	}
	want := d.sum.Sum(nil)
	var has [sha256.Size]byte
	if err := d.fill(has[:]); err != nil {
		return err
	}
	if has := binary.BigEndian.Uint64(count); has != d.read {
		return fmt.Errorf("%w: %d records of %d", ErrDamaged, d.read, has)
	}
	if string(has[:]) != string(want) {
		return fmt.Errorf("%w: wrong sum", ErrDamaged)
	}
	// Only the end of the file authenticates its last chunk.
	switch n, err := d.from.Read(make([]byte, 1)); {
	case n > 0:
		return fmt.Errorf("%w: data behind its end", ErrDamaged)
	case err == nil:
		return io.ErrNoProgress
	default:
		return err // io.EOF
	}
}
