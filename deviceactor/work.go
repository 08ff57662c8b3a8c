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
	by      *Actor    // the incarnation that committed it
	waiting int       // answers of sessions still missing
	of      *outgoing // a message being sent
	sender  string    // installation of a message being received
	result  sessionactor.Decrypted
	// prepare runs when all answers are in and every earlier work has been
	// prepared: it turns the answers into records and the contact's next
	// state. An error refuses the work; what sessions did on it is still
	// committed, since they have moved on.
	prepare   func(*work) error
	records   []persistence.Record
	handovers []*sessionactor.Handover // to settle when the records are handed on
	events    []Event
	contact   *Contact // as the work leaves it, if it changes the installations
	err       error
	finish    func(a *Actor, err error)
}

// enqueue adds work that waits for w.waiting answers.
func (a *Actor) enqueue(w *work, prepare func(*work) error) {
	w.prepare = prepare
	a.queue = append(a.queue, w)
	a.flush()
}

// answered notes one answer and commits what has become complete.
func (a *Actor) answered(w *work, installation string, records []persistence.Record, err error) {
	if err == nil {
		w.records = append(w.records, records...)
		w.handovers = append(w.handovers, a.handovers.of(installation))
	}
	w.waiting--
	a.flush()
}

// flush hands complete work to the committer, in order.
func (a *Actor) flush() {
	for len(a.queue) > 0 && a.queue[0].waiting == 0 {
		w := a.queue[0]
		w.err = w.prepare(w)
		a.queue[0] = nil
		a.queue = a.queue[1:]
		// A result without records may still rest on what is not durable yet:
		// a duplicate is one only if its first copy is not lost.
		if len(w.records) == 0 && a.inFlight == 0 {
			w.settle()
			w.conclude(a)
			continue
		}
		a.inFlight++
		w.by = a
		self := a.self
		a.config.Stream.Commit(w.records, func(err error) { self.Tell(committed{w, err}) })
		w.settle()
	}
}

// settle says that the sessions' states are with the committer now.
func (w *work) settle() {
	for _, h := range w.handovers {
		h.Settle()
	}
	w.handovers = nil
}

// committed finishes work whose records are durable. If they are not, nothing
// in memory can be trusted any more: the error makes the contact and its
// sessions start again from the store.
func (a *Actor) committed(m committed) error {
	if m.of.by == a {
		a.inFlight--
	}
	if m.err != nil {
		m.of.finish(a, fmt.Errorf("%w: %w", ErrNotDurable, m.err))
		if m.of.by == a {
			return m.err
		}
		return nil // this incarnation has started after the failure, see Start
	}
	m.of.conclude(a)
	return nil
}

// conclude reports and answers work of which nothing can be lost any more.
func (w *work) conclude(a *Actor) {
	if w.contact != nil && a.own() {
		a.config.OwnDevices(*w.contact)
	}
	for _, e := range w.events {
		a.config.Deliver(e)
	}
	w.finish(a, w.err)
}

// take makes the contact's next state the present one, and commits its effects
// with the work.
func (w *work) take(a *Actor, contact Contact, e Effects) error {
	records, err := e.Records(a.config.Owner, &contact)
	if err != nil {
		return err
	}
	a.contact = contact
	w.records = append(w.records, records...)
	w.events = append(w.events, e.Events...)
	if len(e.Installations) > 0 {
		w.contact = &contact
	}
	return nil
}

// transitions reports what became of the sessions with an installation.
func (w *work) transitions(a *Actor, installation string, list []sessionactor.Transition) {
	for _, t := range list {
		w.events = append(w.events, SessionChanged{a.config.Peer, installation, t})
	}
}
