package ratchet

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"
)

// T23: how far a message may be ahead in its own chain.
// Spec: draft.dropped.1 draft.out-of-order.2
func TestGapInTheCurrentChain(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		for _, c := range []struct {
			gap     int
			refused bool
		}{{0, false}, {1, false}, {999, false}, {1000, false}, {1001, true}, {1500, true}} {
			for _, started := range []bool{false, true} {
				alice, bob := newPair(t, suite)
				if started {
					bob.mustReceive(t, alice.send(t, nil), []byte{})
				}
				sent := alice.sendMany(t, c.gap+1)
				last := sent[c.gap]
				if c.refused {
					var gap *GapError
					if err := bob.mustRefuse(t, last, ErrTooManySkipped); !errors.As(err, &gap) {
						t.Fatalf("gap %d: %v", c.gap, err)
					}
					have := last.Header.N - uint32(c.gap)
					if want := (GapError{Have: have, Want: last.Header.N, Permitted: 1000}); *gap != want {
						t.Errorf("gap %d: %+v, want %+v", c.gap, *gap, want)
					}
					continue
				}
				bob.mustReceive(t, last, numbered(c.gap))
				if bob.skipped.Len() != c.gap {
					t.Errorf("gap %d: %d keys stored", c.gap, bob.skipped.Len())
				}
				for i, m := range sent[:c.gap] {
					bob.mustReceive(t, m, numbered(i))
				}
				if bob.skipped.Len() != 0 {
					t.Errorf("gap %d: %d keys left", c.gap, bob.skipped.Len())
				}
			}
		}
	})
}

// gapInPrevious makes Alice leave a chain of which Bob has not received the
// last lost messages; it gives those and the first one of her next chain.
func gapInPrevious(t *testing.T, suite Suite, lost int) (bob *party, late []Message, next *party) {
	t.Helper()
	alice, bob := newPair(t, suite)
	bob.mustReceive(t, alice.send(t, nil), []byte{})
	answer := bob.send(t, nil)
	late = alice.sendMany(t, lost)
	alice.mustReceive(t, answer, []byte{})
	return bob, late, alice
}

// T23: how much of the previous chain a message may leave behind, alone and
// together with a gap in its own chain.
// Spec: draft.dropped.1
func TestGapInThePreviousChain(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		for _, c := range []struct {
			previous, current   int
			refused, inPrevious bool
		}{
			{999, 0, false, false},
			{1000, 0, false, false},
			{1001, 0, true, true},
			{1000, 1000, false, false},
			{1001, 1000, true, true},
			{1000, 1001, true, false},
			{0, 1001, true, false},
			{1001, 1001, true, true},
		} {
			bob, late, alice := gapInPrevious(t, suite, c.previous)
			ahead := alice.sendMany(t, c.current+1)
			last := ahead[c.current]
			if last.Header.PN != uint32(c.previous)+1 {
				t.Fatalf("pn = %d", last.Header.PN)
			}
			if c.refused {
				var gap *GapError
				err := bob.mustRefuse(t, last, ErrTooManySkipped)
				if !errors.As(err, &gap) || gap.Previous != c.inPrevious || gap.Permitted != 1000 {
					t.Errorf("gaps %d and %d: %v", c.previous, c.current, err)
				}
				continue
			}
			bob.mustReceive(t, last, numbered(c.current))
			if bob.skipped.Len() != c.previous+c.current {
				t.Errorf("gaps %d and %d: %d keys stored", c.previous, c.current, bob.skipped.Len())
			}
			for i, m := range late {
				bob.mustReceive(t, m, numbered(i))
			}
			for i, m := range ahead[:c.current] {
				bob.mustReceive(t, m, numbered(i))
			}
		}
	})
}

func TestGapErrorSaysWhichChain(t *testing.T) {
	for e, want := range map[*GapError]string{
		{Previous: true, Have: 1, Want: 5, Permitted: 3}: "ratchet: too many skipped messages: previous chain from 1 to 5, at most 3",
		{Have: 0, Want: 9, Permitted: 3}:                 "ratchet: too many skipped messages: current chain from 0 to 9, at most 3",
	} {
		if e.Error() != want {
			t.Errorf("%q, want %q", e.Error(), want)
		}
		if !errors.Is(e, ErrTooManySkipped) || errors.Is(e, ErrMAC) {
			t.Errorf("%v is of the wrong kind", e)
		}
	}
}

// T23: over the number of stored keys the oldest goes first.
// Spec: draft.out-of-order.2
func TestStoredKeysAreBounded(t *testing.T) {
	for _, total := range []int{1999, 2000, 2001, 2003} {
		alice, bob := newPair(t, Secp256k1)
		sent := alice.sendMany(t, total+3)
		// Three gaps, since one may be 1000 at most.
		for _, n := range []int{700, 1401, total + 2} {
			bob.mustReceive(t, sent[n], numbered(n))
		}
		stored := min(total, 2000)
		if bob.skipped.Len() != stored {
			t.Errorf("%d of %d skipped keys are stored, want %d", bob.skipped.Len(), total, stored)
		}
		for i := range total - stored {
			bob.mustRefuse(t, sent[i], ErrMessageKeyGone)
		}
		first := total - stored
		bob.mustReceive(t, sent[first], numbered(first))
		bob.mustReceive(t, sent[total+1], numbered(total+1))
	}
}

// A gap larger than the store keeps the newest keys of the gap itself.
func TestOneGapCanFillTheStore(t *testing.T) {
	alice, bob := newPair(t, Secp256k1)
	bob.limits = Limits{MaxSkip: 100, MaxKeep: 1000, MaxStored: 10}
	sent := alice.sendMany(t, 80)
	bob.mustReceive(t, sent[5], numbered(5))
	bob.mustReceive(t, sent[79], numbered(79))
	if bob.skipped.Len() != 10 {
		t.Errorf("%d keys stored", bob.skipped.Len())
	}
	for _, n := range []int{0, 4, 6, 68} {
		bob.mustRefuse(t, sent[n], ErrMessageKeyGone)
	}
	bob.mustReceive(t, sent[69], numbered(69))
	bob.mustReceive(t, sent[78], numbered(78))
}

// T23: a key that was not used is deleted when its session has made 3000 keys
// since, itself counted.
// Spec: draft.out-of-order.2
func TestUnusedKeysAreDeletedInTime(t *testing.T) {
	for _, c := range []struct {
		made uint64
		kept bool
	}{{2, true}, {2999, true}, {3000, false}, {3001, false}} {
		alice, bob := newPair(t, Secp256k1)
		sent := alice.sendMany(t, int(c.made))
		for n := 1; n < len(sent); n++ {
			bob.mustReceive(t, sent[n], numbered(n))
		}
		if bob.state.KeysMade != c.made {
			t.Fatalf("%d keys made", bob.state.KeysMade)
		}
		if c.kept {
			bob.mustReceive(t, sent[0], numbered(0))
		} else {
			bob.mustRefuse(t, sent[0], ErrMessageKeyGone)
		}
		if bob.skipped.Len() != 0 {
			t.Errorf("%d keys left", bob.skipped.Len())
		}
	}
}

// A gap may make keys that are too old the moment they are made.
func TestKeysOfOneGapCanBeTooOldAtOnce(t *testing.T) {
	alice, bob := newPair(t, Secp256k1)
	bob.limits = Limits{MaxSkip: 100, MaxKeep: 20, MaxStored: 1000}
	sent := alice.sendMany(t, 50)
	bob.mustReceive(t, sent[49], numbered(49))
	// 50 keys were made, so those up to number 30 are 20 keys old.
	if bob.skipped.Len() != 18 {
		t.Errorf("%d keys stored, want 18", bob.skipped.Len())
	}
	bob.mustRefuse(t, sent[30], ErrMessageKeyGone)
	bob.mustReceive(t, sent[32], numbered(32))
	bob.mustReceive(t, sent[31], numbered(31))
}

// T23: numbers next to 2^32: no wrap, neither in N nor in PN.
func TestNumbersDoNotWrap(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		bob.mustReceive(t, alice.send(t, nil), []byte{})
		alice.state.Send.N, bob.state.Recv.N = math.MaxUint32-3, math.MaxUint32-3
		var sent []Message
		for n := uint32(math.MaxUint32 - 3); n < math.MaxUint32; n++ {
			m := alice.send(t, []byte("m"))
			if m.Header.N != n {
				t.Fatalf("n = %d, want %d", m.Header.N, n)
			}
			sent = append(sent, m)
		}
		before := alice.clone()
		if _, _, err := alice.state.Encrypt(nil, nil, RandomIV, alice.rand); !errors.Is(err, ErrChainExhausted) {
			t.Fatalf("the last number is used: %v", err)
		}
		if !alice.equal(before) {
			t.Fatal("an exhausted chain changes")
		}
		slices.Reverse(sent)
		for _, m := range sent {
			bob.mustReceive(t, m, []byte("m"))
			bob.mustRefuse(t, m, ErrMessageKeyGone)
		}
		if bob.state.Recv.N != math.MaxUint32 {
			t.Fatalf("the chain is at %d", bob.state.Recv.N)
		}
		beyond := sent[0]
		beyond.Header.N = math.MaxUint32
		bob.mustRefuse(t, beyond, ErrHeader)
		beyond.Header.N = 0
		bob.mustRefuse(t, beyond, ErrMessageKeyGone)

		// A ratchet turn goes on: PN is 2^32-1 and skips nothing.
		bob.answer(t, alice)
		next := alice.send(t, []byte("next"))
		if next.Header.PN != math.MaxUint32 || next.Header.N != 0 {
			t.Fatalf("n = %d, pn = %d", next.Header.N, next.Header.PN)
		}
		bob.mustReceive(t, next, []byte("next"))
	})
}

// T23: the extremes of N and PN in a message that is not from the peer.
func TestExtremeNumbersAreRefused(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		bob.mustReceive(t, alice.send(t, nil), []byte{})
		bob.answer(t, alice)
		for _, c := range []struct {
			name  string
			n, pn uint32
			turn  bool
			want  error
		}{
			{"N = 2^32-1", math.MaxUint32, 0, false, ErrHeader},
			{"N = 2^32-2", math.MaxUint32 - 1, 0, false, ErrTooManySkipped},
			{"N = 2^32-1 in a new chain", math.MaxUint32, 1, true, ErrHeader},
			{"N = 2^32-2 in a new chain", math.MaxUint32 - 1, 1, true, ErrTooManySkipped},
			{"PN = 2^32-1", 0, math.MaxUint32, true, ErrTooManySkipped},
			{"PN = 2^32-2", 0, math.MaxUint32 - 1, true, ErrTooManySkipped},
			{"PN behind the chain", 0, 0, true, ErrMessageKeyGone},
			{"PN of no meaning in the current chain", 5, math.MaxUint32, false, ErrMAC},
		} {
			m := alice.clone().send(t, []byte("m"))
			if !c.turn {
				m.Header.Key = bob.state.Remote
			}
			m.Header.N, m.Header.PN = c.n, c.pn
			if err := bob.mustRefuse(t, m); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
	})
}

// T23: a message over the limit costs no hash: it is refused before anything
// is derived, whatever the gap.
func TestRefusedGapsDeriveNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		alter func(h *Header)
	}{
		{"in the current chain", func(h *Header) { h.N = maxIndex }},
		{"one over", func(h *Header) { h.N += 1001 }},
		{"in a new chain", func(h *Header) { h.Key.b[5] ^= 1; h.N = maxIndex }},
		{"in the previous chain", func(h *Header) { h.Key.b[5] ^= 1; h.PN = math.MaxUint32 }},
	} {
		alice, bob := newPair(t, Secp256k1)
		bob.mustReceive(t, alice.send(t, nil), []byte{})
		bob.answer(t, alice)
		bob.mustReceive(t, alice.send(t, nil), []byte{})
		m := alice.send(t, make([]byte, 100))
		bob.answer(t, alice)
		c.alter(&m.Header)
		bob.mustRefuse(t, m, ErrTooManySkipped)
		refuse := func() { _, _, _, _ = bob.state.Decrypt(bob.skipped, m, nil, bob.limits) }
		// The error itself is the one allocation; skipping would allocate room
		// for its keys and opening a buffer.
		if n := testing.AllocsPerRun(100, refuse); n > 1 {
			t.Errorf("%s: a refusal allocates %v times", c.name, n)
		}
		// The best of many, so that a busy machine does not matter: one chain
		// step already takes more than this allows when counted in thousands.
		best := time.Hour
		for range 1000 {
			start := time.Now()
			refuse()
			best = min(best, time.Since(start))
		}
		if best > 50*time.Microsecond {
			t.Errorf("%s: a refusal takes %v", c.name, best)
		}
	}
}

// T23: an accepted gap costs one chain step per key: linear, and all room for
// the keys is taken at once.
func TestAcceptedGapsAreLinear(t *testing.T) {
	for _, gap := range []uint32{0, 1, 10, 100, 1000} {
		alice, bob := newPair(t, Secp256k1)
		bob.mustReceive(t, alice.send(t, nil), []byte{})
		before := bob.state.KeysMade
		sent := alice.sendMany(t, int(gap)+1)
		last := sent[gap]
		next, effects, _, err := bob.state.Decrypt(bob.skipped, last, nil, bob.limits)
		if err != nil {
			t.Fatal(err)
		}
		if steps := next.KeysMade - before; steps != uint64(gap)+1 || len(effects.Add) != int(gap) {
			t.Errorf("gap %d: %d steps, %d keys", gap, steps, len(effects.Add))
		}
		allocated := testing.AllocsPerRun(5, func() { _, _, _, _ = bob.state.Decrypt(bob.skipped, last, nil, bob.limits) })
		if allocated > 2+allocationsOfAES(len(last.Ciphertext)-Overhead) { // the plaintext, and the keys together
			t.Errorf("gap %d: %v allocations", gap, allocated)
		}
	}
}
