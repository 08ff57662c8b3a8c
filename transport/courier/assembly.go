package courier

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/segment"
	"github.com/rookery-im/rookery/x3dh"
)

// wholeKey names a message that came in segments. Its author is a signer on one
// topic: he may publish the same on another.
type wholeKey struct {
	hash   [32]byte
	author x3dh.IdentityPublicKey
}

// authorOf stands for a signer on a topic where segments are put together, which
// takes it for an identity. Its first half tells the topic.
func authorOf(signer x3dh.IdentityPublicKey, logical transport.Topic) (author x3dh.IdentityPublicKey) {
	place := placeOf(logical)
	h := sha256.New()
	h.Write([]byte("rookery author 2\x00"))
	h.Write(signer[:])
	h.Write([]byte(logical))
	copy(author[1:], place[:])
	copy(author[1+idSize:], h.Sum(nil))
	return author
}

// placeOf stands for a topic.
func placeOf(logical transport.Topic) id {
	h := sha256.New()
	h.Write([]byte("rookery place 1\x00"))
	h.Write([]byte(logical))
	return id(h.Sum(nil)[:idSize])
}

// on tells whether the message is on a topic.
func (k *wholeKey) on(place id) bool { return id(k.author[1:1+idSize]) == place }

// assembly puts segments together, and keeps those of unfinished messages in the
// store: their envelopes are settled when they are durable. There are two, so that
// strangers, of whom anybody can make any number, take no room from the others.
type assembly struct {
	whose byte // in the records

	mu          sync.Mutex
	reassembler *segment.Reassembler
	limits      segment.Limits
	kept        map[wholeKey]*keptWhole
	order       []*keptWhole // the oldest first; finished ones stay until they are first
	bytes       int
	gone        []persistence.Name
}

// keptWhole is an unfinished message of which the store has segments.
type keptWhole struct {
	key   wholeKey
	first int64 // when the first one came
	bytes int
	names []persistence.Name
	over  bool
}

func newAssembly(whose byte, limits segment.Limits) (*assembly, error) {
	reassembler, err := segment.NewReassembler(limits)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	y := &assembly{whose: whose, reassembler: reassembler, limits: limits, kept: make(map[wholeKey]*keptWhole)}
	reassembler.Evicted = func(author x3dh.IdentityPublicKey, hash [32]byte) {
		if k := y.kept[wholeKey{hash, author}]; k != nil {
			y.drop(k)
		}
	}
	return y, nil
}

// added is what became of a segment.
type added struct {
	whole []byte              // the message, if it was the last one that was needed
	keep  *persistence.Record // what has to be durable before it is settled, if it was not
}

// add takes a segment. An error says that it belongs to nothing.
func (y *assembly) add(now int64, author x3dh.IdentityPublicKey, s *waku.Segment) (added, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.reassembler.Expire(now)
	y.expire(now)
	before := y.reassembler.Load()
	whole, err := y.reassembler.Add(now, author, *s)
	if err != nil || whole != nil {
		return added{whole: whole}, err
	}
	after := y.reassembler.Load()
	if after.Bytes == before.Bytes && after.Evicted == before.Evicted {
		return added{}, nil // nobody needs it
	}
	encoded := s.Encode()
	name := segmentName(wholeKey{s.Hash, author}, s)
	y.keep(wholeKey{s.Hash, author}, name, len(encoded), now)
	author[0] = y.whose
	value := mustMarshal(&record.Segment{Author: author[:], Segment: encoded, Received: now})
	return added{keep: &persistence.Record{Name: name, Value: value}}, nil
}

// keep notes that the store has a segment, or is going to.
func (y *assembly) keep(key wholeKey, name persistence.Name, size int, now int64) {
	k := y.kept[key]
	if k == nil {
		k = &keptWhole{key: key, first: now}
		y.kept[key] = k
		y.order = append(y.order, k)
	}
	if slices.Contains(k.names, name) {
		return
	}
	k.names = append(k.names, name)
	k.bytes += size
	y.bytes += size
	for y.bytes > y.limits.Bytes && len(y.order) > 0 && y.order[0] != k {
		y.drop(y.order[0])
	}
}

// expire drops what is too old.
func (y *assembly) expire(now int64) {
	for len(y.order) > 0 && (y.order[0].over || now-y.order[0].first >= y.limits.Age) {
		y.drop(y.order[0])
	}
}

// drop has the records of an unfinished message deleted.
func (y *assembly) drop(k *keptWhole) {
	if !k.over {
		k.over = true
		y.gone = append(y.gone, k.names...)
		y.bytes -= k.bytes
		delete(y.kept, k.key)
	}
	for len(y.order) > 0 && y.order[0].over {
		y.order[0] = nil
		y.order = y.order[1:]
	}
}

// forget drops all unfinished messages of a topic, and tells whether any record is
// still to be deleted.
func (y *assembly) forget(logical transport.Topic) (waiting bool) {
	place := placeOf(logical)
	y.mu.Lock()
	defer y.mu.Unlock()
	for key, k := range y.kept {
		if key.on(place) {
			y.drop(k)
		}
	}
	return len(y.gone) > 0
}

// finished notes that a message was dealt with.
func (y *assembly) finished(key wholeKey) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if k := y.kept[key]; k != nil {
		y.drop(k)
	}
}

// writes gives the records to be deleted; written says that they are.
func (y *assembly) writes() (records []persistence.Record, written func()) {
	y.mu.Lock()
	defer y.mu.Unlock()
	n := len(y.gone)
	for _, name := range y.gone {
		records = append(records, persistence.Record{Name: name, Delete: true})
	}
	return records, func() {
		y.mu.Lock()
		defer y.mu.Unlock()
		y.gone = y.gone[n:]
	}
}

// has tells whether a message is unfinished, or not dealt with.
func (y *assembly) has(key wholeKey) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.kept[key] != nil
}

// keeps tells whether the segment of a record belongs to an unfinished message.
func (y *assembly) keeps(name persistence.Name) bool {
	parts, err := name.Parts()
	if err != nil || len(parts) != 3 {
		return false
	}
	var key wholeKey
	copy(key.hash[:], parts[0])
	copy(key.author[:], parts[1])
	y.mu.Lock()
	defer y.mu.Unlock()
	k := y.kept[key]
	return k != nil && slices.Contains(k.names, name)
}

// loadSegments takes the segments from the store, of one message or, for a nil key, of
// all.
func loadSegments(ctx context.Context, store Store, only *wholeKey, of func(whose byte) *assembly) error {
	prefix := persistence.NewName(persistence.KindSegment)
	if only != nil {
		prefix = persistence.NewName(persistence.KindSegment, only.hash[:], only.author[:])
	}
	return store.Scan(ctx, prefix, func(name persistence.Name, value []byte) error {
		r, s, err := decodeSegment(name, value)
		if err != nil {
			return err
		}
		key := wholeKey{s.Hash, x3dh.IdentityPublicKey(r.GetAuthor())}
		y := of(key.author[0])
		key.author[0] = 0
		y.mu.Lock()
		defer y.mu.Unlock()
		y.keep(key, name, len(r.GetSegment()), r.GetReceived())
		// What does not fit any more, by other limits or for its age, is refused. None
		// is complete: the segment that completes a message is not kept.
		_, _ = y.reassembler.Add(r.GetReceived(), key.author, s)
		return nil
	})
}

// sort puts what was loaded in the order in which it came.
func (y *assembly) sort() {
	slices.SortStableFunc(y.order, func(a, b *keptWhole) int { return cmp.Compare(a.first, b.first) })
}

// revive takes a message that was put together and not dealt with apart again: the
// segment that completed it will come from the history, the others are in the store.
func (c *Courier) revive(key wholeKey) {
	for _, y := range c.segments.both() {
		y.mu.Lock()
		y.reassembler.Forget(key.author, key.hash)
		y.mu.Unlock()
	}
	if err := loadSegments(c.ctx, c.options.Store, &key, c.segments.of); err != nil && c.ctx.Err() == nil {
		c.log.Warn("segments cannot be read from the store", "error", err)
	}
}

// segmentName names the record of a segment.
func segmentName(key wholeKey, s *waku.Segment) persistence.Name {
	part := []byte{0}
	index := s.Index
	if s.IsParity() {
		part[0], index = 1, s.ParityIndex
	}
	return persistence.NewName(persistence.KindSegment, key.hash[:], key.author[:], binary.BigEndian.AppendUint32(part, index))
}

// take gives a message that was opened to who waits for it, when all of it is here.
func (c *Courier) take(a *arrival, f found) {
	s, err := waku.DecodeSegment(f.Data)
	if err != nil { // a message that needed no cutting
		c.hand(a, &f, f.Data, nil)
		return
	}
	author := authorOf(f.Signer, f.route.logical)
	y := c.segments.forWhole(wholeKey{s.Hash, author}, c.acquainted(&f))
	result, err := y.add(c.now(), author, &s)
	switch {
	case err != nil:
		c.counts.malformed.Add(1)
	case result.whole != nil:
		c.hand(a, &f, result.whole, &wholeKey{s.Hash, author})
		return
	default:
		c.counts.segments.Add(1)
	}
	through := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.noteDelivered(a, f.route)
		c.through(a, f.route)
	}
	if result.keep == nil {
		through()
		return
	}
	if !c.writeFor(f.route, *result.keep, through) { // nobody listens any more
		c.mu.Lock()
		c.abandon(a, f.route)
		c.mu.Unlock()
		y.finished(wholeKey{s.Hash, author})
	}
}
