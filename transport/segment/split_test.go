package segment

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/rookery-im/rookery/proto/waku"
)

// noise is a whole of n bytes that does not end with a zero.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	if n > 0 {
		b[n-1] |= 1
	}
	return b
}

// split gives the decoded segments of a whole.
func split(tb testing.TB, whole []byte, size int) []waku.Segment {
	tb.Helper()
	encoded, err := Split(whole, size)
	if err != nil {
		tb.Fatal(err)
	}
	var all []waku.Segment
	for _, b := range encoded {
		all = append(all, decoded(tb, b))
	}
	return all
}

func TestOneParitySegmentForEachEight(t *testing.T) {
	tests := []struct{ bytes, size, data, parity int }{
		{11, 10, 2, 0},
		{20, 10, 2, 0},
		{21, 10, 3, 0},
		{70, 10, 7, 0},
		{71, 10, 8, 1},
		{150, 10, 15, 1},
		{151, 10, 16, 2},
		{228, 1, 228, 28}, // 256 together
		{229, 1, 229, 0},
		{MaxSegments, 1, MaxSegments, 0},
	}
	for _, test := range tests {
		whole := noise(test.bytes)
		before := bytes.Clone(whole)
		data, parity := 0, 0
		for _, s := range split(t, whole, test.size) {
			if s.IsParity() {
				if int(s.ParityIndex) != parity || int(s.ParityCount) != test.parity || len(s.Payload) != test.size {
					t.Errorf("%d bytes: parity segment %d of %d, %d bytes", test.bytes, s.ParityIndex, s.ParityCount, len(s.Payload))
				}
				parity++
				continue
			}
			if int(s.Index) != data || int(s.Count) != test.data || s.ParityCount != 0 || parity != 0 {
				t.Errorf("%d bytes: segment %d of %d at %d", test.bytes, s.Index, s.Count, data)
			}
			data++
		}
		if data != test.data || parity != test.parity {
			t.Errorf("%d bytes: %d and %d segments, want %d and %d", test.bytes, data, parity, test.data, test.parity)
		}
		if !bytes.Equal(whole, before) {
			t.Errorf("%d bytes: the whole was changed", test.bytes)
		}
	}
}

func TestWhatFitsIsNotCut(t *testing.T) {
	for _, n := range []int{0, 1, 9, 10} {
		whole := noise(n)
		got, err := Split(whole, 10)
		if err != nil || len(got) != 1 || !bytes.Equal(got[0], whole) {
			t.Errorf("%d bytes: %d parts (%v)", n, len(got), err)
		}
	}
}

func TestSplitRefuses(t *testing.T) {
	tests := []struct {
		bytes, size int
		reason      error
	}{
		{5, 0, ErrSize},
		{0, -1, ErrSize},
		{MaxSegments + 1, 1, ErrTooLarge},
		{10*MaxSegments + 1, 10, ErrTooLarge},
	}
	for _, test := range tests {
		if got, err := Split(make([]byte, test.bytes), test.size); got != nil || !errors.Is(err, test.reason) {
			t.Errorf("%d bytes in %d: %d parts (%v)", test.bytes, test.size, len(got), err)
		}
	}
}

func TestSizeLeavesAQuarter(t *testing.T) {
	for message, want := range map[int]int{1 << 20: 786_432, waku.MaxSentSize: 112_500, 20_000: 15_000} {
		if got := Size(message); got != want {
			t.Errorf("messages of %d bytes: segments of %d, want %d", message, got, want)
		}
	}
}
