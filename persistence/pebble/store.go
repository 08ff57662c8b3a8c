package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
)

type Options struct {
	FS     vfs.FS
	Logger *slog.Logger
}
type Store struct {
	db *pebble.DB
	mu sync.Mutex
	ep map[persistence.OwnerID]uint64
}

func Open(dir string, o Options) (*Store, error) {
	db, err := pebble.Open(dir, &pebble.Options{FS: o.FS, FormatMajorVersion: pebble.FormatNewest})
	if err != nil {
		return nil, err
	}
	return &Store{db: db, ep: map[persistence.OwnerID]uint64{}}, nil
}
func (s *Store) Get(ctx context.Context, n persistence.Name) ([]byte, error) {
	v, c, err := s.db.Get([]byte(n))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, persistence.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return bytes.Clone(v), nil
}
func (s *Store) Scan(ctx context.Context, p persistence.Name, fn func(persistence.Name, []byte) error) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte(p)})
	if err != nil {
		return err
	}
	defer it.Close()
	for it.First(); it.Valid() && bytes.HasPrefix(it.Key(), []byte(p)); it.Next() {
		if err := fn(persistence.Name(it.Key()), it.Value()); err != nil {
			return err
		}
	}
	return nil
}
func (s *Store) Apply(ctx context.Context, b persistence.Batch) error {
	w := s.db.NewBatch()
	for _, r := range b.Records {
		if r.Delete {
			w.Delete([]byte(r.Name), nil)
		} else {
			w.Set([]byte(r.Name), r.Value, nil)
		}
	}
	return w.Commit(pebble.Sync)
}
func (s *Store) Own(ctx context.Context, o persistence.OwnerID) (uint64, error) {
	n := []byte(persistence.FenceName(o))
	v, c, err := s.db.Get(n)
	e := uint64(1)
	if err == nil {
		e = binary.BigEndian.Uint64(v) + 1
		c.Close()
	}
	return e, s.db.Set(n, binary.BigEndian.AppendUint64(nil, e), pebble.Sync)
}
func (s *Store) Close() error { return s.db.Close() }
