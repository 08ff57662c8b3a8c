package sessionactor

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/rookery-im/rookery/x3dh"
)

// lifecycles are the transitions that lead from one state to another, from the
// definitions alone.
func lifecycles(before, after *Sessions) (out []Transition) {
	tell := func(id ID, to Lifecycle) { out = append(out, Transition{Session: id, To: to}) }
	for i := range after.List {
		is := after.List[i]
		was := &Session{Origin: &Origin{}, Status: Initiated}
		if at := before.find(is.ID); at >= 0 {
			was = before.List[at]
		} else if is.ID == after.Active && before.active() >= 0 {
			tell(is.ID, Replaced)
		}
		if was.Status == Initiated && (is.Status == Established || was.ID == ID{} && is.Status == Expired) {
			tell(is.ID, BecameEstablished)
		}
		if was.Status < Expired && is.Status == Expired {
			tell(is.ID, BecameExpired)
		}
		if was.Status != Forgotten && is.Status == Forgotten {
			tell(is.ID, Deleted)
		}
	}
	for i := range before.List {
		if was := before.List[i]; was.Status != Forgotten && after.find(was.ID) < 0 {
			tell(was.ID, Deleted)
		}
	}
	return out
}

// checkTransitions compares what a step tells with what it did.
func checkTransitions(tb testing.TB, before, after Sessions, change Change) {
	tb.Helper()
	order := func(a, b Transition) int {
		return cmp.Or(slices.Compare(a.Session[:], b.Session[:]), cmp.Compare(a.To, b.To))
	}
	var told []Transition
	for _, t := range change.Transitions {
		if t.Cause == "" {
			tb.Fatalf("%v became %s without a cause", t.Session, t.To)
		}
		told = append(told, Transition{Session: t.Session, To: t.To})
	}
	want := lifecycles(&before, &after)
	slices.SortFunc(told, order)
	slices.SortFunc(want, order)
	if !slices.Equal(told, want) {
		tb.Fatalf("told\n%v\nand it was\n%v", told, want)
	}
}

// tale collects what is told of sessions, which get a number each.
type tale struct {
	ids   map[ID]int
	lines []string
}

func (c *tale) of(change Change) {
	for _, t := range change.Transitions {
		n, known := c.ids[t.Session]
		if !known {
			n = len(c.ids) + 1
			c.ids[t.Session] = n
		}
		c.lines = append(c.lines, fmt.Sprintf("%d %s: %s", n, t.To, t.Cause))
	}
}

// sendTo is send and receive, telling of both sides.
func sendTo(t *testing.T, from, to *side, now int64, told ...*tale) {
	t.Helper()
	next, change, part, err := from.sessions.Send(&from.key, from.ends, from.outgoing("x"), now, from.rand)
	if err != nil {
		t.Fatal(err)
	}
	from.advance(t, next, change)
	told[0].of(change)
	in := to.incoming(packet{part, from.entry(), "x"})
	next, change, _, err = to.sessions.Decrypt(&to.key, to.ends, in, limits(), now)
	if err != nil {
		t.Fatal(err)
	}
	to.advance(t, next, change)
	to.peer = in.Entry
	told[1].of(change)
}

func TestEachStepInALifeIsToldOnceWithItsCause(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	a, b := &tale{ids: map[ID]int{}}, &tale{ids: map[ID]int{}}
	for now := range int64(3) {
		sendTo(t, alice, bob, 10+now, a, b)
		sendTo(t, bob, alice, 10+now, b, a)
	}
	bob.rotate(t, 20)
	sendTo(t, bob, alice, 21, b, a)
	for now := range int64(3) {
		sendTo(t, alice, bob, 22+now, a, b) // re-keys
		sendTo(t, bob, alice, 22+now, b, a)
	}
	for range 2 {
		next, change := alice.sessions.Sweep(nil, 22+retention)
		alice.advance(t, next, change)
		a.of(change)
		next, change = bob.sessions.Sweep(prekeys(bob), 22+retention)
		bob.advance(t, next, change)
		b.of(change)
	}
	want := []string{
		"1 established: first message of the peer",
		"1 expired: newer bundle of the peer",
		"2 re-keyed: newer bundle of the peer",
		"2 established: first message of the peer",
		"1 deleted: retention over",
	}
	if !slices.Equal(a.lines, want) {
		t.Errorf("alice is told\n%q\nwant\n%q", a.lines, want)
	}
	want = []string{
		"1 established: first message of the peer",
		"2 established: first message of the peer",
		"1 expired: the peer started over",
		"2 re-keyed: the peer started over",
		"1 deleted: retention over",
	}
	if !slices.Equal(b.lines, want) {
		t.Errorf("bob is told\n%q\nwant\n%q", b.lines, want)
	}
}

// A concurrent start is told on both sides, by the one that loses its session
// and by the one that keeps it.
func TestConcurrentStartIsToldOnBothSides(t *testing.T) {
	alice, bob, fromAlice, fromBob := startBoth(t, true)
	a, b := &tale{ids: map[ID]int{alice.active(t).ID: 1}}, &tale{ids: map[ID]int{bob.active(t).ID: 1}}
	for s, p := range map[*side]packet{alice: fromBob, bob: fromAlice} {
		in := s.incoming(p)
		next, change, _, err := s.sessions.Decrypt(&s.key, s.ends, in, limits(), 11)
		if err != nil {
			t.Fatal(err)
		}
		s.advance(t, next, change)
		map[*side]*tale{alice: a, bob: b}[s].of(change)
	}
	want := []string{"2 established: first message of the peer", "2 expired: concurrent start"}
	if !slices.Equal(a.lines, want) {
		t.Errorf("the side that stays is told %q", a.lines)
	}
	want = []string{
		"2 established: first message of the peer",
		"1 expired: concurrent start",
		"2 re-keyed: concurrent start",
	}
	if !slices.Equal(b.lines, want) {
		t.Errorf("the side that moves is told %q", b.lines)
	}
}

// prekeys are the public halves that the device still has.
func prekeys(s *side) (out []x3dh.PreKeyPublic) {
	for i := range s.prekeys {
		out = append(out, s.prekeys[i].Key.Public())
	}
	return out
}
