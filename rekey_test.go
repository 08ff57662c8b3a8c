package rookery_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/transport"
)

// step is what a session did, and why.
type step struct {
	to    sessionactor.Lifecycle
	cause sessionactor.Cause
}

// steps are those that an installation was told of.
func steps(w *world, at device) []step {
	var out []step
	for _, e := range these[rookery.SessionChanged](w.bag.all(), at) {
		out = append(out, step{e.Change, e.Cause})
	}
	return out
}

func wantSteps(t *testing.T, who string, got, want []step) {
	t.Helper()
	order := func(a, b step) int {
		return slices.Compare([]string{string(a.to), string(a.cause)}, []string{string(b.to), string(b.cause)})
	}
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if !slices.Equal(got, want) {
		t.Errorf("%s was told %v, want %v", who, got, want)
	}
}

// A day later there are new prekeys, and the next message makes a new session of
// them. The old one decrypts what comes late for 14 days and is deleted then,
// also if nobody has written or restarted since, or everybody sleeps.
// T44: what rests on a deleted session is refused with its cause.
// Spec: 5.bundle-rotation.1 5.bundle-rotation.2 5.re-keying.1 5.re-keying.2
// Spec: draft.expired-session.1 draft.expired-session.2 draft.expired-session.3
func TestSessionsAreReKeyedAfterADayAndDeletedTwoWeeksLater(t *testing.T) {
	for name, twoWeeks := range map[string]func(w *world){
		"restarted": func(w *world) { w.pass(14*24*time.Hour + time.Minute); w.reopen() },
		"asleep":    func(w *world) { w.pass(14*24*time.Hour + time.Minute) },
		"every day": func(w *world) {
			for range 14 {
				w.pass(24*time.Hour + time.Minute)
				w.sweep()
			}
		},
	} {
		t.Run(name, func(t *testing.T) { liveForWeeks(t, twoWeeks) })
	}
}

func liveForWeeks(t *testing.T, twoWeeks func(*world)) {
	w := newWorld(t, backends[1], func(o *rookery.Options) { o.IdleAfter = time.Minute })
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduceAll([]device{alice}, []device{bob})
	received := make(map[device]int)
	say := func(from, to device, started int) {
		t.Helper()
		payload := fmt.Sprint("message ", received[to], " to ", to.installation)
		if receipt := w.send(from, to.key, payload); receipt.Started != started || !receipt.ForwardSecrecy {
			t.Errorf("%s: receipt %+v", payload, receipt)
		}
		received[to]++
		w.awaitMessages(received[to], to)
	}
	say(alice, bob, 1)
	say(bob, alice, 0)
	w.pass(23 * time.Hour)
	say(alice, bob, 0)
	say(bob, alice, 0)
	w.pass(2 * time.Hour)
	late, tooLate := w.withhold(alice, bob.key, "late"), w.withhold(alice, bob.key, "too late")
	say(alice, bob, 0) // brings the new bundle
	old := steps(w, bob)
	wantSteps(t, "bob, on the first day,", old, []step{{sessionactor.BecameEstablished, sessionactor.FirstMessage}})
	w.bag.empty()
	clear(received)
	say(bob, alice, 1)
	say(alice, bob, 0)
	w.air.deliver([]transport.Envelope{late})
	received[bob]++
	w.awaitMessages(received[bob], bob)
	say(bob, alice, 0) // what came late has not brought the old one back
	say(alice, bob, 0)
	wantSteps(t, "bob", steps(w, bob), []step{
		{sessionactor.BecameExpired, sessionactor.NewerBundle},
		{sessionactor.Replaced, sessionactor.NewerBundle},
		{sessionactor.BecameEstablished, sessionactor.FirstMessage},
	})
	wantSteps(t, "alice", steps(w, alice), []step{
		{sessionactor.BecameExpired, sessionactor.PeerStartedOver},
		{sessionactor.Replaced, sessionactor.PeerStartedOver},
		{sessionactor.BecameEstablished, sessionactor.FirstMessage},
	})
	w.bag.empty()
	twoWeeks(w)
	for _, d := range []device{alice, bob} {
		eventually(t, "deletion", func() bool {
			w.sweep()
			return slices.Contains(steps(w, d), step{sessionactor.Deleted, sessionactor.RetentionOver})
		})
		wantSteps(t, d.installation, steps(w, d), []step{{sessionactor.Deleted, sessionactor.RetentionOver}})
	}
	w.air.deliver([]transport.Envelope{tooLate})
	wantError(t, awaitThese[rookery.Refused](w, 1, bob).Err, cause.ErrNoSession)
}

// However many contacts sleep, each is woken when something of it is due.
// Spec: draft.expired-session.2
func TestAllSleepingContactsAreWokenOnceADay(t *testing.T) {
	w := newWorld(t, backends[1])
	const many = 40
	alice := w.person(1)[0]
	var friends []device
	for range many {
		friend := w.person(1)[0]
		w.introduceAll([]device{friend}, []device{alice})
		w.send(friend, alice.key, "hello")
		friends = append(friends, friend)
	}
	w.awaitMessages(many, alice)
	w.pass(25 * time.Hour)
	for n, friend := range friends {
		w.introduceAll([]device{friend}, []device{alice})
		if w.send(friend, alice.key, "hello again").Started != 1 {
			t.Errorf("friend %d goes on with the old session", n)
		}
	}
	w.awaitMessages(2*many, alice)
	w.pass(15 * 24 * time.Hour)
	w.close()
	w.bag.empty()
	w.open()
	eventually(t, "upkeep", func() bool {
		w.sweep()
		return len(steps(w, alice)) >= many
	})
	of := make(map[rookery.PublicKey]bool)
	for _, e := range these[rookery.SessionChanged](w.bag.all(), alice) {
		of[e.Contact] = true
		if e.Change != sessionactor.Deleted {
			t.Errorf("told %v of a session with %v", e.Change, e.Contact)
		}
	}
	if len(of) != many {
		t.Errorf("%d of %d contacts were woken", len(of), many)
	}
}
