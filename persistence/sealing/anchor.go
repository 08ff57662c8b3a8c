package sealing

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/cell"
)

// anchor is the memory outside the records of how far the store has come: a cell
// with the point of the last batch that was told durable.
//
//	offset  bytes
//	     0      4  format, 1
//	     4     16  store id
//	    20     16  run
//	    36      8  counter
//	    44     32  HMAC-SHA256 of the 44 bytes before, under the keyring's anchor key
//
// Later formats keep the first four bytes where they are.
type anchor struct {
	files cell.FS
	path  string
	store [16]byte
	key   secret.Key
	cell  *cell.Cell // nil until there is one that can be used
	taken bool       // there is a file in its place that cannot be used
}

const (
	anchorFormat = 1
	anchorBytes  = 76
	anchorSumAt  = 44
)

func (a *anchor) encode(p point) []byte {
	value := make([]byte, 0, anchorBytes)
	value = binary.BigEndian.AppendUint32(value, anchorFormat)
	value = append(value, a.store[:]...)
	value = append(value, p.run[:]...)
	value = binary.BigEndian.AppendUint64(value, p.counter)
	return append(value, a.sum(value)...)
}

func (a *anchor) sum(value []byte) []byte {
	mac := hmac.New(sha256.New, a.key.Bytes())
	_, _ = mac.Write(value) // never fails
	return mac.Sum(nil)
}

// decode tells false for what this store has not written.
func (a *anchor) decode(value []byte) (point, bool) {
	var p point
	if len(value) != anchorBytes || !hmac.Equal(a.sum(value[:anchorSumAt]), value[anchorSumAt:]) || [16]byte(value[4:]) != a.store {
		return p, false
	}
	p.run = [runBytes]byte(value[20:])
	p.counter = binary.BigEndian.Uint64(value[36:])
	return p, true
}

// load reads the anchor. Where there is none that can be believed it gives the
// reason instead of a point; that is no error.
func (a *anchor) load() (p point, reason string, err error) {
	opened, value, err := cell.Open(a.files, a.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p, reasonNoAnchor, nil
	case errors.Is(err, persistence.ErrCorrupt):
		a.taken = true
		return p, reasonBadAnchor, nil
	case err != nil:
		return p, "", err
	}
	if len(value) >= 4 {
		if format := binary.BigEndian.Uint32(value); format > anchorFormat {
			err := fmt.Errorf("%w: anchor format %d, this one knows up to %d", persistence.ErrNewerFormat, format, anchorFormat)
			return p, "", errors.Join(err, opened.Close())
		}
	}
	a.cell = opened
	p, ours := a.decode(value)
	if !ours {
		return p, reasonForeignAnchor, nil
	}
	return p, "", nil
}

// move makes p the anchor's point, durably when it returns nil.
func (a *anchor) move(p point) error {
	if a.cell == nil {
		return a.make(p)
	}
	return a.cell.Replace(a.encode(p))
}

// make makes the anchor. In the place of a file that cannot be used it puts a
// new one, made beside it.
func (a *anchor) make(p point) (err error) {
	if !a.taken {
		a.cell, err = cell.Create(a.files, a.path, a.encode(p))
		return err
	}
	beside := a.path + ".again"
	made, err := cell.Create(a.files, beside, a.encode(p))
	if err == nil {
		err = made.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrExist) { // one that a crash has left is as good
		return err
	}
	if err := a.files.Rename(beside, a.path); err != nil {
		return err
	}
	if err := a.files.SyncDir(filepath.Dir(a.path)); err != nil {
		return err
	}
	opened, _, err := cell.Open(a.files, a.path)
	if err != nil {
		return err
	}
	a.cell, a.taken = opened, false
	return a.cell.Replace(a.encode(p))
}

func (a *anchor) close() error {
	a.key.Wipe()
	if a.cell == nil {
		return nil
	}
	return a.cell.Close()
}
