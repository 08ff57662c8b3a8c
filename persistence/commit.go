package persistence

import (
	"sync"
	"time"
)

// commit is one call of Stream.Commit. It is used again for another one when its
// continuation has run: readers of the overlay copy what they find under the committer's
// lock, and by then it is not there any more.
type commit struct {
	stream *Stream
	writes []write
	size   int // where in commits it belongs
	done   func(error)
	due    time.Time // until then it may wait for others; zero: somebody waits for it
	err    error     // set before the commit reaches the disk when it must not get there
}

// write is one write of a record by a commit.
type write struct {
	record     Record
	flight     *flight // nil before it is in flight, and once it has landed
	prev, next *write  // of the same record
	spare      *flight // what its record's becomes if that is not in flight yet
}

const (
	// fewWrites is what the smallest commits have room for; those of each further size
	// have room for twice as many.
	fewWrites = 4
	// commitSizes is how many sizes are kept. A larger one is used once.
	commitSizes = 7
)

var (
	// commits are empty ones of each size: room that one large commit has needed is not
	// what many small ones are kept in.
	commits [commitSizes]sync.Pool
	flights = sync.Pool{New: func() any { return new(flight) }}
)

// newCommit makes a commit with all the room that it needs in the overlay. It is done
// without the committer's lock: who has to wait for memory holds up nobody.
func newCommit(s *Stream, records []Record, done func(error)) *commit {
	size := 0
	for size < commitSizes && fewWrites<<size < len(records) {
		size++
	}
	var one *commit
	if size < commitSizes {
		one, _ = commits[size].Get().(*commit)
	}
	if one == nil {
		room := fewWrites << size
		if size == commitSizes {
			room = len(records)
		}
		one = &commit{size: size, writes: make([]write, room)}
	}
	one.stream, one.done = s, done
	one.writes = one.writes[:len(records)]
	for i := range records {
		w := &one.writes[i]
		w.record = records[i]
		if w.spare == nil {
			w.spare = flights.Get().(*flight) //nolint:forcetypeassert // nothing else is put there
		}
	}
	return one
}

// release gives the commit back. Nothing may know of it any more.
func (one *commit) release() {
	if one.size == commitSizes {
		return
	}
	for i := range one.writes {
		one.writes[i] = write{spare: one.writes[i].spare}
	}
	*one = commit{size: one.size, writes: one.writes[:0]}
	commits[one.size].Put(one)
}
