package segment

import (
	"bytes"
	"container/list"
	"fmt"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/x3dh"
)

// trailingZeros is with how many zeros the last data segment may end for being
// restored: segments do not say how long the whole is, and each more costs
// another hash of it. Deployed clients restore it only if it is a full one.
const trailingZeros = 2

// key names a whole. Whoever has not signed its segments cannot add to it.
type key struct {
	hash   [32]byte
	signer x3dh.IdentityPublicKey
}

// partial is an unfinished whole.
type partial struct {
	key   key
	first int64 // when the first segment came
	cost  int   // what it takes of the limits
	place *list.Element

	count, parityCount int // 0: not known yet
	size               int // of every segment but the last data segment; 0: not known yet
	last               int // of the last data segment; 0: not known yet
	data, parity       map[uint32][]byte
	// noParity is set when what the parity segments gave was wrong.
	noParity bool
}

func newPartial(k key, now int64) *partial {
	return &partial{key: k, first: now, data: map[uint32][]byte{}, parity: map[uint32][]byte{}}
}

// slot is where a segment belongs.
func (p *partial) slot(s *waku.Segment) (segments map[uint32][]byte, index uint32) {
	if s.IsParity() {
		return p.parity, s.ParityIndex
	}
	return p.data, s.Index
}

// checkNumbers tells whether a segment can belong to any whole.
func checkNumbers(s *waku.Segment) error {
	if s.IsParity() {
		// A whole that needs cutting has at least two data segments.
		if s.ParityCount > maxCoded-2 || s.ParityIndex >= s.ParityCount {
			return fmt.Errorf("%w: parity segment %d of %d", ErrCount, s.ParityIndex, s.ParityCount)
		}
		return nil
	}
	if s.Count < 2 || s.Count > MaxSegments || s.Index >= s.Count {
		return fmt.Errorf("%w: segment %d of %d", ErrCount, s.Index, s.Count)
	}
	return nil
}

// want tells whether the segment is one that is still missing, or why it cannot
// be one of this whole. It changes nothing.
func (p *partial) want(s *waku.Segment, maxBytes int) (bool, error) {
	if s.IsParity() && p.noParity {
		return false, nil
	}
	next := *p
	next.learn(s)
	switch {
	case p.count != 0 && p.count != next.count || p.parityCount != 0 && p.parityCount != next.parityCount:
		return false, fmt.Errorf("%w: counts %d and %d", ErrInconsistent, next.count, next.parityCount)
	case next.parityCount != 0 && next.count+next.parityCount > maxCoded:
		return false, fmt.Errorf("%w: %d segments and %d of parity", ErrInconsistent, next.count, next.parityCount)
	case p.size != 0 && p.size != next.size || next.size != 0 && next.last > next.size:
		return false, fmt.Errorf("%w: %d bytes", ErrInconsistent, len(s.Payload))
	case next.least() > maxBytes, s.IsParity() && (len(p.parity)+1)*next.size > maxBytes:
		return false, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, maxBytes)
	}
	segments, index := p.slot(s)
	held, ok := segments[index]
	if ok && !bytes.Equal(held, s.Payload) {
		return false, fmt.Errorf("%w: other content under index %d", ErrInconsistent, index)
	}
	return !ok, nil
}

// learn takes over what a segment says about all of them.
func (p *partial) learn(s *waku.Segment) {
	switch {
	case s.IsParity():
		p.parityCount, p.size = int(s.ParityCount), len(s.Payload)
	case s.Index == s.Count-1:
		p.count, p.last = int(s.Count), len(s.Payload)
	default:
		p.count, p.size = int(s.Count), len(s.Payload)
	}
}

// least is how long the whole is at least.
func (p *partial) least() int {
	return (max(p.count, 2)-1)*max(p.size, p.last, 1) + max(p.last, 1)
}

// keep takes a segment that is wanted.
func (p *partial) keep(s *waku.Segment) {
	p.learn(s)
	segments, index := p.slot(s)
	segments[index] = bytes.Clone(s.Payload)
}

// ready tells whether the whole can be put together.
func (p *partial) ready() bool {
	return p.count != 0 && len(p.data)+len(p.parity) >= p.count
}

// whole puts the segments together; nil if the hash says that they are wrong.
func (p *partial) whole() ([]byte, error) {
	if len(p.data) == p.count {
		all := make([]byte, 0, (p.count-1)*p.size+p.last)
		for i := range p.count {
			all = append(all, p.data[uint32(i)]...)
		}
		if !p.isWhole(all) {
			return nil, nil
		}
		return all, nil
	}
	shards, err := p.restore()
	if err != nil {
		return nil, err
	}
	all := make([]byte, 0, p.count*p.size)
	for _, shard := range shards {
		all = append(all, shard...)
	}
	start := (p.count - 1) * p.size
	if p.last != 0 {
		if all = all[:start+p.last]; p.isWhole(all) {
			return all, nil
		}
		return nil, nil
	}
	length := max(1, len(bytes.TrimRight(shards[p.count-1], "\x00")))
	for end := start + length; end <= min(start+length+trailingZeros, len(all)); end++ {
		if p.isWhole(all[:end]) {
			return all[:end], nil
		}
	}
	return nil, nil
}

func (p *partial) isWhole(b []byte) bool { return curve.Keccak256(b) == p.key.hash }

// restore computes the missing data segments from the parity segments. The last
// one is padded.
func (p *partial) restore() ([][]byte, error) {
	code, err := newCode(p.count, p.parityCount)
	if err != nil {
		return nil, err
	}
	shards := make([][]byte, p.count+p.parityCount)
	for i, part := range p.data {
		shards[i] = padded(part, p.size)
	}
	for i, part := range p.parity {
		shards[p.count+int(i)] = part
	}
	if err := code.ReconstructData(shards); err != nil {
		return nil, fmt.Errorf("segment: restoring: %w", err)
	}
	return shards[:p.count], nil
}

// wipe overwrites what is kept: of a public message it is what somebody says.
func wipe(segments map[uint32][]byte) {
	for _, part := range segments {
		clear(part)
	}
}

// dropParity forgets the parity segments for good, and what only they have said.
func (p *partial) dropParity() {
	p.noParity = true
	wipe(p.parity)
	clear(p.parity)
	if p.last != 0 && len(p.data) == 1 {
		p.size = 0
	}
}
