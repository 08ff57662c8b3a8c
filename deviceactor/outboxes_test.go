package deviceactor

import (
	"errors"
	"testing"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
)

// Who has left memory with an empty outbox does not look for messages there, who may
// have left some does.
func TestOutboxIsLookedThroughOnlyIfItMayHaveMessages(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	bobs := bob.key.Public()
	outbox := persistence.NewName(persistence.KindOutbox, alice.owner[:], bobs[:])
	expect := func(when string, want int) {
		t.Helper()
		alice.settle(bob)
		if n := alice.reader.scanned(outbox); n != want {
			t.Fatalf("%s: looked %d times, want %d", when, n, want)
		}
	}
	expect("first", 0)
	alice.send(bob, "taken")
	alice.restart(bobs)
	expect("after a message that was taken", 0)
	alice.line.refusing(true)
	alice.send(bob, "refused")
	alice.restart(bobs)
	expect("with a message left over", 1)
	alice.restart(bobs)
	expect("with it still there", 2)
	alice.line.refusing(false)
	w.sweep(alice, bob)
	await(t, "an empty outbox", func() bool { return alice.disk.count(t, persistence.KindOutbox) == 0 })
	alice.restart(bobs)
	expect("after it was taken", 2)
}

// A contact that panics has not said what it leaves behind: its next life publishes what
// the network has not taken.
func TestOutboxIsLookedThroughAfterAPanic(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	alice.line.refusing(true)
	first := alice.send(bob, "refused")
	_, err := ask(t, alice.contact(bob.key.Public()), func(r actors.Reply[struct{}]) any { return Receive{Reply: r} })
	if !errors.Is(err, actors.ErrQuarantined) {
		t.Fatalf("got %v", err)
	}
	alice.settle(bob)
	alice.line.refusing(false)
	w.sweep(alice, bob)
	if again := alice.line.take(); len(again) != 1 || string(again[0].Encode()) != string(first.Encode()) {
		t.Errorf("%d messages published after the panic", len(again))
	}
}

// A commit that fails ends a contact; what it had published before is still looked for.
func TestOutboxIsLookedThroughAfterAFailedCommit(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	bobs := bob.key.Public()
	outbox := persistence.NewName(persistence.KindOutbox, alice.owner[:], bobs[:])
	before := alice.reader.scanned(outbox)
	alice.disk.failing(always)
	if _, err := alice.trySend(bob, "lost"); !errors.Is(err, ErrNotDurable) {
		t.Fatalf("got %v", err)
	}
	alice.disk.failing(nil)
	alice.settle(bob)
	if n := alice.reader.scanned(outbox); n != before+1 {
		t.Errorf("looked %d times", n-before)
	}
}
