package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rookery-im/rookery/persistence"
)

// pieceRecords are looked at in one go; a record that cannot be opened ends one.
const pieceRecords = 4096

var errBehind = errors.New("behind what is looked at")

// eachRecord shows the records whose names begin in one way, and goes on behind those
// that cannot be opened, of which damaged is told; an error of either ends it. The store
// may be used meanwhile.
func eachRecord(ctx context.Context, store persistence.Store, under persistence.Name, show func(persistence.Name, []byte) error, damaged func(persistence.Name, error) error) error {
	last := under
	for {
		shown := 0
		var failed error // of show
		err := store.ScanAfter(ctx, last, pieceRecords, func(name persistence.Name, value []byte) error {
			if !strings.HasPrefix(string(name), string(under)) {
				return errBehind
			}
			shown++
			last = name
			if failed = show(name, value); failed != nil {
				return failed
			}
			return ctx.Err()
		})
		var bad *persistence.RecordError
		switch {
		case failed != nil:
			return failed
		case errors.Is(err, errBehind), err == nil && shown < pieceRecords:
			return nil
		case err == nil:
		case !errors.Is(err, persistence.ErrCorrupt):
			return err
		case !errors.As(err, &bad) || bad.Name <= last: // below the records: nothing behind it can be read
			return damaged(last, fmt.Errorf("behind it: %w", err))
		case !strings.HasPrefix(string(bad.Name), string(under)):
			return nil
		default:
			last = bad.Name
			if err := damaged(bad.Name, bad.Err); err != nil {
				return err
			}
		}
	}
}

// refuse is for who can do nothing with a part of the records.
func refuse(name persistence.Name, err error) error { return fmt.Errorf("%v: %w", name, err) }
