package deviceactor

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// expires makes the contact look for what has expired, and waits for the end:
// a contact is not stopped before its work is done.
func (n *node) expires(peer *node) {
	n.t.Helper()
	n.contact(peer.key.Public()).Tell(Expire{})
	n.settle(peer)
	n.ownBundle() // the prekeys that it asks for have been answered
	n.settle(peer)
	n.restart(peer.key.Public())
}

// changes are what was reported of the sessions with a contact.
func (n *node) changes(of *node) string {
	var out []string
	for _, e := range reported[SessionChanged](n) {
		if e.Identity == of.key.Public() {
			out = append(out, fmt.Sprintf("%s %s: %s", e.Installation, e.To, e.Cause))
		}
	}
	return fmt.Sprintf("%q", out)
}

// A re-keyed session decrypts for 14 days more, and is then deleted with its
// skipped message keys; each step is told once, after it is durable.
// Spec: draft.expired-session.1 draft.expired-session.3 5.re-keying.2
func TestExpiredSessionIsDeletedAfterItsTime(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	skipped := bob.send(alice, "late")
	alice.receive(bob, bob.send(alice, "2"))
	w.now.Add(25 * int64(time.Hour))
	alice.meets(bob) // a newer bundle
	alice.send(bob, "3")
	if n, k := alice.disk.count(t, persistence.KindSession), alice.disk.count(t, persistence.KindSkipped); n != 2 || k != 1 {
		t.Fatalf("%d sessions, %d skipped keys", n, k)
	}
	before := alice.changes(bob)
	w.now.Add(14*day - 2)
	alice.expires(bob)
	if n := alice.disk.count(t, persistence.KindSession); n != 2 || alice.changes(bob) != before {
		t.Errorf("too early: %d sessions, %s", n, alice.changes(bob))
	}
	w.now.Add(2)
	told := false
	alice.delivers = func(e Event) {
		if changed, ok := e.(SessionChanged); ok && changed.To == sessionactor.Deleted {
			told = true
			if n := alice.disk.count(t, persistence.KindSession); n != 1 {
				t.Errorf("told of the deletion with %d sessions on the disk", n)
			}
		}
	}
	alice.expires(bob)
	if n := alice.disk.count(t, persistence.KindSession); n != 1 {
		t.Errorf("%d sessions left", n)
	}
	if k := alice.disk.count(t, persistence.KindSkipped); k != 0 {
		t.Errorf("%d skipped keys left", k)
	}
	all := reported[SessionChanged](alice)
	if last := all[len(all)-1]; !told || last.To != sessionactor.Deleted || last.Cause != sessionactor.RetentionOver || last.Installation != "bob" {
		t.Errorf("told %s", alice.changes(bob))
	}
	n := len(all)
	alice.expires(bob)
	if got := reported[SessionChanged](alice); len(got) != n {
		t.Errorf("told again: %s", alice.changes(bob))
	}
	if err := alice.tryReceive(bob, skipped); !errors.Is(err, sessionactor.ErrNoSession) {
		t.Errorf("the late message: %v", err)
	}
}

// A contact in memory looks by itself, an hour after the last time.
// T08
func TestContactLooksForWhatHasExpiredEveryHour(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	alice.restart(bob.key.Public())
	asked := &script{make(chan any, 10)}
	alice.bundle = asked
	alice.settle(bob)
	for i, step := range []struct {
		by   int64
		want int
	}{
		{0, 0},
		{int64(expireEvery) - 1, 0},
		{1, 1},
		{0, 0},
		{int64(expireEvery), 1},
		{-3652 * day, 1}, // the clock was wrong
		{int64(expireEvery) - 1, 0},
		{1, 1},
		{3652 * day, 1},
	} {
		w.now.Add(step.by)
		w.sweep(alice, bob)
		n := 0
		for len(asked.asked) > 0 {
			m, ok := asked.next(t).(bundleactor.GetUsable)
			if !ok {
				t.Fatal("asked for something else")
			}
			m.Fail(errDisk)
			n++
		}
		if n != step.want {
			t.Errorf("step %d: looked %d times, want %d", i, n, step.want)
		}
	}
}

// Without an answer nothing is deleted: an initial message could come again.
// T27
func TestNothingExpiresWhileOurPreKeysAreUnknown(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	w.now.Add(25 * int64(time.Hour))
	alice.meets(bob)
	alice.send(bob, "re-keyed")
	w.now.Add(20 * day)
	alice.restart(bob.key.Public())
	asked := &script{make(chan any, 10)}
	alice.bundle = asked
	before := alice.disk.hash(t)
	alice.contact(bob.key.Public()).Tell(Expire{})
	asked.next(t).(bundleactor.GetUsable).Fail(errDisk)
	for range 3 {
		alice.settle(bob)
	}
	if alice.disk.hash(t) != before {
		t.Error("the store has changed")
	}
	alice.contact(bob.key.Public()).Tell(Expire{})
	asked.next(t).(bundleactor.GetUsable).Send(nil)
	await(t, "the deletion", func() bool { return alice.disk.count(t, persistence.KindSession) == 1 })
}

// The initial message of a deleted session is recognised for as long as our
// prekey that it names can be used, and then refused for want of it.
// T27
// Spec: 5.security-considerations.1
func TestInitialMessageOfADeletedSessionStartsNothing(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	initial := alice.send(bob, "once")
	bob.receive(alice, initial)
	w.now.Add(int64(time.Hour))
	alice.receive(bob, bob.send(alice, "yes"))
	bundle := bob.ownBundle()
	for d := range 16 {
		w.now.Add(day)
		if d == 0 {
			bob.meets(alice) // and starts anew with it
			alice.receive(bob, bob.send(alice, "anew"))
		}
		bob.ownBundle()
		bob.expires(alice)
		before := bob.disk.hash(t)
		if err := bob.tryReceive(alice, copyOf(t, initial)); err == nil || Unhandled(err) {
			t.Errorf("day %d: %v", d, err)
		}
		if bob.disk.hash(t) != before || fmt.Sprint(bob.received()) != "[once]" {
			t.Errorf("day %d: the replay has changed something", d)
		}
	}
	if x3dh.PreKeyPublic(bundle.PreKeys[0].Key) == x3dh.PreKeyPublic(bob.ownBundle().PreKeys[0].Key) {
		t.Error("the prekey is the same 16 days later")
	}
}

// Staleness is noted by the clock too, and told once, also over a restart.
// Spec: draft.stale-devices.2
func TestStalenessIsToldOnce(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	w.now.Add(int64(time.Hour))
	second := w.hostDevice(bob.key, "bob-2")
	alice.meets(second) // which names itself alone
	w.now.Add(7 * day)
	for range 2 {
		alice.expires(bob)
	}
	got := reported[InstallationStale](alice)
	if len(got) != 1 || got[0].Installation != "bob" || !got[0].Stale || got[0].Identity != bob.key.Public() {
		t.Fatalf("told %+v", got)
	}
	alice.meets(bob) // a bundle of its own, signed anew
	got = reported[InstallationStale](alice)
	if len(got) != 2 || got[1].Installation != "bob" || got[1].Stale {
		t.Errorf("told %+v", got)
	}
}
