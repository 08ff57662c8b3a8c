package segment

import (
	"bytes"
	"errors"
	"testing"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/x3dh"
)

// check holds what is always true of a Reassembler.
func check(tb interface {
	Helper()
	Fatalf(format string, args ...any)
}, r *Reassembler,
) {
	tb.Helper()
	load, total := r.Load(), 0
	signers := map[x3dh.IdentityPublicKey]share{}
	for k, p := range r.partials {
		cost := partialCost
		for _, held := range []map[uint32][]byte{p.data, p.parity} {
			for _, part := range held {
				cost += segmentCost + len(part)
			}
		}
		if cost != p.cost || k != p.key || len(p.data)+len(p.parity) == 0 && !p.noParity {
			tb.Fatalf("an unfinished whole of %d segments counts %d, want %d", len(p.data)+len(p.parity), p.cost, cost)
		}
		signers[k.signer] = share{signers[k.signer].bytes + cost, signers[k.signer].wholes + 1}
		total += cost
	}
	if len(signers) != len(r.signers) {
		tb.Fatalf("%d signers, want %d", len(r.signers), len(signers))
	}
	for signer, has := range signers {
		if r.signers[signer] != has || has.bytes > r.limits.SignerBytes || has.wholes > r.limits.SignerIncomplete {
			tb.Fatalf("a signer counts %+v, want %+v; limits %+v", r.signers[signer], has, r.limits)
		}
	}
	if load.Bytes != total || total > r.limits.Bytes || load.Incomplete > r.limits.Incomplete || load.Complete > r.limits.Complete ||
		load.Incomplete != r.order.Len() || load.Complete != r.finishedIn.Len() {
		tb.Fatalf("load %+v, want %d bytes; limits %+v", load, total, r.limits)
	}
}

// add adds segments of alice, and expects no error and no whole.
func add(t *testing.T, r *Reassembler, now int64, segments ...waku.Segment) {
	t.Helper()
	for i, s := range segments {
		if whole, err := r.Add(now, alice, s); whole != nil || err != nil {
			t.Fatalf("segment %d: %d bytes, %v", i, len(whole), err)
		}
		check(t, r)
	}
}

// completes adds a segment of alice, and expects the whole.
func completes(t *testing.T, r *Reassembler, now int64, s waku.Segment, want []byte) {
	t.Helper()
	if whole, err := r.Add(now, alice, s); err != nil || !bytes.Equal(whole, want) {
		t.Fatalf("%d bytes, want %d (%v)", len(whole), len(want), err)
	}
	check(t, r)
}

// refuses adds a segment of alice and expects it to change nothing.
func refuses(t *testing.T, r *Reassembler, s waku.Segment, reason error) {
	t.Helper()
	before := r.Load()
	if whole, err := r.Add(1, alice, s); whole != nil || !errors.Is(err, reason) {
		t.Errorf("%d bytes and %v, want %v", len(whole), err, reason)
	}
	check(t, r)
	if after := r.Load(); after != before {
		t.Errorf("load %+v, before %+v", after, before)
	}
}

func TestDuplicatesAndLateSegmentsAreDropped(t *testing.T) {
	whole := noise(95)
	all := split(t, whole, 10) // 10 and 1
	r := newReassembler(t, DefaultLimits)
	add(t, r, 1, all[:4]...)
	before := r.Load()
	add(t, r, 2, all[:4]...)
	if r.Load() != before {
		t.Errorf("load %+v, before %+v", r.Load(), before)
	}
	add(t, r, 3, all[4:9]...)
	completes(t, r, 3, all[9], whole)
	if load := r.Load(); load != (Load{Complete: 1}) {
		t.Errorf("load %+v after all", load)
	}
	add(t, r, 4, all...)
	if load := r.Load(); load != (Load{Complete: 1}) {
		t.Errorf("load %+v after late segments", load)
	}
}

// TestForgottenWholesAreMadeAgain is what a delivery that failed needs.
func TestForgottenWholesAreMadeAgain(t *testing.T) {
	whole := noise(25)
	all := split(t, whole, 10)
	r := newReassembler(t, DefaultLimits)
	add(t, r, 1, all[:2]...)
	r.Forget(alice, all[0].Hash) // not handed out yet: nothing to forget
	completes(t, r, 1, all[2], whole)
	r.Forget(bob, all[0].Hash)
	add(t, r, 2, all[0])
	r.Forget(alice, all[0].Hash)
	check(t, r)
	add(t, r, 3, all[:2]...)
	completes(t, r, 3, all[2], whole)
}

// TestSignersDoNotShareAWhole: nobody adds to, or hinders, what another has
// signed.
func TestSignersDoNotShareAWhole(t *testing.T) {
	whole := noise(25)
	all := split(t, whole, 10)
	r := newReassembler(t, DefaultLimits)
	add(t, r, 1, all[0])
	forged := all[1]
	forged.Payload = []byte("0123456789")
	for _, s := range []waku.Segment{forged, all[2]} {
		if got, err := r.Add(1, bob, s); got != nil || err != nil {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	add(t, r, 1, all[1])
	completes(t, r, 1, all[2], whole)
}

// T19: hostile segments, each beside honest ones that it must not harm.
func TestSegmentsThatContradictAreRefused(t *testing.T) {
	whole := noise(95)
	all := split(t, whole, 10) // 10, the last one of 5 bytes, and 1
	const last, parity = 9, 10
	change := func(i int, with func(*waku.Segment)) waku.Segment {
		s := all[i]
		with(&s)
		return s
	}
	length := func(i, n int) waku.Segment {
		return change(i, func(s *waku.Segment) { s.Payload = make([]byte, n) })
	}
	tests := []struct {
		name   string
		held   []int
		s      waku.Segment
		reason error
	}{
		{"no numbers at all", nil, waku.Segment{Hash: all[0].Hash, Payload: []byte("x")}, ErrCount},
		{"count of 1", nil, change(0, func(s *waku.Segment) { s.Count = 1 }), ErrCount},
		{"index at the count", nil, change(1, func(s *waku.Segment) { s.Index = 10 }), ErrCount},
		{"index of 2^32-1", nil, change(1, func(s *waku.Segment) { s.Index = 1<<32 - 1 }), ErrCount},
		{"count above the limit", nil, change(1, func(s *waku.Segment) { s.Count = MaxSegments + 1 }), ErrCount},
		{"count of 2^32-1", nil, change(1, func(s *waku.Segment) { s.Count = 1<<32 - 1 }), ErrCount},
		{"parity index at the count", nil, change(parity, func(s *waku.Segment) { s.ParityIndex = 1 }), ErrCount},
		{"parity count above the limit", nil, change(parity, func(s *waku.Segment) { s.ParityCount = maxCoded - 1 }), ErrCount},
		{"parity count of 2^32-1", nil, change(parity, func(s *waku.Segment) { s.ParityCount = 1<<32 - 1 }), ErrCount},
		{"another count", []int{0}, change(1, func(s *waku.Segment) { s.Count = 11 }), ErrInconsistent},
		{"another count, last", []int{0}, change(last, func(s *waku.Segment) { s.Count, s.Index = 11, 10 }), ErrInconsistent},
		{"another parity count", []int{0, parity}, change(parity, func(s *waku.Segment) { s.ParityCount = 2 }), ErrInconsistent},
		{"other content", []int{0}, length(0, 10), ErrInconsistent},
		{"other content, last", []int{last}, length(last, 5), ErrInconsistent},
		{"other content, parity", []int{0, parity}, length(parity, 10), ErrInconsistent},
		{"another length", []int{0}, length(1, 9), ErrInconsistent},
		{"last longer than the others", []int{0}, length(last, 11), ErrInconsistent},
		{"others shorter than the last", []int{last}, length(0, 4), ErrInconsistent},
		{"parity of another length", []int{0}, length(parity, 9), ErrInconsistent},
		{"parity shorter than the last", []int{last}, length(parity, 4), ErrInconsistent},
		{"data not as long as parity", []int{parity}, length(0, 9), ErrInconsistent},
		{"last longer than parity", []int{parity}, length(last, 11), ErrInconsistent},
		{"too many with parity", []int{0}, change(parity, func(s *waku.Segment) { s.ParityCount = 247 }), ErrInconsistent},
		{"too many with data", []int{parity}, change(0, func(s *waku.Segment) { s.Count = 256 }), ErrInconsistent},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newReassembler(t, DefaultLimits)
			for _, i := range test.held {
				add(t, r, 1, all[i])
			}
			refuses(t, r, test.s, test.reason)
			var got []byte
			for i, s := range all {
				whole, err := r.Add(1, alice, s)
				if err != nil {
					t.Fatalf("segment %d: %v", i, err)
				}
				if whole != nil {
					got = whole
				}
			}
			if !bytes.Equal(got, whole) {
				t.Errorf("%d bytes after it", len(got))
			}
		})
	}
}

func TestWrongDataIsThrownAway(t *testing.T) {
	all := split(t, noise(25), 10)
	all[1].Payload = []byte("0123456789")
	r := newReassembler(t, DefaultLimits)
	add(t, r, 1, all[:2]...)
	if whole, err := r.Add(1, alice, all[2]); whole != nil || !errors.Is(err, ErrHash) {
		t.Fatalf("%d bytes, %v", len(whole), err)
	}
	if check(t, r); r.Load() != (Load{}) {
		t.Errorf("load %+v", r.Load())
	}
	right := split(t, noise(25), 10)
	add(t, r, 1, right[:2]...)
	completes(t, r, 1, right[2], noise(25))
}

// TestWrongParityIsTriedOnce: the data segments still make the whole, and what
// else is called parity is not looked at.
func TestWrongParityIsTriedOnce(t *testing.T) {
	whole := noise(155)
	all := split(t, whole, 10) // 16 and 2
	r := newReassembler(t, DefaultLimits)
	wrong := all[16]
	wrong.Payload = []byte("0123456789")
	add(t, r, 1, wrong)
	add(t, r, 1, all[1:15]...)
	if got, err := r.Add(1, alice, all[0]); got != nil || !errors.Is(err, ErrHash) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	check(t, r)
	add(t, r, 1, all[16:]...)
	completes(t, r, 1, all[15], whole)
}

// TestWhatWrongParityHasSaidIsForgotten: only it said how long segments are.
func TestWhatWrongParityHasSaidIsForgotten(t *testing.T) {
	whole := noise(15)
	all := split(t, whole, 10)
	r := newReassembler(t, DefaultLimits)
	add(t, r, 1, waku.Segment{Hash: all[0].Hash, ParityCount: 3, Payload: make([]byte, 7)})
	if got, err := r.Add(1, alice, all[1]); got != nil || !errors.Is(err, ErrHash) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	check(t, r)
	completes(t, r, 1, all[0], whole)
}

// TestLastSegmentIsRestored, whose length nothing says; zeros at its end are
// taken for padding, but for two.
func TestLastSegmentIsRestored(t *testing.T) {
	tests := []struct {
		name     string
		last     []byte
		restored bool
	}{
		{"one byte", []byte{1}, true},
		{"one zero", []byte{0}, true},
		{"two zeros", []byte{0, 0}, true},
		{"three zeros", []byte{0, 0, 0}, true}, // the first is not taken for padding
		{"four zeros", []byte{0, 0, 0, 0}, false},
		{"no zero at its end", []byte{1, 0, 0, 2}, true},
		{"two zeros at its end", []byte{1, 0, 0}, true},
		{"three zeros at its end", []byte{1, 0, 0, 0}, false},
		{"full", []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, true},
		{"full, two zeros at its end", []byte{1, 2, 3, 4, 5, 6, 7, 8, 0, 0}, true},
		{"full of zeros but for one", []byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, false},
	}
	for _, test := range tests {
		whole := append(noise(70), test.last...)
		all := split(t, whole, 10) // 8 and 1
		r := newReassembler(t, DefaultLimits)
		add(t, r, 1, all[:7]...)
		got, err := r.Add(1, alice, all[8])
		if test.restored && (err != nil || !bytes.Equal(got, whole)) || !test.restored && (!errors.Is(err, ErrHash) || got != nil) {
			t.Errorf("%s: %d bytes, %v", test.name, len(got), err)
		}
		check(t, r)
		if !test.restored {
			completes(t, r, 1, all[7], whole)
		}
	}
}

// TestNothingIsKeptOfTheInput changes what was given.
func TestNothingIsKeptOfTheInput(t *testing.T) {
	whole := noise(25)
	r := newReassembler(t, DefaultLimits)
	for i, s := range split(t, whole, 10) {
		got, err := r.Add(1, alice, s)
		if err != nil || (got != nil) != (i == 2) || i == 2 && !bytes.Equal(got, whole) {
			t.Fatalf("segment %d: %x (%v)", i, got, err)
		}
		clear(s.Payload)
	}
}

// TestParityWithAnotherRateIsTaken: it is the sender that chooses how much.
func TestParityWithAnotherRateIsTaken(t *testing.T) {
	whole := noise(20)
	parts := [][]byte{whole[:10], whole[10:], make([]byte, 10), make([]byte, 10)}
	code, err := newCode(2, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := code.Encode(parts); err != nil {
		t.Fatal(err)
	}
	r := newReassembler(t, DefaultLimits)
	hash := curve.Keccak256(whole)
	add(t, r, 1, waku.Segment{Hash: hash, ParityIndex: 1, ParityCount: 2, Payload: parts[3]})
	completes(t, r, 1, waku.Segment{Hash: hash, Index: 0, Count: 2, Payload: parts[0]}, whole)
}
