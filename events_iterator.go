package rookery

import (
	"context"
	"fmt"
	"iter"
	"sync"
)

// Events gives the events of all identities to a loop, if Options.Events is set.
// Like a handler, a loop holds up the identity whose event it is at, until it asks
// for the next one; several loops at once share the events, and each identity's
// come one after the other all the same. What no loop has come to waits, and is
// bounded as in front of a handler (Options.MaxUnhandled, MaxUnhandledBytes).
//
// The last it gives is an error and no event: that of ctx, ErrClosed after Close, or
// ErrOptions without Options.Events. A loop may leave at any time; the next goes on
// where it was. What was not acknowledged is given again after the next Open.
// Unlike a handler, a loop may close the engine and delete identities.
func (e *Engine) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if e.offers == nil {
			yield(nil, fmt.Errorf("%w: Events is not set", ErrOptions))
			return
		}
		for {
			o, err := e.offers.next(ctx)
			if err != nil {
				yield(nil, err)
				return
			}
			if !o.give(yield) {
				return
			}
		}
	}
}

// offers hand events from the identities' inboxes to loops: each waits until a loop
// has taken it and is done with it, or the engine closes.
type offers struct {
	waiting chan offer
	end     sync.Once
	ended   chan struct{}

	mu      sync.Mutex
	deleted chan struct{} // closed and replaced when an identity is being deleted
}

// offer is one event, and where its loop says whether it was seen to.
type offer struct {
	event Event
	seen  chan bool
}

func newOffers() *offers {
	return &offers{waiting: make(chan offer), ended: make(chan struct{}), deleted: make(chan struct{})}
}

// handle is the handler of an engine whose events are taken by loops; false if no
// loop has seen to the event.
func (o *offers) handle(e Event) bool {
	one := offer{e, make(chan bool, 1)}
	waiting := o.waiting // nil when it is taken
	for {
		deleted := o.nextDeletion()
		if e.To().deleted.Load() {
			return false
		}
		select {
		case waiting <- one:
			waiting = nil
		case seen := <-one.seen:
			return seen
		case <-o.ended: // the loop may be who closes
			return false
		case <-deleted: // the loop may be who deletes
		}
	}
}

// nextDeletion is closed when an identity is being deleted.
func (o *offers) nextDeletion() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.deleted
}

// withdraw lets go of what waits for loops of identities that are being deleted.
func (o *offers) withdraw() {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.deleted)
	o.deleted = make(chan struct{})
}

// next waits for an event. That it is over goes before what waits.
func (o *offers) next(ctx context.Context) (offer, error) {
	select {
	case <-o.ended:
		return offer{}, ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return offer{}, err
	}
	select {
	case one := <-o.waiting:
		return one, nil
	case <-o.ended:
		return offer{}, ErrClosed
	case <-ctx.Done():
		return offer{}, ctx.Err()
	}
}

// close lets go of whoever waits on either side.
func (o *offers) close() { o.end.Do(func() { close(o.ended) }) }

// give runs the body of a loop; one that panics has not seen to the event.
func (o offer) give(yield func(Event, error) bool) (more bool) {
	seen := false
	defer func() { o.seen <- seen }()
	more = yield(o.event, nil)
	seen = true
	return more
}
