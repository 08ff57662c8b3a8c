package rookery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/keep"
	"github.com/rookery-im/rookery/persistence"
)

// Keep writes records of the application's own beside those of the engine, all of them or
// none, and returns when they are durable; of two of one name the later holds, and a nil
// value deletes, also what is not there. They are sealed as all records are, are in
// backups, and the rollback guard stands for them too. They are the engine's, not an
// identity's: DeleteIdentity and successors leave them alone. After an error of the
// store, cause.ErrNotDurable and perhaps cause.ErrStoreFull, the records are as before or
// as asked for. Beside these: keep.ErrRecord, ErrClosed.
func (e *Engine) Keep(ctx context.Context, records ...keep.Record) error {
	if err := e.accepting(); err != nil {
		return err
	}
	batch := persistence.Batch{Records: make([]persistence.Record, len(records))}
	for n, r := range records {
		var err error
		if batch.Records[n], err = r.Encode(); err != nil {
			return err
		}
	}
	err := keptError(e.store.Apply(ctx, batch))
	if err == nil || errors.Is(err, ErrClosed) {
		return err
	}
	return fmt.Errorf("%w: %w", cause.ErrNotDurable, err)
}

// Kept gives the records of a collection, in an order that does not change, as they were
// when the loop began. An error is the last that it gives: keep.ErrRecord, ErrClosed. The
// loop must not close the engine.
func (e *Engine) Kept(ctx context.Context, collection string) iter.Seq2[keep.Record, error] {
	return func(yield func(keep.Record, error) bool) {
		err := e.accepting()
		var all persistence.Name
		if err == nil {
			all, err = keep.NameOf(collection)
		}
		if err == nil {
			err = keptError(e.store.Scan(ctx, all, func(name persistence.Name, value []byte) error {
				r, err := keep.Decode(name, bytes.Clone(value))
				if err == nil && !yield(r, nil) {
					err = errEnough
				}
				return err
			}))
		}
		if err != nil && !errors.Is(err, errEnough) {
			yield(keep.Record{}, err)
		}
	}
}

// KeptValue gives the value of one record; found is false if there is none.
// keep.ErrRecord, ErrClosed.
func (e *Engine) KeptValue(ctx context.Context, collection, name string) (value []byte, found bool, err error) {
	if err := e.accepting(); err != nil {
		return nil, false, err
	}
	one, err := keep.NameOf(collection, name)
	if err != nil {
		return nil, false, err
	}
	value, err = e.store.Get(ctx, one)
	if errors.Is(err, persistence.ErrNotFound) {
		return nil, false, nil
	}
	return value, err == nil, keptError(err)
}

// keptError has ErrClosed for what the store calls so.
func keptError(err error) error {
	if errors.Is(err, persistence.ErrClosed) {
		return ErrClosed
	}
	return err
}
