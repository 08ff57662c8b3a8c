package actors

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// keptPlaces is how many messages an actor that has nothing to do has room for, beside
// those that wait in its queue itself: what was more, for a burst, is given back.
const keptPlaces = 8

// queue is what waits for an actor, and whether a run that handles it is under way. Of
// the user's messages and of protoactor's own each are handled in the order in which they
// came, protoactor's first.
//
// One lock guards all of it: what was posted before a run looks is seen by it, so that no
// message gets past a suspension, and who posts while a run ends starts the next.
type queue struct {
	mu        sync.Mutex
	claimed   bool // a run is under way or scheduled, or the actor has yet to start
	suspended bool
	user      ring[any]
	system    []any // seldom any
}

// post tells whether the caller is to schedule a run.
func (q *queue) post(message any) (schedule bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.user.push(message)
	return !q.suspended && q.claim()
}

// postSystem is post for messages of protoactor.
func (q *queue) postSystem(message any) (schedule bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.system = append(q.system, message)
	return q.claim()
}

// start lets the first run begin, with this message before all that came too early.
func (q *queue) start(message any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.system = append([]any{message}, q.system...)
	q.claimed = true
}

// claim tells whether nobody else has the next run. q.mu is held.
func (q *queue) claim() bool {
	if q.claimed {
		return false
	}
	q.claimed = true
	return true
}

// source is which queue a message was taken from.
type source int

const (
	fromNone source = iota // there is none that may be handled, and the run is over
	fromUser
	fromSystem
)

// take gives the run that is under way its next message.
func (q *queue) take() (message any, from source) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.system) > 0 {
		next := q.system[0]
		q.system[0] = nil
		if q.system = q.system[1:]; len(q.system) == 0 {
			q.system = nil
		}
		switch next.(type) {
		case *actor.SuspendMailbox:
			q.suspended = true
		case *actor.ResumeMailbox:
			q.suspended = false
		default:
			return next, fromSystem
		}
	}
	if q.suspended || q.user.n == 0 {
		q.claimed = false
		q.user.trim(keptPlaces)
		return nil, fromNone
	}
	return q.user.pop(), fromUser
}

// len is how many of the user's messages were not taken yet.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int(q.user.n)
}
