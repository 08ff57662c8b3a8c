package actors

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

const admissionShards = 64

// Admission bounds how many messages are under way at a time, in all and for
// each key (such as a contact), before they enter an unbounded mailbox. Keys
// without a message under way take no memory. Safe for concurrent use; nothing
// waits.
type Admission[K comparable] struct {
	maxTotal, maxKey int

	total         atomic.Int64
	refusedGlobal atomic.Uint64
	refusedKey    atomic.Uint64

	seed   maphash.Seed
	shards [admissionShards]admissionShard[K]
}

type admissionShard[K comparable] struct {
	mu     sync.Mutex
	counts map[K]int
	_      [48]byte // a cache line of its own
}

// AdmissionCounts is a reading of an Admission's counters.
type AdmissionCounts struct {
	InFlight      int64  // admitted and not yet released
	RefusedGlobal uint64 // refused since the start by the bound on all
	RefusedKey    uint64 // refused since the start by the bound on one key
}

// NewAdmission returns an Admission of at most maxTotal messages in all and
// maxKey for one key.
func NewAdmission[K comparable](maxTotal, maxKey int) *Admission[K] {
	a := &Admission[K]{maxTotal: maxTotal, maxKey: maxKey, seed: maphash.MakeSeed()}
	for i := range a.shards {
		a.shards[i].counts = make(map[K]int)
	}
	return a
}

// Place is what an admitted message has until Release. The zero Place is none.
type Place[K comparable] struct {
	of    *Admission[K]
	key   K
	shard uint8
	held  atomic.Bool
}

// Acquire admits one message for key and puts its place into one that is held by
// nobody, or refuses it with *OverloadedError and the limit "key" or "global".
func (a *Admission[K]) Acquire(key K, place *Place[K]) error {
	at := uint8(maphash.Comparable(a.seed, key) % admissionShards)
	shard := &a.shards[at]
	if !shard.add(key, a.maxKey) {
		a.refusedKey.Add(1)
		return &OverloadedError{Limit: "key", Max: a.maxKey}
	}
	if a.total.Add(1) > int64(a.maxTotal) {
		a.total.Add(-1)
		shard.remove(key)
		a.refusedGlobal.Add(1)
		return &OverloadedError{Limit: "global", Max: a.maxTotal}
	}
	place.of, place.key, place.shard = a, key, at
	place.held.Store(true)
	return nil
}

// Release gives the place back; calling it again does nothing.
func (p *Place[K]) Release() {
	if p.held.CompareAndSwap(true, false) {
		p.of.total.Add(-1)
		p.of.shards[p.shard].remove(p.key)
	}
}

// Counts returns the counters as they are, each read on its own.
func (a *Admission[K]) Counts() AdmissionCounts {
	return AdmissionCounts{
		InFlight:      a.total.Load(),
		RefusedGlobal: a.refusedGlobal.Load(),
		RefusedKey:    a.refusedKey.Load(),
	}
}

func (s *admissionShard[K]) add(key K, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts[key] >= limit {
		return false
	}
	s.counts[key]++
	return true
}

func (s *admissionShard[K]) remove(key K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts[key]--; s.counts[key] == 0 {
		delete(s.counts, key)
	}
}
