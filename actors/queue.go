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
	over      bool // the actor has stopped
	user      ring[any]
	system    *ring[any] // nil: none waits, as mostly
}

// post tells whether the caller is to schedule a run.
func (q *queue) post(message any) (schedule bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.user.push(message)
	return !q.suspended && q.claim()
}

// tell is post unless the actor has stopped.
func (q *queue) tell(message any) (schedule, over bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over {
		return false, true
	}
	q.user.push(message)
	return !q.suspended && q.claim(), false
}

// end notes that the actor has stopped. What is posted is still taken.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
}

// postSystem is post for messages of protoactor.
func (q *queue) postSystem(message any) (schedule bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.system == nil {
		q.system = new(ring[any])
	}
	q.system.push(message)
	return q.claim()
}

// start lets the first run begin, with this message before all that came too early.
func (q *queue) start(message any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	early := q.system
	q.system = new(ring[any])
	q.system.push(message)
	for early != nil && early.n > 0 {
		q.system.push(early.pop())
	}
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
	for q.system != nil {
		next := q.system.pop()
		if q.system.n == 0 {
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
