package keypool

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-im/rookery/internal/curve"
)

const (
	// capacity bounds the memory, under 40 kB, and what keys cost that nobody
	// takes: some 15 ms of a processor at the end of a burst. A burst that wants
	// more at a time leaves no idle time to make them in anyway.
	capacity = 512
	// interval is how long it is counted how many keys are asked for: longer
	// than the pauses of a conversation, and short enough that a key that nobody
	// takes is gone before the ratchet keys beside it are.
	interval = time.Minute
)

// Pool is randomness with key pairs made ahead of their use (curve.KeySource).
// It keeps as many ready as were asked for in this interval or in the one
// before, whichever is more, up to a bound: one that nobody asks any more is
// empty after two intervals. Safe for concurrent use.
type Pool struct {
	random io.Reader

	// Keys enter a ring at its end, by one goroutine at a time, and leave it at
	// the front. Who moves the front on has the slot there to himself until he
	// says that it is empty.
	front, end atomic.Uint64 // how many have left and entered
	slots      [capacity]slot

	asked  atomic.Uint64 // in this interval
	before atomic.Uint64 // in the one before
	wiped  atomic.Uint64
	closed atomic.Bool

	making sync.Mutex // held by who makes a key
	clock  sync.Mutex
	begun  time.Time // this interval; guarded by clock
}

// slot is a place in the ring.
type slot struct {
	full atomic.Bool
	key  curve.PrivateKey
}

// New gives an empty pool over a source that is safe for concurrent use.
func New(random io.Reader) *Pool { return &Pool{random: random} }

// Read implements io.Reader with bytes of the source.
func (p *Pool) Read(b []byte) (int, error) { return p.random.Read(b) }

// TakeKey implements curve.KeySource. It never waits.
func (p *Pool) TakeKey() (curve.PrivateKey, bool) {
	if p.closed.Load() {
		return curve.PrivateKey{}, false
	}
	p.asked.Add(1)
	return p.take()
}

// MakeKey makes one key if one more is wanted and nobody else is making one,
// and tells whether to call it again. An error of the source is not reported:
// who needs a key meets it too.
func (p *Pool) MakeKey() (again bool) {
	if !p.lacking() || !p.making.TryLock() {
		return false
	}
	defer p.making.Unlock()
	// There is no actor here that a panic of the source could be laid to.
	defer func() {
		if recover() != nil {
			again = false
		}
	}()
	if !p.lacking() {
		return true // who wants one since then has found this one locked
	}
	key, err := curve.GenerateKey(p.random)
	if err != nil {
		return false
	}
	defer key.Wipe()
	if !p.add(&key) {
		return false
	}
	if p.closed.Load() {
		p.wipeSurplus() // Close may have looked before
	}
	return true
}

// Sweep ends the interval if it is over, and then wipes what is no longer
// wanted. It is called several times in an interval; the first call begins the
// first one.
func (p *Pool) Sweep(now time.Time) {
	p.clock.Lock()
	defer p.clock.Unlock()
	if p.begun.IsZero() {
		p.begun = now
	}
	if now.Sub(p.begun).Abs() < interval {
		return
	}
	p.begun = now
	p.before.Store(p.asked.Swap(0))
	p.wipeSurplus()
}

// Close wipes all keys; a key that is being made is wiped when it is made. The
// pool goes on as plain randomness.
func (p *Pool) Close() {
	p.closed.Store(true)
	p.wipeSurplus()
}

// Counts are what a pool has done since it was made.
type Counts struct {
	Made  uint64
	Taken uint64 // by who needed one
	Wiped uint64 // unused
}

// Counts gives what the pool has done so far.
func (p *Pool) Counts() Counts {
	wiped := p.wiped.Load() // before those that have left, which are more
	front := p.front.Load()
	return Counts{Made: p.end.Load(), Taken: front - wiped, Wiped: wiped}
}

// Format implements fmt.Formatter without the keys.
func (p *Pool) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "pool of %d keys", p.ready()) }

// add puts a copy of a key into the ring. p.making is held.
func (p *Pool) add(key *curve.PrivateKey) bool {
	end := p.end.Load()
	s := &p.slots[end%capacity]
	if s.full.Load() { // who takes what was there before has not come to it yet
		return false
	}
	s.key = *key
	s.full.Store(true)
	p.end.Store(end + 1)
	return true
}

// take moves the key at the front out of the ring.
func (p *Pool) take() (key curve.PrivateKey, ok bool) {
	for {
		front := p.front.Load()
		if front == p.end.Load() {
			return key, false
		}
		if !p.front.CompareAndSwap(front, front+1) {
			continue
		}
		s := &p.slots[front%capacity]
		key = s.key
		s.key = curve.PrivateKey{}
		s.full.Store(false)
		return key, true
	}
}

func (p *Pool) wipeSurplus() {
	for p.ready() > p.wanted() {
		key, ok := p.take()
		if !ok {
			return
		}
		key.Wipe()
		p.wiped.Add(1)
	}
}

func (p *Pool) ready() uint64 {
	front := p.front.Load() // first: it does not pass the end
	return p.end.Load() - front
}

func (p *Pool) lacking() bool { return p.ready() < p.wanted() }

// wanted is how many keys should be ready.
func (p *Pool) wanted() uint64 {
	if p.closed.Load() {
		return 0
	}
	return min(capacity, max(p.asked.Load(), p.before.Load()))
}
