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
	Orphans    uint64    `json:"orphans"` // in order, but nothing leads to them
	Findings   []finding `json:"findings"`
	OK         bool      `json:"ok"`
}

// finding is one thing that is wrong with one record.
type finding struct {
	Record  string `json:"record"`
	Problem string `json:"problem"`
	Orphan  bool   `json:"orphan"`
}

// maxFindings bounds the list, of orphans and of what is wrong alike: a store that is not
// what it was has one for each record.
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

// walk checks all records.
func (r *checkResult) walk(ctx context.Context, store persistence.Store) error {
	check := recordCheck{store: store, hosted: make(map[persistence.OwnerID]bool)}
	return eachRecord(ctx, store, "", func(name persistence.Name, value []byte) error {
		if name.Kind() != persistence.KindFence { // looked at by the store when it opens
			r.Records++
			r.note(name, check.check(ctx, name, value))
		}
		return nil
	}, func(name persistence.Name, err error) error {
		r.Records++
		r.note(name, err)
		return nil
	})
}

// note adds what is wrong with a record, if anything is. An orphan is in order.
func (r *checkResult) note(name persistence.Name, err error) {
	if err == nil {
		return
	}
	orphan, of := errors.Is(err, errOrphan), &r.Wrong
	if orphan {
		of = &r.Orphans
	}
	if *of++; *of <= maxFindings {
		r.Findings = append(r.Findings, finding{name.String(), err.Error(), orphan})
	}
}

func (r *checkResult) print(w io.Writer) {
	_, _ = fmt.Fprintf(w, "%s\n", r.Directory)
	for _, f := range r.Findings {
		_, _ = fmt.Fprintf(w, "  %s: %s\n", f.Record, f.Problem)
	}
	if more := r.Wrong + r.Orphans - uint64(len(r.Findings)); more > 0 {
		_, _ = fmt.Fprintf(w, "  and %d more\n", more)
	}
	if r.RolledBack {
		_, _ = fmt.Fprintln(w, "  the store was restored or has gone back to an older state: its next open is a recovery")
	}
	field(w, "records", "%d", r.Records)
	field(w, "not in order", "%d", r.Wrong)
	field(w, "orphans", "%d", r.Orphans)
}
