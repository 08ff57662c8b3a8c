package faults

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/internal/leakscan"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// smallMemTable lets tables turn over within a scenario.
const smallMemTable = 16 << 10

// openStore opens a sealed store on a disk that gathers so many bytes in memory.
// Nothing is rotated unless it is asked for.
func openStore(ctx context.Context, on vfs.FS, key string, memTable uint64, random io.Reader, now func() time.Time, logger *slog.Logger) (*sealing.Store, error) {
	return sealing.Open(ctx, sealing.Options{
		Dir:       home,
		Protector: keyring.KeyFile(key),
		Files:     pebble.Files(on),
		Records: func(dir string) (persistence.Store, error) {
			return pebble.Open(dir, pebble.Options{FS: on, MemTableBytes: memTable, CacheBytes: 1 << 20, Headroom: 1, ProbeEvery: probeEvery, Logger: logger})
		},
		Bound:  -1,
		Random: random,
		Now:    now,
		Logger: logger,
	})
}

// probeEvery is how often a store that was full looks whether there is space.
const probeEvery = 2 * time.Millisecond

// witness stands between the engine and its store and notes which messages are
// durably out of the inbox, and which copies there may be to make.
type witness struct {
	*sealing.Store
	ledger *ledger
	book   *leakscan.Book // nil: none is kept
	// writing is held while a batch is on its way to the disk.
	writing sync.Mutex
	// When it was closed: unfinished work, and copies to be made.
	left   []string
	copies map[persistence.Name]bool
}

// Apply implements persistence.Store.
func (s *witness) Apply(ctx context.Context, batch persistence.Batch) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.book != nil {
		s.book.Read(batch)
	}
	var copies, ended []persistence.Name
	for _, r := range batch.Records {
		if !r.Delete && r.Name.Kind() == persistence.KindCopy {
			copies = append(copies, r.Name)
		}
	}
	if len(copies) > 0 { // it may be there although that fails
		s.ledger.note(func(p *past) { p.copies = append(p.copies, copies...) })
	}
	if err := s.Store.Apply(ctx, batch); err != nil {
		return err
	}
	for _, r := range batch.Records {
		if r.Delete && r.Name.Kind() == persistence.KindInbox {
			ended = append(ended, r.Name)
		}
	}
	s.ledger.note(func(p *past) { p.ended = append(p.ended, ended...) })
	return nil
}

// still calls fn while nothing is written.
func (s *witness) still(fn func()) {
	s.writing.Lock()
	defer s.writing.Unlock()
	fn()
}

// down tells whether the store has failed for good.
func (s *witness) down() bool {
	_, err := s.Get(context.Background(), persistence.NewName(persistence.KindIdentity))
	return errors.Is(err, persistence.ErrFailed) || errors.Is(err, persistence.ErrClosed)
}

// Close implements persistence.Store.
func (s *witness) Close() error {
	s.copies = make(map[persistence.Name]bool)
	// A store that is down has nothing to tell.
	_ = s.Scan(context.Background(), "", func(name persistence.Name, _ []byte) error {
		switch name.Kind() {
		case persistence.KindOutbox, persistence.KindInbox:
			s.left = append(s.left, name.String())
		case persistence.KindCopy:
			s.copies[name] = true
		default:
		}
		return nil
	})
	return s.Store.Close()
}
