package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/x3dh"
)

// first is the first of two segments of the nth whole.
func first(n uint32, size int) waku.Segment {
	s := waku.Segment{Count: 2, Payload: make([]byte, size)}
	binary.BigEndian.PutUint32(s.Hash[:], n)
	return s
}

func stranger(n uint32) (signer x3dh.IdentityPublicKey) {
	binary.BigEndian.PutUint32(signer[1:], n)
	return signer
}

func small() Limits {
	return Limits{MessageBytes: 1000, SignerBytes: 4000, Bytes: 10_000, SignerIncomplete: 8, Incomplete: 8, Complete: 3, Age: 100}
}

func TestLimitsThatContradictAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Limits){
		"no message":                func(l *Limits) { l.MessageBytes = 0 },
		"share below a message":     func(l *Limits) { l.SignerBytes = 999 },
		"whole below a share":       func(l *Limits) { l.Bytes = 3999 },
		"no unfinished whole":       func(l *Limits) { l.Incomplete = 0 },
		"no share of wholes":        func(l *Limits) { l.SignerIncomplete = 0 },
		"wholes below a share":      func(l *Limits) { l.SignerIncomplete = 9 },
		"no finished whole":         func(l *Limits) { l.Complete = 0 },
		"no age":                    func(l *Limits) { l.Age = 0 },
		"nothing at all":            func(l *Limits) { *l = Limits{} },
		"a message of less than no": func(l *Limits) { l.MessageBytes = -1 },
	} {
		limits := small()
		change(&limits)
		if r, err := NewReassembler(limits); r != nil || !errors.Is(err, ErrLimits) {
			t.Errorf("%s: %v", name, err)
		}
	}
	newReassembler(t, small())
	newReassembler(t, DefaultLimits)
}

func TestWholesAboveTheLimitAreRefusedAtTheirFirstSegment(t *testing.T) {
	tests := []struct {
		name string
		held *waku.Segment
		s    waku.Segment
		fits bool
	}{
		{"first of two", nil, waku.Segment{Count: 2, Payload: make([]byte, 999)}, true},
		{"first of two, too long", nil, waku.Segment{Count: 2, Payload: make([]byte, 1000)}, false},
		{"one of many", nil, waku.Segment{Count: 1000, Payload: make([]byte, 1)}, true},
		{"one of many, too many", nil, waku.Segment{Count: 1001, Payload: make([]byte, 1)}, false},
		{"last of two", nil, waku.Segment{Count: 2, Index: 1, Payload: make([]byte, 500)}, true},
		{"last of two, too long", nil, waku.Segment{Count: 2, Index: 1, Payload: make([]byte, 501)}, false},
		{"parity", nil, waku.Segment{ParityCount: 1, Payload: make([]byte, 999)}, true},
		{"parity, too long", nil, waku.Segment{ParityCount: 1, Payload: make([]byte, 1000)}, false},
		{"parity for many", &waku.Segment{Count: 100, Index: 99, Payload: make([]byte, 1)}, waku.Segment{ParityCount: 12, Payload: make([]byte, 10)}, true},
		{"parity for many, too long", &waku.Segment{Count: 100, Index: 99, Payload: make([]byte, 1)}, waku.Segment{ParityCount: 12, Payload: make([]byte, 11)}, false},
	}
	for _, test := range tests {
		r := newReassembler(t, small())
		if test.held != nil {
			add(t, r, 1, *test.held)
		}
		if test.fits {
			add(t, r, 1, test.s)
		} else {
			refuses(t, r, test.s, ErrTooLarge)
		}
	}
}

// TestParityAloneIsBounded: as long as no data segment says how many there are.
func TestParityAloneIsBounded(t *testing.T) {
	r := newReassembler(t, small())
	for i := range uint32(10) {
		add(t, r, 1, waku.Segment{ParityIndex: i, ParityCount: 200, Payload: make([]byte, 100)})
	}
	refuses(t, r, waku.Segment{ParityIndex: 10, ParityCount: 200, Payload: make([]byte, 100)}, ErrTooLarge)
}

// TestAWholeAboveTheShareIsRefused: here the cost of many small segments.
func TestAWholeAboveTheShareIsRefused(t *testing.T) {
	const exactly = partialCost + 20*(segmentCost+1)
	for share, fit := range map[int]uint32{exactly - 1: 19, exactly: 20, exactly + segmentCost: 20} {
		limits := small()
		limits.SignerBytes = share
		r := newReassembler(t, limits)
		for n := range fit {
			add(t, r, 1, waku.Segment{Count: 200, Index: n, Payload: []byte{1}})
		}
		refuses(t, r, waku.Segment{Count: 200, Index: fit, Payload: []byte{1}}, ErrTooLarge)
	}
}

// TestASignerHasItsShareOfTheWholes: one that begins many loses its own.
func TestASignerHasItsShareOfTheWholes(t *testing.T) {
	limits := small()
	limits.SignerIncomplete = 3
	r := newReassembler(t, limits)
	var gone []uint32
	r.Evicted = func(signer x3dh.IdentityPublicKey, hash [32]byte) {
		if signer != stranger(1) {
			t.Errorf("a whole of %x was thrown away", signer)
		}
		gone = append(gone, binary.BigEndian.Uint32(hash[:]))
	}
	whole := noise(15)
	all := split(t, whole, 10)
	add(t, r, 1, all[0])
	for n := range uint32(6) {
		if _, err := r.Add(1, stranger(1), first(n, 10)); err != nil {
			t.Fatal(err)
		}
		check(t, r)
	}
	if !slices.Equal(gone, []uint32{0, 1, 2}) || r.Load().Incomplete != 4 {
		t.Errorf("gone %v, load %+v", gone, r.Load())
	}
	completes(t, r, 1, all[1], whole)
}

// TestWhatGrowsIsNotWhatGoes: the oldest of three wholes gets another segment
// where there is room for the first of each only.
func TestWhatGrowsIsNotWhatGoes(t *testing.T) {
	const three = 3 * (partialCost + segmentCost + 450)
	whole := noise(900)
	all := split(t, whole, 450)
	for name, of := range map[string]func(n uint32) x3dh.IdentityPublicKey{
		"one signer":    func(uint32) x3dh.IdentityPublicKey { return alice },
		"three signers": stranger,
	} {
		limits := small()
		limits.Bytes, limits.SignerBytes = three, three
		r := newReassembler(t, limits)
		add(t, r, 1, all[0])
		for n := range uint32(2) {
			if _, err := r.Add(2, of(n), first(n, 450)); err != nil {
				t.Fatal(err)
			}
		}
		if load := r.Load(); load.Bytes != three || load.Evicted != 0 {
			t.Fatalf("%s: load %+v, not just full", name, load)
		}
		completes(t, r, 3, all[1], whole)
		for n, want := range []bool{false, true} {
			if _, held := r.partials[key{first(uint32(n), 450).Hash, of(uint32(n))}]; held != want {
				t.Errorf("%s: whole %d after the first is held: %v", name, n+1, held)
			}
		}
	}
}

func TestTheOldestOfASignerGoesFirst(t *testing.T) {
	r := newReassembler(t, small())
	if _, err := r.Add(1, bob, first(100, 900)); err != nil {
		t.Fatal(err)
	}
	for n := range uint32(3) { // a share has room for two
		add(t, r, 2, first(n, 900))
	}
	if load := r.Load(); load.Incomplete != 3 || load.Evicted != 1 {
		t.Errorf("load %+v", load)
	}
	for n, want := range map[uint32]bool{0: false, 1: true, 2: true} {
		if _, held := r.partials[key{first(n, 900).Hash, alice}]; held != want {
			t.Errorf("whole %d is held: %v", n, held)
		}
	}
	if _, held := r.partials[key{first(100, 900).Hash, bob}]; !held {
		t.Error("another signer's whole is gone")
	}
}

func TestTheOldestOfAllGoesWhereThereIsNoRoom(t *testing.T) {
	for name, size := range map[string]int{"bytes": 900, "number": 10} {
		r := newReassembler(t, small())
		const wholes = 12
		for n := range uint32(wholes) {
			if _, err := r.Add(int64(n), stranger(n), first(n, size)); err != nil {
				t.Fatal(err)
			}
			check(t, r)
		}
		load := r.Load()
		if load.Incomplete+int(load.Evicted) != wholes || load.Evicted == 0 {
			t.Errorf("%s: load %+v", name, load)
		}
		for n := range uint32(wholes) {
			_, held := r.partials[key{first(n, size).Hash, stranger(n)}]
			if want := uint64(n) >= load.Evicted; held != want {
				t.Errorf("%s: whole %d is held: %v", name, n, held)
			}
		}
	}
}

func TestFinishedWholesAreRememberedForAWhile(t *testing.T) {
	r := newReassembler(t, small())
	finish := func(now int64, n int) waku.Segment {
		whole := noise(10 + n)
		all := split(t, whole, 9)
		add(t, r, now, all[:len(all)-1]...)
		completes(t, r, now, all[len(all)-1], whole)
		return all[0]
	}
	oldest := finish(1, 1)
	for n := range 3 { // and no more than 3
		finish(2, 2+n)
	}
	add(t, r, 3, oldest)
	if load := r.Load(); load.Complete != 3 || load.Incomplete != 1 {
		t.Errorf("load %+v, want the oldest forgotten and begun again", load)
	}
	r.Expire(102)
	if load := r.Load(); load.Complete != 0 || load.Incomplete != 1 || load.Expired != 0 {
		t.Errorf("load %+v, want the finished ones forgotten at their age", load)
	}
}

func TestUnfinishedWholesExpire(t *testing.T) {
	r := newReassembler(t, small())
	add(t, r, 10, first(1, 10))
	add(t, r, 60, first(2, 10))
	// Time that goes back makes nothing older, and another segment nothing younger.
	r.Expire(-1000)
	add(t, r, 109, waku.Segment{Hash: first(1, 10).Hash, Count: 2, Payload: make([]byte, 10)})
	if load := r.Load(); load.Incomplete != 2 || load.Expired != 0 {
		t.Fatalf("load %+v", load)
	}
	add(t, r, 110, first(3, 10))
	if load := r.Load(); load.Incomplete != 2 || load.Expired != 1 {
		t.Errorf("load %+v, want the first expired by the third", load)
	}
	r.Expire(210)
	if load := r.Load(); load != (Load{Expired: 3}) {
		t.Errorf("load %+v, want all expired", load)
	}
	check(t, r)
}

// T22: strangers with a key for each segment take no more memory than the limit,
// whatever they count.
func TestAFloodKeepsTheLimits(t *testing.T) {
	limits := DefaultLimits
	limits.Bytes, limits.SignerBytes, limits.MessageBytes = 4<<20, 2<<20, 1<<20
	for size, segments := range map[int]uint32{1: 5000, 500: 5000, 100_000: 200} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			r := newReassembler(t, limits)
			before := heap()
			for n := range segments {
				s := first(n, size)
				if n%2 == 0 {
					s = waku.Segment{Hash: s.Hash, ParityCount: 1 + n%200, Payload: s.Payload}
				}
				if _, err := r.Add(int64(n), stranger(n), s); err != nil {
					t.Fatal(err)
				}
			}
			check(t, r)
			grown := heap() - before
			if load := r.Load(); load.Evicted == 0 || grown > mostMemory(load) {
				t.Errorf("load %+v, and %d bytes of memory", load, grown)
			}
			runtime.KeepAlive(r)
		})
	}
}

// mostMemory is what a load takes with all that its estimate may leave out: an
// allocation is up to an eighth larger than what it is for.
func mostMemory(l Load) int64 { return int64(l.Bytes)*9/8 + int64(l.Incomplete)*256 + 256<<10 }

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
