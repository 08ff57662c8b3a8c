package deviceactor

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/sessionactor"
)

// ErrNotDurable: the store failed. Nothing was sent or delivered; whether the
// records are in the store shows when it is opened again.
var ErrNotDurable = errors.New("deviceactor: could not be made durable")

// Unhandled tells whether an answer to Receive means that the message was not
// dealt with and has to come again, rather than that it was refused.
func Unhandled(err error) bool {
	return slices.ContainsFunc(
		[]error{ErrNotDurable, sessionactor.ErrUnavailable, actors.ErrStopped, actors.ErrOverloaded},
		func(cause error) bool { return errors.Is(err, cause) },
	)
}

// work is one message on its way through the contact: its sessions work on it,
// then its records are committed, then it is finished. Work is committed in the
// order in which it was given to the sessions, so that an older state of a
// session never follows a newer one into the store.
type work struct {
	waiting   int // answers of sessions still missing
	task      task
	records   []persistence.Record      // of sessions
	handovers []*sessionactor.Handover  // to settle when the records are handed on
	handover  [1]*sessionactor.Handover // room for handovers if there is one
	events    []Event
	contact   *Contact // as the work leaves it, if it changes installations of ours
	err       error
	timing    *timing // nil: it is not timed
}

// task is what a work does.
type task interface {
	// prepare runs when all answers are in and every earlier work has been
	// prepared: it turns the answers into the contact's next state, and
	// writes its records. An error refuses the work; what sessions did on it is
	// still committed, since they have moved on. After a panic none of it is.
	prepare(a *Actor) error
	// finish runs when the records are durable, or with the error that the work has
	// ended with; a is nil if the contact has stopped.
	finish(a *Actor, err error)
}

// errand is a task that is made of functions. One without end answers nobody.
type errand struct {
	begin func() error
	end   func(a *Actor, err error)
}

func (e *errand) prepare(*Actor) error { return e.begin() }

func (e *errand) finish(a *Actor, err error) {
	if e.end != nil {
		e.end(a, err)
	}
}

// recordsAlone is the work of records that nobody waits for: nothing. It is shared by
// all contacts, and never changed.
var recordsAlone = &work{task: &errand{}}

// enqueue adds work that waits for w.waiting answers.
func (a *Actor) enqueue(w *work) {
	a.queue = append(a.queue, w)
	a.flush()
}

// answered notes one answer and prepares what has become complete.
func (a *Actor) answered(w *work, installation string, records []persistence.Record, err error) {
	if err == nil {
		if len(w.records) == 0 {
			w.records = records // all there are, of most messages
		} else {
			w.records = append(w.records, records...)
		}
		if w.handovers == nil {
			w.handovers = w.handover[:0]
		}
		w.handovers = append(w.handovers, a.handovers.of(installation))
	}
	w.waiting--
	a.flush()
}

// together is how much prepared work goes to the committer at once, at most:
// what comes in at the same time is committed together.
const together = 64

// flush prepares complete work, in order.
func (a *Actor) flush() {
	for len(a.queue) > 0 && a.queue[0].waiting == 0 {
		w := a.queue[0]
		a.written = a.room[:0]
		w.err = w.task.prepare(a)
		a.gather(w.records...)
		if w.err == nil {
			a.gather(a.written...)
		}
		a.written = nil
		clear(a.room[:])
		a.queue[0] = nil
		if a.queue = a.queue[1:]; len(a.queue) == 0 {
			clear(a.queueRoom[:]) // the queue may have outgrown it
			a.queue = a.queueRoom[:0]
		}
		// A result without records may still rest on what is not durable yet:
		// a duplicate is one only if its first copy is not lost.
		if a.batch == nil && a.inFlight == 0 && len(a.prepared) == 0 {
			w.settle()
			w.conclude(a)
			continue
		}
		w.timing.prepared()
		a.prepared = append(a.prepared, w)
		a.urgent = true
		if len(a.prepared) >= together {
			a.commit()
		}
	}
}

// Idle implements actors.Idler: no message waits that could add to what is
// prepared.
func (a *Actor) Idle() {
	a.dropAccepted()
	a.commit()
}

// commit hands prepared work to the committer.
func (a *Actor) commit() {
	if len(a.prepared) == 0 {
		return
	}
	m, records := &committed{by: a, of: a.prepared}, a.batch
	hand := a.stream.CommitLater
	if a.urgent {
		hand = a.stream.Commit
	}
	a.prepared, a.batch, a.urgent = nil, nil, false
	a.inFlight++
	hand(records.all(), func(err error) {
		m.err = err
		m.by.self.Tell(m)
	})
	records.release()
	for _, w := range m.of {
		w.settle()
	}
}

// write adds records to those of the work that is being prepared.
func (a *Actor) write(records ...persistence.Record) { a.written = append(a.written, records...) }

// gather adds records to those that are committed next.
func (a *Actor) gather(records ...persistence.Record) {
	if len(records) == 0 {
		return
	}
	if a.batch == nil {
		a.batch = batches.Get().(*batch)
	}
	for i := range records {
		a.batch.put(&records[i])
	}
}

// settle says that the sessions' states are with the committer now.
func (w *work) settle() {
	for _, h := range w.handovers {
		h.Settle()
	}
	if w.handovers != nil { // recordsAlone is not ours to write to
		w.handovers = nil
	}
}

// committed finishes work whose records are durable. If they are not, nothing
// in memory can be trusted any more: the error makes the contact and its
// sessions start again from the store.
func (a *Actor) committed(m *committed) error {
	if m.by == a {
		a.inFlight--
	}
	if m.err != nil {
		err := fmt.Errorf("%w: %w", ErrNotDurable, m.err)
		for _, w := range m.of {
			w.task.finish(a, err)
		}
		if m.by == a {
			a.end = err
			return err
		}
		return nil // this incarnation has started after the failure, see Start
	}
	for _, w := range m.of {
		w.conclude(a)
	}
	return nil
}

// conclude reports and answers work of which nothing can be lost any more.
func (w *work) conclude(a *Actor) {
	w.timing.durable(a)
	if w.contact != nil {
		a.config.Host.OwnDevices(*w.contact)
	}
	for _, e := range w.events {
		a.config.Host.Deliver(e)
	}
	w.task.finish(a, w.err)
}

// take makes the contact's next state the present one, and commits its effects
// with the work.
func (w *work) take(a *Actor, contact Contact, e Effects) {
	a.contact = contact
	a.written = e.records(a.written, a.config.Owner, &a.contact)
	if a.leases.Any() {
		a.leases.Follow(&a.contact, a.config.View, a.config.Host.Now())
	}
	w.events = append(w.events, e.Events...)
	if len(e.Installations) > 0 && a.own() {
		own := a.contact
		w.contact = &own
	}
}

// transitions reports what became of the sessions with an installation, for a lease that
// is being made or nil.
func (w *work) transitions(a *Actor, installation string, list []sessionactor.Transition, lease *Lease) {
	a.leases.Changed(list, lease)
	for _, t := range list {
		w.events = append(w.events, SessionChanged{a.peer, installation, t})
	}
}
