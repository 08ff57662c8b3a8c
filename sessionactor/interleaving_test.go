package sessionactor

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/persistence"
)

// moment is one side at one point of its history: what it has stored. Two
// interleavings with the same history share it, so that the cryptography behind
// hundreds of thousands of them is done some ten thousand times.
type moment struct {
	of      *device
	ends    Ends
	peer    Entry
	stored  map[persistence.Name][]byte
	history string
	changes int // of the session in use, to another one
	sent    *moment
	out     *letter // what sent was sent with
	got     map[*letter]*moment
}

// letter is a message of an interleaving; path is the history of its sender.
type letter struct {
	packet
	path string
}

func newMoment(s *side) *moment {
	return &moment{of: s.device, ends: s.ends, peer: s.peer, got: make(map[*letter]*moment)}
}

// side is the moment as a side that goes on from the records alone: as after a
// restart.
func (m *moment) side(tb testing.TB) *side {
	tb.Helper()
	d := *m.of
	d.rand = seeded(m.ends.OwnInstallation + m.history)
	s := &side{device: &d, ends: m.ends, peer: m.peer}
	s.sessions = (&shelf{values: m.stored}).load(tb, s)
	return s
}

func (m *moment) next(tb testing.TB, s *side, event string, next Sessions, change Change) *moment {
	tb.Helper()
	checkTransitions(tb, s.sessions, next, change)
	records := s.place().Records(change, &s.sessions)
	after := newMoment(s)
	after.stored = maps.Clone(m.stored)
	if after.stored == nil {
		after.stored = make(map[persistence.Name][]byte)
	}
	(&shelf{values: after.stored}).apply(records)
	after.of, after.history, after.changes = m.of, m.history+event, m.changes
	if (s.sessions.Active != ID{}) && s.sessions.Active != next.Active {
		after.changes++
	}
	return after
}

func (m *moment) send(tb testing.TB) (*moment, *letter) {
	tb.Helper()
	if m.sent == nil {
		s := m.side(tb)
		text := fmt.Sprintf("%s%d", m.of.installation, len(m.history))
		next, change, part, err := s.sessions.Send(&s.key, s.ends, s.outgoing(text), 10, s.rand)
		if err != nil {
			tb.Fatalf("after %q: %v", m.history, err)
		}
		m.sent = m.next(tb, s, "s", next, change)
		m.out = &letter{packet{part, s.entry(), text}, m.sent.history}
	}
	return m.sent, m.out
}

func (m *moment) receive(tb testing.TB, l *letter) *moment {
	tb.Helper()
	if m.got[l] == nil {
		s := m.side(tb)
		in := s.incoming(l.packet)
		next, change, text, err := s.sessions.Decrypt(&s.key, s.ends, in, limits(), 11)
		if err != nil || string(text) != l.payload {
			tb.Fatalf("%s after %q gets %q: %q, %v", m.ends.OwnInstallation, m.history, l.path, text, err)
		}
		m.got[l] = m.next(tb, s, "r("+l.path+")", next, change)
	}
	return m.got[l]
}

// interleavings walks through all orders of events.
type interleavings struct {
	t       *testing.T
	count   int
	settled map[[2]*moment]bool
	most    int // changes of the session in use on one side
	both    int // pairs of moments in which both sides have started
}

// walk does every next event: each side sends up to its limit, each message that
// is on its way arrives. Where nothing is on its way the sides have to settle.
func (w *interleavings) walk(a, b *moment, left [2]int, toA, toB []*letter) {
	if len(toA)+len(toB) == 0 {
		w.count++
		w.settle(a, b)
	}
	if left[0] > 0 {
		next, l := a.send(w.t)
		w.walk(next, b, [2]int{left[0] - 1, left[1]}, toA, append(toB[:len(toB):len(toB)], l))
	}
	if left[1] > 0 {
		next, l := b.send(w.t)
		w.walk(a, next, [2]int{left[0], left[1] - 1}, append(toA[:len(toA):len(toA)], l), toB)
	}
	for i, l := range toA {
		w.walk(a.receive(w.t, l), b, left, without(toA, i), toB)
	}
	for i, l := range toB {
		w.walk(a, b.receive(w.t, l), left, toA, without(toB, i))
	}
}

func without(list []*letter, i int) []*letter {
	return append(list[:i:i], list[i+1:]...)
}

// settle lets both sides speak twice and checks that they use one session, of
// two the one with the smaller key.
func (w *interleavings) settle(a, b *moment) {
	if w.settled[[2]*moment{a, b}] || a.history+b.history == "" {
		return
	}
	w.settled[[2]*moment{a, b}] = true
	began, before := a, b
	for range 2 {
		var l *letter
		a, l = a.send(w.t)
		b = b.receive(w.t, l)
		b, l = b.send(w.t)
		a = a.receive(w.t, l)
	}
	alice, bob := a.side(w.t), b.side(w.t)
	alice.only(w.t)
	bob.only(w.t)
	used := alice.active(w.t).Order
	if bob.active(w.t).Order != used {
		w.t.Fatalf("after %q and %q the sides use different sessions", began.history, before.history)
	}
	if n := len(alice.sessions.List); n > 2 || n != len(bob.sessions.List) {
		w.t.Fatalf("after %q and %q there are %d sessions", began.history, before.history, n)
	}
	for i := range alice.sessions.List {
		if alice.sessions.List[i].Order.before(used) {
			w.t.Fatalf("after %q and %q the larger key is used", began.history, before.history)
		}
	}
	w.most = max(w.most, a.changes, b.changes)
	if strings.HasPrefix(began.history, "s") && strings.HasPrefix(before.history, "s") {
		w.both++
	}
}

// T25, T41: both sides start at once, and up to six messages, three of each side (two
// under the race detector), are sent and arrive in every order that there is, late
// initial messages included. Each is decrypted; when all have arrived, two exchanges later both
// sides use the session with the smaller key. Every step starts from the records
// of the one before, as after a restart.
// Spec: 5.concurrent-sessions.1 5.concurrent-sessions.2
func TestEveryInterleavingOfAConcurrentStartSettles(t *testing.T) {
	for _, aliceSmaller := range []bool{true, false} {
		t.Run(fmt.Sprintf("alice's is smaller %v", aliceSmaller), func(t *testing.T) {
			t.Parallel()
			a, b := startingMoments(t, aliceSmaller)
			w := &interleavings{t: t, settled: make(map[[2]*moment]bool)}
			w.walk(a, b, [2]int{interleaved, interleaved}, nil, nil)
			t.Logf("%d interleavings, %d different outcomes, of these %d concurrent starts; at most %d changes of the session in use",
				w.count, len(w.settled), w.both, w.most)
			if w.most > 2 {
				t.Errorf("a side changes its session %d times", w.most)
			}
			if want := orders(interleaved); w.count != want {
				t.Errorf("%d interleavings are not all %d", w.count, want)
			}
		})
	}
}

// orders is in how many orders up to n messages of each side are sent and arrive, each
// after it was sent: of i of one side with j of the other C(2i+2j, 2i) (2i-1)!! (2j-1)!!.
func orders(n int) int {
	odds := func(n int) int { // (2n-1)!!
		product := 1
		for k := 1; k < 2*n; k += 2 {
			product *= k
		}
		return product
	}
	sum := 0
	for i := range n + 1 {
		for j := range n + 1 {
			choose := 1 // C(2i+2j, 2i)
			for k := 1; k <= 2*i; k++ {
				choose = choose * (2*j + k) / k
			}
			sum += choose * odds(i) * odds(j)
		}
	}
	return sum
}

func TestOrdersAreCounted(t *testing.T) {
	for n, want := range []int{1, 9, 735, 228_405} {
		if got := orders(n); got != want {
			t.Errorf("%d orders of %d messages, want %d", got, n, want)
		}
	}
}

// startingMoments are both sides without a session, so that alice's first own
// session has the smaller key, or bob's has.
func startingMoments(t *testing.T, aliceSmaller bool) (a, b *moment) {
	t.Helper()
	for seed := range 64 {
		alice, bob := newPair(t, fmt.Sprint("interleavings ", seed))
		a, b = newMoment(alice), newMoment(bob)
		sentA, _ := a.send(t)
		sentB, _ := b.send(t)
		if sentA.side(t).active(t).Order.before(sentB.side(t).active(t).Order) == aliceSmaller {
			return a, b
		}
	}
	t.Fatal("no seed gives the wanted order")
	return nil, nil
}
