package main

import (
	"context"
	"encoding/hex"
	"log/slog"
	"path/filepath"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/cell"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/sealing"
)

const (
	cacheBytes    = 1 << 20
	memTableBytes = 128 << 10 // small, so that tables are written and compacted in short lives
)

// openStore opens the sealed store of a side, with its hooks.
func (c *child) openStore(ctx context.Context, dir string, s side, logger *slog.Logger) (*hookedStore, error) {
	store, err := sealing.Open(ctx, sealing.Options{
		Dir:       filepath.Join(dir, s.String()),
		Protector: keyring.KeyFile(filepath.Join(dir, s.String()+".key")),
		Files:     hookedFiles{cell.OS, c.trap},
		Bound:     c.plan.Bound,
		Now:       c.now,
		Logger:    logger,
		Records: func(dir string) (persistence.Store, error) {
			return pebble.Open(dir, pebble.Options{CacheBytes: cacheBytes, MemTableBytes: memTableBytes, Logger: logger})
		},
	})
	if err != nil {
		return nil, err
	}
	if store.RolledBack() {
		c.tell(frame{Kind: isRolledBack, Side: s})
	}
	return &hookedStore{Store: store, side: s, trap: c.trap, tell: c.tell}, nil
}

// hookedStore is a store with hooks around its batches. It tells the parent
// which acknowledgements are durable.
type hookedStore struct {
	persistence.Store
	side side
	trap *trap
	tell func(frame)
}

// Apply implements persistence.Store.
func (s *hookedStore) Apply(ctx context.Context, batch persistence.Batch) error {
	s.trap.pass(beforeBatch)
	if err := s.Store.Apply(ctx, batch); err != nil {
		return err
	}
	for _, r := range batch.Records {
		if id, ok := settled(r); ok {
			s.tell(frame{Kind: isSettled, Side: s.side, ID: id})
		}
	}
	s.trap.pass(afterBatch)
	return nil
}

// settled tells whether a write is the end of a message in an inbox, and of
// which: its id is the last part of the name.
func settled(r persistence.Record) (id string, ok bool) {
	if !r.Delete || r.Name.Kind() != persistence.KindInbox {
		return "", false
	}
	parts, err := r.Name.Parts()
	if err != nil || len(parts) == 0 {
		return "", false
	}
	return hex.EncodeToString(parts[len(parts)-1]), true
}

// waiting counts what outbox and inbox hold.
func (s *hookedStore) waiting(ctx context.Context) (n uint64, err error) {
	for _, kind := range []persistence.Kind{persistence.KindOutbox, persistence.KindInbox} {
		err := s.Scan(ctx, persistence.NewName(kind), func(persistence.Name, []byte) error {
			n++
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}
