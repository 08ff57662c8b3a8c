package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/rookery-im/rookery/persistence"
)

// StoreCheckCmd opens every record of a store and says what is wrong.
type StoreCheckCmd struct {
	storePlace
	JSON bool `name:"json" help:"Write one JSON document instead of text."`
}

// checkResult is the JSON document of the command.
type checkResult struct {
	Directory  string    `json:"directory"`
	Records    uint64    `json:"records"`
	RolledBack bool      `json:"rolled_back"`
	Wrong      uint64    `json:"wrong"`
	Findings   []finding `json:"findings"`
	OK         bool      `json:"ok"`
}

// finding is one thing that is wrong with one record.
type finding struct {
	Record  string `json:"record"`
	Problem string `json:"problem"`
	Orphan  bool   `json:"orphan"`
}

// maxFindings bounds the list: a store that is not what it was has one for each
// record.
const maxFindings = 1000

// errStoreWrong is the bad result of a check.
var errStoreWrong = fmt.Errorf("%w: the store is not in order", errBadResult)

// Run implements kong's command.
func (c *StoreCheckCmd) Run(out *output) error {
	ctx, stop := interruptible()
	defer stop()
	store, err := c.read(ctx)
	if err != nil {
		return err
	}
	result := checkResult{Directory: c.Dir, Findings: []finding{}, RolledBack: store.RolledBack()}
	err = result.walk(ctx, store)
	if err := errors.Join(err, store.Close()); err != nil {
		return err
	}
	result.OK = result.Wrong == 0
	if c.JSON {
		err = json.NewEncoder(out.stdout).Encode(result)
	} else {
		result.print(out.stdout)
	}
	if err == nil && !result.OK {
		err = errStoreWrong
	}
	return err
}

// pieceRecords are looked at in one go; a record that cannot be opened ends one.
const pieceRecords = 4096

// walk checks all records, going on behind those that cannot be opened.
func (r *checkResult) walk(ctx context.Context, store persistence.Store) error {
	check := recordCheck{store: store, hosted: make(map[persistence.OwnerID]bool)}
	last := persistence.Name("")
	for {
		shown := 0
		err := store.ScanAfter(ctx, last, pieceRecords, func(name persistence.Name, value []byte) error {
			shown++
			last = name
			if name.Kind() != persistence.KindFence { // looked at by the store when it opens
				r.Records++
				r.note(name, check.check(ctx, name, value))
			}
			return ctx.Err()
		})
		var bad *persistence.RecordError
		switch {
		case err == nil && shown < pieceRecords:
			return nil
		case err == nil:
		case errors.As(err, &bad) && bad.Name > last && errors.Is(err, persistence.ErrCorrupt):
			last = bad.Name
			r.Records++
			r.note(bad.Name, bad.Err)
		case errors.Is(err, persistence.ErrCorrupt): // below the records: nothing behind it can be read
			r.note(last, fmt.Errorf("behind it: %w", err))
			return nil
		default:
			return err
		}
	}
}

// note adds what is wrong with a record, if anything is.
func (r *checkResult) note(name persistence.Name, err error) {
	if err == nil {
		return
	}
	r.Wrong++
	if len(r.Findings) < maxFindings {
		r.Findings = append(r.Findings, finding{name.String(), err.Error(), errors.Is(err, errOrphan)})
	}
}

func (r *checkResult) print(w io.Writer) {
	_, _ = fmt.Fprintf(w, "%s\n", r.Directory)
	for _, f := range r.Findings {
		_, _ = fmt.Fprintf(w, "  %s: %s\n", f.Record, f.Problem)
	}
	if more := r.Wrong - uint64(len(r.Findings)); more > 0 {
		_, _ = fmt.Fprintf(w, "  and %d more\n", more)
	}
	if r.RolledBack {
		_, _ = fmt.Fprintln(w, "  the store was restored or has gone back to an older state: its next open is a recovery")
	}
	field(w, "records", "%d", r.Records)
	field(w, "not in order", "%d", r.Wrong)
}
