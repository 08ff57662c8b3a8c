package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rookery-im/rookery/internal/footprint"
	"github.com/rookery-im/rookery/persistence"
)

// DoctorCmd looks at everything that a store of identities needs to work.
type DoctorCmd struct {
	Dir string `name:"dir" required:"" type:"path" env:"ROOKERY_DIR" placeholder:"DIR" help:"Directory of the store (ROOKERY_DIR)."`
	opener
	Transport string        `name:"transport" env:"ROOKERY_TRANSPORT" placeholder:"NETWORK" help:"The network that is tried: as of the other commands (ROOKERY_TRANSPORT)."`
	Wait      time.Duration `name:"wait" default:"10s" help:"How long the network may take to be there, and its history to answer."`
	JSON      bool          `name:"json" help:"Write one JSON object instead of text."`
}

// severity says how bad a finding is.
type severity string

const (
	fine    severity = "ok"      // was looked at
	note    severity = "note"    // is so, and need not be done anything about
	warning severity = "warning" // keeps something from working, or will
	failure severity = "error"   // keeps all from working
)

// rank orders severities.
var rank = map[severity]int{fine: 0, note: 1, warning: 2, failure: 3}

// diagnosis is one thing that was looked at.
type diagnosis struct {
	Severity severity `json:"severity"`
	About    string   `json:"about"`          // key, directory, lock, disk, clock, store, network, identity or contacts
	Of       string   `json:"of,omitempty"`   // the public key of the identity
	What     string   `json:"what"`           // what is so
	Next     string   `json:"next,omitempty"` // what will happen
	Do       string   `json:"do,omitempty"`   // what to do about it
}

// doctorResult is the JSON document of the command.
type doctorResult struct {
	Directory string      `json:"directory"`
	Worst     severity    `json:"worst"`
	Findings  []diagnosis `json:"findings"`
}

var (
	errDoctorFound  = fmt.Errorf("%w: there are warnings", errBadResult)
	errDoctorFailed = errors.New("there are errors")
)

// Run implements kong's command.
func (c *DoctorCmd) Run(out *output) error {
	ctx, stop := interruptible()
	defer stop()
	result, err := c.examine(ctx, surroundings{now: time.Now(), free: footprint.Free})
	if err != nil {
		return explained(err)
	}
	if c.JSON {
		if err := writeJSON(out.stdout, result); err != nil {
			return err
		}
	} else {
		result.print(out.stdout)
	}
	return result.outcome()
}

// outcome is what the command ends with.
func (r *doctorResult) outcome() error {
	switch r.Worst {
	case failure:
		return errDoctorFailed
	case warning:
		return errDoctorFound
	case fine, note:
	}
	return nil
}

// examine looks from the outside in: what is wrong outside hides what is inside. An
// error is one of looking, not of what is looked at.
func (c *DoctorCmd) examine(ctx context.Context, on surroundings) (doctorResult, error) {
	r := doctorResult{Directory: c.Dir, Worst: fine, Findings: []diagnosis{}}
	if err := exists(c.Dir); err != nil {
		r.fails("directory", err, "rookery identity create makes a store; else look at --dir")
		return r, nil
	}
	r.examinePlace(c.Dir, c.opener, on)
	r.examineClock(c.Dir, on.now)
	place := storePlace{Dir: c.Dir, opener: c.opener}
	store, err := place.tryStart(ctx, true)
	switch {
	case errors.Is(err, persistence.ErrLocked):
		r.add(diagnosis{
			Severity: warning, About: "lock", What: "a running process has the store open: what is in it, and its network, cannot be looked at",
			Do: "if it serves: rookery health, and its log; else stop it and look again",
		})
		return r, nil
	case err != nil:
		r.fails("store", err, "")
		return r, nil
	}
	r.add(diagnosis{Severity: fine, About: "lock", What: "no process has the store open"})
	r.add(diagnosis{Severity: fine, About: "key", What: "it opens the store"})
	err = r.examineStore(ctx, store, c.Dir, on.now)
	var people doctorResult // shown last, and looked at in any case
	err = errors.Join(err, people.examinePeople(ctx, store, on.now.UnixNano()), store.Close())
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	if err != nil {
		r.fails("store", err, "rookery store check says which records; see a damaged disk in docs/operations.md")
	}
	if err := c.examineNetwork(ctx, &r); err != nil {
		return r, err
	}
	for _, d := range people.Findings {
		r.add(d)
	}
	return r, nil
}

func (r *doctorResult) add(d diagnosis) {
	if rank[d.Severity] > rank[r.Worst] {
		r.Worst = d.Severity
	}
	r.Findings = append(r.Findings, d)
}

// fails adds an error with what is known to help, else with do.
func (r *doctorResult) fails(about string, err error, do string) {
	if hint := hintFor(err); hint != "" {
		do = hint
	}
	r.add(diagnosis{Severity: failure, About: about, What: inOneLine(err), Do: do})
}

func (r *doctorResult) print(w io.Writer) {
	_, _ = fmt.Fprintln(w, r.Directory)
	of := ""
	for _, d := range r.Findings {
		if d.Of != of {
			of = d.Of
			_, _ = fmt.Fprintln(w, of)
		}
		_, _ = fmt.Fprintf(w, "  %-8s %-10s %s\n", d.Severity, d.About, plain(d.What))
		if d.Next != "" {
			_, _ = fmt.Fprintf(w, "  %-8s %-10s next: %s\n", "", "", d.Next)
		}
		if d.Do != "" {
			_, _ = fmt.Fprintf(w, "  %-8s %-10s do: %s\n", "", "", d.Do)
		}
	}
}
