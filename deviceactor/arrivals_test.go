package deviceactor

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// underWay gives messages of alice that were under way at the same time: those with an X
// are initial ones, whose prekey bob has to look up, which are not answered yet.
func underWay(t *testing.T, alice, bob *node) (sent []*wire.Message) {
	t.Helper()
	alice.meets(bob)
	bob.receive(alice, alice.send(bob, "hello"))
	answer := bob.send(alice, "hello too")
	sent = append(sent, alice.send(bob, "X1"), alice.send(bob, "X2"))
	alice.receive(bob, answer)
	sent = append(sent, alice.send(bob, "3"), alice.send(bob, "4"))
	for i, m := range sent {
		if x := m.Entries[0].Part.X3DH; (x != nil) != (i < 2) {
			t.Fatalf("message %d has the X3DH header %v", i, x)
		}
	}
	return sent
}

// arriving hands messages of alice to bob's contact, whose bundle actor answers when it
// is told to, and gives its questions. All are handed in when it returns.
func arriving(t *testing.T, alice, bob *node, messages ...*wire.Message) (lookups []bundleactor.FindPreKey, answers []chan error) {
	t.Helper()
	bob.restart(alice.key.Public())
	asked := &script{make(chan any, len(messages))}
	bundle := bob.bundle
	bob.bundle = asked
	contact := bob.contact(alice.key.Public())
	for _, m := range messages {
		answer := make(chan error, 1)
		answers = append(answers, answer)
		contact.Tell(Receive{Message: m, Encoded: m.Encode(), Reply: actors.ReplyFunc(func(_ struct{}, err error) { answer <- err })})
	}
	bob.settle(alice)
	bob.bundle = bundle
	for len(asked.asked) > 0 {
		lookups = append(lookups, asked.next(t).(bundleactor.FindPreKey))
	}
	return lookups, answers
}

// lately gives the payloads that were received after underWay's greeting.
func lately(n *node) string { return fmt.Sprint(n.received()[1:]) }

// A message in a session does not overtake an initial one whose prekey is looked up, nor
// does one whose prekey is found before.
func TestMessagesAreReceivedAsTheyArriveWhilePreKeysAreLookedUp(t *testing.T) {
	for _, order := range [][]int{{0, 2, 1, 3}, {0, 1, 2, 3}, {2, 0, 3, 1}, {1, 0, 2, 3}, {2, 1, 3, 0}} {
		for _, lastFirst := range []bool{false, true} {
			w := newWorld(t)
			alice, bob := w.host("alice"), w.host("bob")
			all := underWay(t, alice, bob)
			var messages []*wire.Message
			var want []string
			for _, i := range order {
				messages = append(messages, all[i])
				want = append(want, []string{"X1", "X2", "3", "4"}[i])
			}
			lookups, answers := arriving(t, alice, bob, messages...)
			if len(lookups) != 2 {
				t.Fatalf("%v: %d prekeys are looked up at once, want 2", order, len(lookups))
			}
			if lastFirst {
				lookups[0], lookups[1] = lookups[1], lookups[0]
			}
			for _, l := range lookups {
				l.Send(bob.findPreKey(l.Public))
				bob.settle(alice)
			}
			for _, answer := range answers {
				if err := wait(t, answer); err != nil {
					t.Errorf("%v: %v", order, err)
				}
			}
			if got := lately(bob); got != fmt.Sprint(want) {
				t.Errorf("received %s, want %v", got, want)
			}
		}
	}
}

// A message whose prekey cannot be looked up comes again, and holds nobody up.
func TestFailedLookUpLetsTheNextMessagePass(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	sent := underWay(t, alice, bob)
	lookups, answers := arriving(t, alice, bob, sent[0], sent[2])
	lookups[0].Fail(errDisk)
	if err := wait(t, answers[0]); !Unhandled(err) {
		t.Errorf("got %v", err)
	}
	if err := wait(t, answers[1]); err != nil {
		t.Error(err)
	}
	bob.restart(alice.key.Public()) // with a bundle actor that answers
	bob.receive(alice, sent[0])
	if got := lately(bob); got != "[3 X1]" {
		t.Errorf("received %s", got)
	}
}

// The end of an incarnation loses none of those that wait: one whose prekey is looked up
// is received by the next one, those behind it come again.
func TestRestartWhileAPreKeyIsLookedUpLosesNothing(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	sent := underWay(t, alice, bob)
	lookups, answers := arriving(t, alice, bob, sent[0], sent[2])
	bob.disk.failing(always)
	if err := bob.enable(alice, "alice", false); !errors.Is(err, ErrNotDurable) {
		t.Fatalf("got %v", err)
	}
	if err := wait(t, answers[1]); !Unhandled(err) {
		t.Errorf("what waited: %v", err)
	}
	bob.disk.failing(nil)
	bob.settle(alice)
	lookups[0].Send(bob.findPreKey(lookups[0].Public))
	if err := wait(t, answers[0]); err != nil {
		t.Error(err)
	}
	bob.receive(alice, sent[2])
	if got := lately(bob); got != "[X1 3]" {
		t.Errorf("received %s", got)
	}
}

// Who is blocked while his messages wait is not heard.
func TestBlockingStopsMessagesThatWaitForTheirTurn(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	sent := underWay(t, alice, bob)
	lookups, answers := arriving(t, alice, bob, sent[0], sent[2], sent[3])
	if err := bob.block(alice, true); err != nil {
		t.Fatal(err)
	}
	lookups[0].Send(nil)
	for _, answer := range answers {
		if err := wait(t, answer); !errors.Is(err, ErrBlocked) {
			t.Errorf("got %v", err)
		}
	}
	if got := lately(bob); got != "[]" {
		t.Errorf("received %s", got)
	}
}

// A contact that is to leave memory stays until what waits has been received.
func TestContactDoesNotLeaveWhileMessagesWaitForTheirTurn(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	sent := underWay(t, alice, bob)
	lookups, answers := arriving(t, alice, bob, sent[0], sent[2], sent[3])
	found := bob.findPreKey(x3dh.PreKeyPublic(sent[0].Entries[0].Part.X3DH.SignedPreKey))
	left := make(chan struct{})
	go func() {
		defer close(left)
		bob.restart(alice.key.Public())
	}()
	lookups[0].Send(found)
	for _, answer := range answers {
		if err := wait(t, answer); err != nil {
			t.Error(err)
		}
	}
	<-left
	if got := lately(bob); got != "[X1 3 4]" {
		t.Errorf("received %s", got)
	}
}
