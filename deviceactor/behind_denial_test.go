package deviceactor

import (
	"errors"
	"testing"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
)

// What is told right behind a denial finds a stranger: no session is left that
// the contact does not know, and nothing of it in the store.
func TestSendBehindADenialFindsAStranger(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(bob, alice)
	contact := bob.contact(alice.key.Public())
	denied, sent := make(chan error, 1), make(chan Receipt, 1)
	contact.Tell(Deny{actors.ReplyFunc(func(_ struct{}, err error) { denied <- err })})
	contact.Tell(Send{Reply: actors.ReplyFunc(func(r Receipt, _ error) { sent <- r }), Payload: []byte("hello")})
	if err := wait(t, denied); err != nil {
		t.Fatal(err)
	}
	if r := wait(t, sent); r.ForwardSecrecy || len(r.Installations) != 1 || r.Installations[0] != wire.NoInstallation {
		t.Errorf("receipt %+v, want that of a message to a stranger", r)
	}
	bob.settle(alice)
	if n := bob.disk.count(t, persistence.KindSession); n != 0 {
		t.Errorf("%d sessions left", n)
	}
}

// DenyAll holds also for a message whose prekey was being looked up while its
// sender was denied.
func TestMessageUnderWayDoesNotUndoADenial(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	bob.requests = DenyAll
	bob.meets(alice)
	if _, err := bob.trySend(alice, "hi"); err != nil {
		t.Fatal(err)
	}
	bob.settle(alice)
	alice.meets(bob)
	m := alice.send(bob, "first")
	c := bob.known(alice)
	reading, err := c.Read(bob.view(), m, "", func(*wire.Bundle) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	prekey, _ := reading.PreKey()
	contact := bob.contact(alice.key.Public())
	denied, received := make(chan error, 1), make(chan error, 1)
	reply := func(to chan error) actors.Reply[struct{}] {
		return actors.ReplyFunc(func(_ struct{}, err error) { to <- err })
	}
	contact.Tell(Deny{reply(denied)})
	contact.Tell(gotPreKey{&arrival{message: Receive{Reply: reply(received), Message: m, Encoded: m.Encode()}, reading: reading}, bob.findPreKey(prekey), nil})
	if err := wait(t, denied); err != nil {
		t.Errorf("the denial: %v", err)
	}
	if err := wait(t, received); !errors.Is(err, ErrDenied) {
		t.Errorf("the message: %v, want ErrDenied", err)
	}
	if s := bob.known(alice).Standing; s != Stranger {
		t.Errorf("after the denial alice is %v", s)
	}
	if err := bob.tryReceive(alice, alice.send(bob, "more")); err == nil {
		t.Error("alice is let in")
	}
}
