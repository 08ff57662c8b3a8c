package segment

import (
	"container/list"
	"fmt"
	"time"

	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// What segments and unfinished wholes count besides their content, in bytes:
// about what they take in memory.
const (
	segmentCost = 64
	partialCost = 512
)

// Limits bound what a Reassembler keeps. Where there is no room, unfinished
// wholes go, the oldest first: those of the same signer as long as it has more
// than its share, then any.
type Limits struct {
	// MessageBytes is how long a whole may be.
	MessageBytes int
	// SignerBytes is the share of one signer in Bytes, which is for all unfinished
	// wholes together. Both count some bytes for each segment and whole besides
	// their content.
	SignerBytes, Bytes int
	// SignerIncomplete is the share of one signer in Incomplete, the number of
	// unfinished wholes. Complete is the number of finished ones whose late segments
	// are recognised.
	SignerIncomplete, Incomplete, Complete int
	// Age is how long either is kept, in nanoseconds.
	Age int64
}

// DefaultLimits keep for a month what deployed clients keep for a month, as long
// as there is room.
var DefaultLimits = Limits{
	MessageBytes:     wire.MaxMessageSize,
	SignerBytes:      4 * wire.MaxMessageSize,
	Bytes:            16 * wire.MaxMessageSize,
	SignerIncomplete: 64,
	Incomplete:       1024,
	Complete:         8192,
	Age:              int64(30 * 24 * time.Hour),
}

// Load is what a Reassembler keeps, and what it has thrown away.
type Load struct {
	// Bytes is what counts against Limits.Bytes.
	Bytes, Incomplete, Complete int
	// Evicted and Expired count unfinished wholes that were thrown away for want
	// of room, and for their age.
	Evicted, Expired uint64
}

// Reassembler puts segments together again that come in any order, twice, or not
// at all. It takes its time as an argument and keeps no reference to what it was
// given. For one goroutine at a time.
type Reassembler struct {
	// Evicted, if set, is told of each unfinished whole that is thrown away for want of
	// room.
	Evicted func(signer x3dh.IdentityPublicKey, hash [32]byte)

	limits     Limits
	partials   map[key]*partial
	order      *list.List // of partials, the oldest first
	signers    map[x3dh.IdentityPublicKey]share
	finished   map[key]*list.Element
	finishedIn *list.List // of finished, the oldest first
	load       Load
}

// share is what a signer has unfinished.
type share struct{ bytes, wholes int }

// finished is a whole that was handed out.
type finished struct {
	key key
	at  int64
}

// NewReassembler makes an empty one. ErrLimits if a limit is not positive, or
// smaller than one that it includes.
func NewReassembler(limits Limits) (*Reassembler, error) {
	if limits.MessageBytes < 1 || limits.SignerBytes < limits.MessageBytes || limits.Bytes < limits.SignerBytes ||
		limits.SignerIncomplete < 1 || limits.Incomplete < limits.SignerIncomplete || limits.Complete < 1 || limits.Age < 1 {
		return nil, ErrLimits
	}
	return &Reassembler{
		limits:     limits,
		partials:   map[key]*partial{},
		order:      list.New(),
		signers:    map[x3dh.IdentityPublicKey]share{},
		finished:   map[key]*list.Element{},
		finishedIn: list.New(),
	}, nil
}

// Add takes a segment from an envelope of the signer, at a time in nanoseconds
// since the epoch. It returns the whole if this was the last segment that it
// needed, and nil as long as more are missing; segments that are there already
// or come when the whole was handed out are dropped without an error.
//
// What the signer has got wrong is refused with ErrCount, ErrInconsistent,
// ErrTooLarge or ErrHash, and touches no other whole.
func (r *Reassembler) Add(now int64, signer x3dh.IdentityPublicKey, s waku.Segment) ([]byte, error) {
	r.Expire(now)
	if err := checkNumbers(&s); err != nil {
		return nil, err
	}
	k := key{s.Hash, signer}
	if _, done := r.finished[k]; done {
		return nil, nil
	}
	p, known := r.partials[k]
	if !known {
		p = newPartial(k, now)
	}
	wanted, err := p.want(&s, r.limits.MessageBytes)
	if err != nil || !wanted {
		return nil, err
	}
	cost := segmentCost + len(s.Payload)
	if !known {
		cost += partialCost
	}
	if err := r.makeRoom(p, cost); err != nil {
		return nil, err
	}
	if !known {
		r.partials[k] = p
		p.place = r.order.PushBack(p)
		r.count(p, 1)
	}
	r.charge(p, cost)
	p.keep(&s)
	if !p.ready() {
		return nil, nil
	}
	return r.finish(p, now)
}

// finish puts a whole together that has enough segments.
func (r *Reassembler) finish(p *partial, now int64) ([]byte, error) {
	whole, err := p.whole()
	switch {
	case whole != nil:
		r.remove(p)
		if r.finishedIn.Len() >= r.limits.Complete {
			r.forgetOldest()
		}
		r.finished[p.key] = r.finishedIn.PushBack(finished{p.key, now})
		return whole, nil
	case len(p.data) == p.count:
		r.remove(p)
	default:
		// One try is all that parity segments get: they cost the most to look at.
		// The data segments may be right.
		cost := 0
		for _, part := range p.parity {
			cost += segmentCost + len(part)
		}
		r.charge(p, -cost)
		p.dropParity()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHash, err)
	}
	return nil, ErrHash
}

// makeRoom throws away others until what p is to keep more keeps the limits.
func (r *Reassembler) makeRoom(p *partial, cost int) error {
	crowded := func() bool {
		has := r.signers[p.key.signer]
		return has.bytes+cost > r.limits.SignerBytes || p.place == nil && has.wholes >= r.limits.SignerIncomplete
	}
	for crowded() {
		oldest := r.oldest(func(other *partial) bool { return other != p && other.key.signer == p.key.signer })
		if oldest == nil {
			return fmt.Errorf("%w: more than the share of a signer, %d bytes", ErrTooLarge, r.limits.SignerBytes)
		}
		r.evict(oldest)
	}
	full := func() bool {
		return r.load.Bytes+cost > r.limits.Bytes || p.place == nil && len(r.partials) >= r.limits.Incomplete
	}
	for full() {
		// There is another one, since a signer's share is no larger than the whole.
		r.evict(r.oldest(func(other *partial) bool { return other != p }))
	}
	return nil
}

func (r *Reassembler) oldest(match func(*partial) bool) *partial {
	for e := r.order.Front(); e != nil; e = e.Next() {
		if p := e.Value.(*partial); match(p) {
			return p
		}
	}
	return nil
}

func (r *Reassembler) evict(p *partial) {
	r.remove(p)
	r.load.Evicted++
	if r.Evicted != nil {
		r.Evicted(p.key.signer, p.key.hash)
	}
}

func (r *Reassembler) remove(p *partial) {
	r.charge(p, -p.cost)
	r.count(p, -1)
	r.order.Remove(p.place)
	delete(r.partials, p.key)
	wipe(p.data)
	wipe(p.parity)
}

func (r *Reassembler) charge(p *partial, cost int) {
	p.cost += cost
	r.load.Bytes += cost
	has := r.signers[p.key.signer]
	has.bytes += cost
	r.signers[p.key.signer] = has
}

// count has the signer have one whole more, or less.
func (r *Reassembler) count(p *partial, by int) {
	has := r.signers[p.key.signer]
	if has.wholes += by; has.wholes == 0 {
		delete(r.signers, p.key.signer)
		return
	}
	r.signers[p.key.signer] = has
}

// Expire throws away what has come to its age. Add does it too; it is for times
// in which nothing comes.
func (r *Reassembler) Expire(now int64) {
	for e := r.order.Front(); e != nil; e = r.order.Front() {
		p := e.Value.(*partial)
		if now-p.first < r.limits.Age {
			break
		}
		r.remove(p)
		r.load.Expired++
	}
	for e := r.finishedIn.Front(); e != nil && now-e.Value.(finished).at >= r.limits.Age; e = r.finishedIn.Front() {
		r.forgetOldest()
	}
}

func (r *Reassembler) forgetOldest() {
	oldest := r.finishedIn.Front()
	delete(r.finished, r.finishedIn.Remove(oldest).(finished).key)
}

// Forget makes a whole that was handed out unknown again, for when it could not
// be dealt with: its segments, when they come again, make it anew.
func (r *Reassembler) Forget(signer x3dh.IdentityPublicKey, hash [32]byte) {
	k := key{hash, signer}
	if e, done := r.finished[k]; done {
		r.finishedIn.Remove(e)
		delete(r.finished, k)
	}
}

// Load tells what is kept.
func (r *Reassembler) Load() Load {
	load := r.load
	load.Incomplete, load.Complete = len(r.partials), len(r.finished)
	return load
}
