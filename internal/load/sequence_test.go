package load

import (
	"testing"

	"pgregory.net/rapid"
)

// A sequence is a set, whatever order its numbers come in and however often.
func TestSequenceIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s sequence
		set := make(map[uint32]bool)
		for _, n := range rapid.SliceOf(rapid.Uint32Range(0, 40)).Draw(t, "numbers") {
			if s.add(n) == set[n] {
				t.Fatalf("%d is new: %v, in %v", n, set[n], set)
			}
			set[n] = true
			low := uint32(0)
			for set[low] {
				low++
			}
			if s.low() != low {
				t.Fatalf("low %d, want %d of %v", s.low(), low, set)
			}
			for below := uint32(0); below < 50; below++ {
				lacking := 0
				for i := range below {
					if !set[i] {
						lacking++
					}
				}
				if s.lacks(below) != lacking || s.has(below) != set[below] {
					t.Fatalf("of %v below %d: lacks %d, want %d; has it: %v", set, below, s.lacks(below), lacking, s.has(below))
				}
			}
		}
	})
}
