package sealing

import (
	"context"
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/persistence"
)

// A step of a rewrite has rewriteRecords at most, and as many as have rewriteBytes of
// sealed values: about what a table of the last level of a big store has.
const (
	rewriteRecords = 64 << 10
	rewriteBytes   = 8 << 20
)

// rewriter is a store below that can put records of one kind in the place of all that
// it has above a name and up to the last of them: what is written over then need not be
// merged away later.
type rewriter interface {
	Rewrite(ctx context.Context, after persistence.Name, records []persistence.Record) error
}

// rewriting is one step of a rewrite.
type rewriting struct {
	records []persistence.Record
	sealed  []byte // their values one after the other
	ends    []int  // of the values in sealed
	anew    int    // how many of them were sealed anew
}

// rewrite does what the steps of a walk do, for who has the store alone: no batch is
// written and no epoch of ownership changes before it has ended.
func (s *Store) rewrite(ctx context.Context, below rewriter, keep uint32) error {
	var work rewriting
	for after := persistence.Name(""); ; {
		if err := s.rewriteNext(ctx, below, &work, after, keep); err != nil {
			return err
		}
		if len(work.records) == 0 {
			return nil
		}
		after = work.records[len(work.records)-1].Name
	}
}

// rewriteNext rewrites the next records of a rewrite. There are none at its end.
func (s *Store) rewriteNext(ctx context.Context, below rewriter, work *rewriting, after persistence.Name, keep uint32) error {
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.gatherAll(ctx, work, after, keep); err != nil || work.anew == 0 {
		return err
	}
	if err := below.Rewrite(ctx, after, work.records); err != nil {
		return fmt.Errorf("seal records anew: %w", err)
	}
	return nil
}

// gatherAll takes the next records of one kind as they are to be: those under epochs
// before keep sealed anew, and all others too, for whatever is not among them ends. The
// caller holds the write lock.
func (s *Store) gatherAll(ctx context.Context, work *rewriting, after persistence.Name, keep uint32) error {
	work.records, work.ends, work.sealed, work.anew = work.records[:0], work.ends[:0], work.sealed[:0], 0
	err := s.inner.ScanAfter(ctx, after, rewriteRecords, func(name persistence.Name, sealed []byte) error {
		if len(work.sealed) >= rewriteBytes || len(work.records) > 0 && work.records[0].Name.Kind() != name.Kind() {
			return errStepIsFull
		}
		start := len(work.sealed)
		work.sealed = append(work.sealed, sealed...) // what cannot be opened stays as it is
		if value, old := s.openOlder(name, sealed, keep); old {
			work.sealed = s.sealer.appendSealed(work.sealed[:start], name, value)
			clear(value)
			work.anew++
		}
		work.records = append(work.records, persistence.Record{Name: name})
		work.ends = append(work.ends, len(work.sealed))
		return nil
	})
	start := 0
	for i, end := range work.ends {
		work.records[i].Value = work.sealed[start:end:end]
		start = end
	}
	if errors.Is(err, errStepIsFull) {
		err = nil
	}
	return err
}
