package keypool

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-im/rookery/internal/curve"
)

// TestMain looks for goroutines that stay.
func TestMain(m *testing.M) { goleak.VerifyTestMain(patient{m}) }

// patient gives goroutines that are on their way out the time that a busy machine
// needs for them: goleak by itself looks for less than half a second.
type patient struct{ *testing.M }

func (p patient) Run() int {
	code := p.M.Run()
	for end := time.Now().Add(patience); code == 0 && goleak.Find() != nil && time.Now().Before(end); {
	}
	return code
}

// patience bounds every wait of these tests; reaching it is a failure.
const patience = 20 * time.Second

// fill makes keys until no more are wanted.
func fill(t *testing.T, p *Pool) {
	t.Helper()
	for n := 0; p.MakeKey(); n++ {
		if n > capacity {
			t.Fatal("there is no end to making keys")
		}
	}
}

// take asks for so many keys and tells how many were ready.
func take(p *Pool, n int) (got int) {
	for range n {
		if _, ok := p.TakeKey(); ok {
			got++
		}
	}
	return got
}

// wantWiped looks at all memory where a key may have been.
func wantWiped(t *testing.T, when string, p *Pool) {
	t.Helper()
	for i := range p.slots {
		if s := &p.slots[i]; s.full.Load() || !s.key.IsZero() || s.key.Pub != (curve.PublicKey{}) {
			t.Fatalf("%s: slot %d still holds a key", when, i)
		}
	}
}

func TestPoolFollowsDemandAndDecaysToNothing(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	p := New(rand.Reader)
	for i, step := range []struct {
		at    time.Duration // of the sweep before
		ask   int
		got   int // of those, ready
		ready int // after idle time
	}{
		{at: 0, ask: 0, ready: 0},                                         // nobody asks: nothing is made
		{at: time.Second, ask: 3, got: 0, ready: 3},                       // the first to ask start it
		{at: 2 * time.Second, ask: 1, got: 1, ready: 4},                   // in the same interval
		{at: interval, ask: 0, ready: 4},                                  // as many as in the last one
		{at: interval + time.Second, ask: 2, got: 2, ready: 4},            // refilled, not more
		{at: 2 * interval, ask: 0, ready: 2},                              // less was asked for
		{at: 2*interval + time.Second, ask: 9, got: 2, ready: 9},          // more than last time
		{at: 3 * interval, ask: 0, ready: 9},                              //
		{at: 4 * interval, ask: 0, ready: 0},                              // idle
		{at: 5 * interval, ask: 0, ready: 0},                              //
		{at: 6 * interval, ask: 5 * capacity, got: 0, ready: capacity},    // bounded
		{at: 7 * interval, ask: capacity, got: capacity, ready: capacity}, //
		{at: 6 * interval, ask: 0, ready: capacity},                       // the clock went back
		{at: 5 * interval, ask: 0, ready: 0},
	} {
		p.Sweep(start.Add(step.at))
		if got := take(p, step.ask); got != step.got {
			t.Errorf("step %d: %d of %d were ready, want %d", i, got, step.ask, step.got)
		}
		fill(t, p)
		if got := p.ready(); got != uint64(step.ready) {
			t.Fatalf("step %d: %d are ready, want %d", i, got, step.ready)
		}
	}
	wantWiped(t, "after the decay", p)
	c := p.Counts()
	if c.Made == 0 || c.Made != c.Taken+c.Wiped || c.Taken != 3+2+capacity {
		t.Errorf("counts %+v", c)
	}
}

// Keys are those of the source, in the order of its draws.
func TestKeysAreDrawnFromTheSource(t *testing.T) {
	p, same := New(&stream{}), &stream{}
	take(p, 20)
	fill(t, p)
	for i := range 20 {
		ready, err1 := curve.GenerateKey(p)
		drawn, err2 := curve.GenerateKey(same)
		if err := errors.Join(err1, err2); err != nil || ready.Pub != drawn.Pub || !ready.Scalar.Equal(&drawn.Scalar) {
			t.Fatalf("key %d is another than the source gives (%v)", i, err)
		}
	}
	var bytesRead, want [40]byte
	if _, err := io.ReadFull(p, bytesRead[:]); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(same, want[:]); err != nil || bytesRead != want {
		t.Errorf("other bytes than the source gives (%v)", err)
	}
}

func TestTakenKeyLeavesNothingBehind(t *testing.T) {
	p := New(rand.Reader)
	take(p, capacity)
	fill(t, p)
	for i := range capacity {
		if s := &p.slots[i]; !s.full.Load() || s.key.IsZero() {
			t.Fatalf("slot %d of a full pool is empty", i)
		}
		if _, ok := p.TakeKey(); !ok {
			t.Fatalf("key %d is missing", i)
		}
		if s := &p.slots[i]; s.full.Load() || !s.key.IsZero() {
			t.Fatalf("slot %d still holds the key that was taken", i)
		}
	}
	wantWiped(t, "after all were taken", p)
}

// However many are asked for, a full pool draws nothing more.
func TestFullPoolDrawsNothing(t *testing.T) {
	source := &stream{}
	p := New(source)
	take(p, 2*capacity)
	fill(t, p)
	drawn := source.counter
	if p.MakeKey() || source.counter != drawn || p.ready() != capacity {
		t.Errorf("%d keys in a pool of %d, and %d draws more", p.ready(), capacity, source.counter-drawn)
	}
}

// T48: printing a pool shows no key.
func TestPrintingShowsNoKey(t *testing.T) {
	p := New(rand.Reader)
	take(p, 1)
	fill(t, p)
	scalar := p.slots[0].key.Scalar.Array()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		out := strings.ToLower(fmt.Sprintf(verb, p))
		for _, form := range []string{string(scalar[:6]), fmt.Sprintf("%x", scalar[:6]), strings.Trim(fmt.Sprint(scalar[:6]), "[]")} {
			if strings.Contains(out, form) {
				t.Errorf("%s shows a key", verb)
			}
		}
		if out != "pool of 1 keys" {
			t.Errorf("%s: %q", verb, out)
		}
	}
}

// Whatever happens at the same time, each key is given once, belongs to its
// public key, and what is not given is wiped.
func TestEachKeyIsGivenOnce(t *testing.T) {
	p := New(rand.Reader)
	const takers, each = 8, 300
	var taking, others sync.WaitGroup
	given := make([][]curve.PrivateKey, takers)
	stop := make(chan struct{})
	for range 2 {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if !p.MakeKey() {
						runtime.Gosched()
					}
				}
			}
		})
	}
	others.Go(func() {
		for at := time.Unix(0, 0); ; at = at.Add(interval) {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				p.Sweep(at)
			}
		}
	})
	for i := range takers {
		taking.Go(func() {
			for deadline := time.Now().Add(patience); len(given[i]) < each && time.Now().Before(deadline); {
				if key, ok := p.TakeKey(); ok {
					given[i] = append(given[i], key)
				} else {
					runtime.Gosched()
				}
			}
		})
	}
	taking.Wait()
	p.Close()
	close(stop)
	others.Wait()
	seen := make(map[curve.PublicKey]bool)
	for _, keys := range given {
		if len(keys) < each {
			t.Errorf("%d keys for one who wants %d", len(keys), each)
		}
		for _, key := range keys {
			own, err := curve.NewPrivateKey(key.Scalar.Bytes())
			if err != nil || own.Pub != key.Pub {
				t.Fatalf("key %s is not that of its scalar: %v", key.Pub, err)
			}
			if seen[key.Pub] {
				t.Fatalf("key %s was given twice", key.Pub)
			}
			seen[key.Pub] = true
		}
	}
	wantWiped(t, "after the end", p)
	if c := p.Counts(); c.Taken != uint64(len(seen)) || c.Made != c.Taken+c.Wiped {
		t.Errorf("%d keys were given, counts %+v", len(seen), c)
	}
}

// Somebody who was stopped in the middle of taking a key keeps its place, and
// holds up nobody: neither those who take nor who makes.
func TestTakerThatStopsInTheMiddleKeepsItsSlot(t *testing.T) {
	p := New(rand.Reader)
	take(p, capacity)
	fill(t, p)
	p.front.Add(1) // it has come as far as this
	slow := &p.slots[0]
	was := slow.key.Pub
	if p.MakeKey() || slow.key.Pub != was {
		t.Fatal("a key was put over one that is being taken")
	}
	if got := take(p, 2*capacity); got != capacity-1 {
		t.Fatalf("others took %d keys, want %d", got, capacity-1)
	}
	if p.MakeKey() {
		t.Fatal("a key was made for a place that is not free")
	}
	slow.key = curve.PrivateKey{}
	slow.full.Store(false)
	fill(t, p)
	if got := take(p, capacity); got != capacity {
		t.Errorf("%d keys after that, want %d", got, capacity)
	}
}

func TestClosedPoolIsPlainRandomness(t *testing.T) {
	p := New(&stream{})
	take(p, 50)
	fill(t, p)
	p.Close()
	wantWiped(t, "after Close", p)
	if take(p, 50) != 0 || p.MakeKey() {
		t.Error("a closed pool makes or gives keys")
	}
	p.Sweep(time.Unix(0, 0))
	p.Close()
	if c := p.Counts(); c != (Counts{Made: 50, Wiped: 50}) {
		t.Errorf("counts %+v", c)
	}
	if key, err := curve.GenerateKey(p); err != nil || key.IsZero() {
		t.Errorf("a key that is drawn: %v", err)
	}
}

// A key that is being made while the pool is closed is wiped too.
func TestKeyMadeDuringCloseIsWiped(t *testing.T) {
	source := &gated{reached: make(chan struct{}), open: make(chan struct{})}
	p := New(source)
	take(p, 2)
	made := make(chan struct{})
	go func() {
		defer close(made)
		p.MakeKey()
	}()
	<-source.reached
	if p.MakeKey() {
		t.Error("two make keys at the same time")
	}
	if take(p, 1) != 0 { // and does not wait for the source
		t.Error("there is a key already")
	}
	p.Close()
	close(source.open)
	<-made
	wantWiped(t, "after Close", p)
	if c := p.Counts(); c != (Counts{Made: 1, Wiped: 1}) || take(p, 1) != 0 {
		t.Errorf("counts %+v", c)
	}
}

// T51: a failing source makes no key, and whoever needs one is told so.
func TestFailingSourceMakesNoKey(t *testing.T) {
	failed := errors.New("source failed")
	for name, c := range map[string]struct {
		read func([]byte) (int, error)
		want error
	}{
		"fails":         {func([]byte) (int, error) { return 0, failed }, failed},
		"fails midway":  {func(b []byte) (int, error) { return len(b) / 2, failed }, failed},
		"constant zero": {func(b []byte) (int, error) { clear(b); return len(b), nil }, curve.ErrRandomness},
		"panics":        {func([]byte) (int, error) { panic("broken source") }, nil},
	} {
		source := &switched{read: c.read}
		p := New(source)
		take(p, 1)
		for range 3 {
			if p.MakeKey() {
				t.Fatalf("%s: a key was made", name)
			}
		}
		wantWiped(t, name, p)
		if c.want != nil {
			if _, err := curve.GenerateKey(p); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		source.well.Store(true)
		if !p.MakeKey() {
			t.Errorf("%s: no key is made when the source is well again", name)
		}
	}
}

// stream is a deterministic source.
type stream struct {
	counter uint64
	rest    []byte
}

func (s *stream) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		block := sha256.Sum256(binary.BigEndian.AppendUint64(nil, s.counter))
		s.counter++
		s.rest = bytes.Clone(block[:])
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// gated stops its first reader at a gate.
type gated struct {
	once          sync.Once
	reached, open chan struct{}
}

func (g *gated) Read(b []byte) (int, error) {
	g.once.Do(func() {
		close(g.reached)
		<-g.open
	})
	return rand.Read(b)
}

// switched is broken until it is well.
type switched struct {
	read func([]byte) (int, error)
	well atomic.Bool
}

func (s *switched) Read(b []byte) (int, error) {
	if s.well.Load() {
		return rand.Read(b)
	}
	return s.read(b)
}
