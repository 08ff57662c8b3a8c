package topic

import (
	"container/list"

	"github.com/rookery-im/rookery/internal/secret"
)

// search is the way to one key that is not in the cache. Keys.mu guards it, but
// for digest and done, which do not change, and name, which belongs to whoever
// derives.
type search struct {
	digest Digest
	name   Name // a copy, wiped at the end
	done   chan struct{}

	// After the end.
	key secret.Key // until the last caller has taken it
	err error

	callers int  // who wait
	wanted  bool // it was begun or taken over for a caller, and counts as such
	queue   *queue
	place   *list.Element
}

func newSearch(digest Digest, name Name) *search {
	return &search{digest: digest, name: name.clone(), done: make(chan struct{})}
}

// queue holds searches whose key has to be derived, first come first served.
type queue struct{ list.List }

func (q *queue) push(s *search) { s.queue, s.place = q, q.PushBack(s) }

// next takes the first search out; nil if there is none.
func (q *queue) next() *search {
	front := q.Front()
	if front == nil {
		return nil
	}
	s, _ := front.Value.(*search)
	s.leaveQueue()
	return s
}

// leaveQueue takes a search out of the queue in which it is, if any.
func (s *search) leaveQueue() {
	if s.queue != nil {
		s.queue.Remove(s.place)
		s.queue, s.place = nil, nil
	}
}
