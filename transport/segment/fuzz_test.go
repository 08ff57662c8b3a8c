package segment

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/x3dh"
)

// script reads hostile segments from a fuzzer's input.
type script struct{ rest []byte }

func (s *script) byte() byte {
	if len(s.rest) == 0 {
		return 0
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return b
}

// segment is one of few wholes, with numbers that are often near a bound.
func (s *script) segment() waku.Segment {
	number := func() uint32 {
		switch b := s.byte(); {
		case b < 250:
			return uint32(b) % 12
		case b < 253:
			return MaxSegments - 1 + uint32(b-250)
		default:
			return 1<<32 - 1 - uint32(b-253)
		}
	}
	segment := waku.Segment{Index: number(), Count: number(), Payload: bytes.Repeat([]byte{s.byte()}, 1+int(s.byte())%20)}
	if segment.Count == 0 {
		segment.ParityIndex, segment.ParityCount = number(), number()
	}
	segment.Hash[0] = s.byte() % 4
	return segment
}

// T19, T22: nothing that segments say makes it panic or break its limits, and
// what is handed out has its hash. The input is also taken for an encoded
// segment, and for a whole that is cut and comes between hostile segments.
func FuzzSegment(f *testing.F) {
	for _, c := range loadCuts(f) {
		for _, sent := range c.sent {
			f.Add(sent)
		}
	}
	f.Add(bytes.Repeat([]byte{0, 2, 'a', 9, 0, 1, 2, 'b', 3, 0}, 9))
	f.Add(bytes.Repeat([]byte{0, 0, 'a', 9, 0, 3, 1, 2, 'b', 9, 0, 254}, 9))
	f.Fuzz(func(t *testing.T, input []byte) {
		r := newReassembler(t, small())
		now := int64(0)
		take := func(signer x3dh.IdentityPublicKey, s waku.Segment) []byte {
			now++
			whole, err := r.Add(now, signer, s)
			check(t, r)
			if err != nil && !errors.Is(err, ErrCount) && !errors.Is(err, ErrInconsistent) && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrHash) {
				t.Fatalf("an error without a name: %v", err)
			}
			if whole != nil && (err != nil || curve.Keccak256(whole) != s.Hash || len(whole) > small().MessageBytes) {
				t.Fatalf("%d bytes that are not what was sent (%v)", len(whole), err)
			}
			return whole
		}
		if s, err := waku.DecodeSegment(input); err == nil {
			take(bob, s)
		}
		var honest []waku.Segment
		if len(input) > 20 && len(input) <= 200 {
			honest = split(t, input, 20)
		}
		commands := script{input}
		done := false
		for len(commands.rest) > 0 && now < 60 {
			signer := stranger(uint32(commands.byte()) % 3)
			take(signer, commands.segment())
			if len(honest) > 0 {
				done = take(alice, honest[0]) != nil || done
				honest = honest[1:]
			}
		}
		for _, s := range honest {
			done = take(alice, s) != nil || done
		}
		if len(input) > 20 && len(input) <= 200 && !done && r.Load().Evicted == 0 {
			t.Fatal("a whole whose segments came between hostile ones was not handed out")
		}
	})
}

func TestEnoughSegmentsInAnyOrderGiveTheWholeOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(1, 50).Draw(rt, "size")
		whole := rapid.SliceOfN(rapid.Byte(), size+1, 40*size).Draw(rt, "whole")
		whole[len(whole)-1] |= 1
		encoded, err := Split(whole, size)
		if err != nil {
			rt.Fatal(err)
		}
		count := (len(whole) + size - 1) / size
		lost := rapid.IntRange(0, len(encoded)-count).Draw(rt, "lost")
		arrived := rapid.Permutation(encoded).Draw(rt, "order")
		arrived = arrived[:len(arrived)-lost]
		again := rapid.SliceOfN(rapid.SampledFrom(arrived), 0, 10).Draw(rt, "again")
		r, err := NewReassembler(DefaultLimits)
		if err != nil {
			rt.Fatal(err)
		}
		made := 0
		for i, b := range append(arrived, again...) {
			s, err := waku.DecodeSegment(b)
			if err != nil {
				rt.Fatal(err)
			}
			got, err := r.Add(int64(i), alice, s)
			if err != nil {
				rt.Fatal(err)
			}
			check(rt, r)
			if got == nil {
				continue
			}
			if made++; !bytes.Equal(got, whole) || i != count-1 {
				rt.Fatalf("segment %d of %d needed gives %d bytes, want %d", i, count, len(got), len(whole))
			}
		}
		if made != 1 || r.Load() != (Load{Complete: 1}) {
			rt.Fatalf("handed out %d times, load %+v", made, r.Load())
		}
	})
}
