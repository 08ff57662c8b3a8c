package deviceactor

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
)

func (n *node) tryReserve(to *node, size uint32) (*Lease, error) {
	n.t.Helper()
	return ask(n.t, n.contact(to.key.Public()), func(r actors.Reply[*Lease]) any { return Reserve{r, size} })
}

func (n *node) reserve(to *node, size uint32) *Lease {
	n.t.Helper()
	l, err := n.tryReserve(to, size)
	if err != nil {
		n.t.Fatal(err)
	}
	return l
}

// encryptIn makes the next message of a lease, and checks that its id is the one
// that a receiver computes.
func (n *node) encryptIn(l *Lease, payload string) *wire.Message {
	n.t.Helper()
	id, encoded, _, err := l.Encrypt([]byte(payload), n.now.Load())
	if err != nil {
		n.t.Fatal(err)
	}
	m, err := wire.Decode(encoded)
	if err != nil {
		n.t.Fatal(err)
	}
	if want := newMessageID(n.key.Public(), m, ""); id != want {
		n.t.Errorf("id %x, receivers compute %x", id[:4], want[:4])
	}
	if !bytes.Equal(m.Encode(), encoded) {
		n.t.Error("the message is not encoded as others are")
	}
	return m
}

func (n *node) wantOver(l *Lease, why string) {
	n.t.Helper()
	if _, _, _, err := l.Encrypt([]byte("x"), n.now.Load()); !errors.Is(err, ErrLeaseOver) {
		n.t.Errorf("%s: %v", why, err)
	}
	if left := l.Left(); left != 0 {
		n.t.Errorf("%s: %d left", why, left)
	}
	for i, b := range l.blocks {
		if b.Left() != 0 {
			n.t.Errorf("%s: block %d is not wiped", why, i)
		}
	}
}

// All installations of the contact get their block in one batch, with the
// contact's new standing, and nothing is put into the outbox.
func TestReservationIsOneCommitForAllInstallations(t *testing.T) {
	w := newWorld(t)
	alice, key := w.host("alice"), w.newKey("bob")
	one, two := w.hostDevice(key, "laptop"), w.hostDevice(key, "phone")
	alice.meets(one, two)
	before := len(alice.disk.since(0))
	l := alice.reserve(one, 3)
	var sessions int
	for _, b := range alice.disk.since(before) {
		n := 0
		for _, r := range b.Records {
			switch r.Name.Kind() {
			case persistence.KindSession:
				n++
			case persistence.KindOutbox, persistence.KindCopy:
				t.Errorf("a record %v", r.Name)
			}
		}
		if n != 0 && n != 2 {
			t.Errorf("a batch with %d sessions", n)
		}
		sessions += n
	}
	if sessions != 2 || !slices.Equal(l.Installations, []string{"laptop", "phone"}) || l.Left() != 3 {
		t.Fatalf("%d sessions stored; for %v, %d left", sessions, l.Installations, l.Left())
	}
	writes := len(alice.disk.since(0))
	var made []*wire.Message
	for i := range 3 {
		made = append(made, alice.encryptIn(l, fmt.Sprint(i)))
	}
	alice.wantOver(l, "used up")
	if n := len(alice.disk.since(writes)); n != 0 {
		t.Errorf("%d batches while messages were made", n)
	}
	for _, m := range []*wire.Message{made[2], made[0], made[1]} {
		one.receive(alice, m)
		two.receive(alice, m)
	}
	for _, bob := range []*node{one, two} {
		if got := bob.received(); !slices.Equal(got, []string{"2", "0", "1"}) {
			t.Errorf("%s got %q", bob.name, got)
		}
	}
	if sent := alice.line.take(); len(sent) != 0 {
		t.Errorf("%d messages published", len(sent))
	}
}

// A lease is over as soon as something that its messages rest on has changed.
func TestLeaseEndsWithWhatItRestsOn(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(t *testing.T, alice, bob *node)
		over   bool
	}{
		{"a new installation", func(_ *testing.T, alice, bob *node) {
			alice.meets(bob.hostDevice(bob.key, "phone"))
		}, true},
		{"a disabled installation", func(t *testing.T, alice, bob *node) {
			if err := alice.enable(bob, bob.name, false); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"a new prekey of the contact", func(_ *testing.T, alice, bob *node) {
			bob.now.Add(int64(30 * time.Hour))
			alice.meets(bob)
		}, true},
		{"the same bundle again", func(_ *testing.T, alice, bob *node) { alice.meets(bob) }, false},
		{"our bundle is another", func(_ *testing.T, alice, bob *node) {
			alice.contact(bob.key.Public()).Tell(ForgetBundle{})
			alice.settle(bob)
		}, true},
		{"an hour", func(_ *testing.T, alice, _ *node) { alice.now.Add(int64(time.Hour)) }, true},
		{"most of an hour", func(_ *testing.T, alice, _ *node) { alice.now.Add(int64(59 * time.Minute)) }, false},
		{"a clock that goes back", func(_ *testing.T, alice, _ *node) { alice.now.Add(-int64(time.Hour)) }, true},
		{"the contact is denied", func(t *testing.T, alice, bob *node) {
			if _, err := ask(t, alice.contact(bob.key.Public()), func(r actors.Reply[struct{}]) any { return Deny{r} }); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"the contact leaves memory", func(_ *testing.T, alice, bob *node) { alice.restart(bob.key.Public()) }, true},
		{"the peer starts over", func(_ *testing.T, alice, bob *node) {
			bob.now.Add(int64(50 * time.Minute))
			anew := bob.hostDevice(bob.key, bob.name) // without its sessions
			anew.meets(alice)
			alice.receive(bob, anew.send(alice, "here I am again"))
		}, true},
		{"an answer", func(_ *testing.T, alice, bob *node) { alice.receive(bob, bob.send(alice, "hi")) }, false},
		{"a message by the outbox", func(_ *testing.T, alice, bob *node) { bob.receive(alice, alice.send(bob, "hi")) }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			alice, bob := w.host("alice"), w.host("bob")
			talk(alice, bob)
			l, other := alice.reserve(bob, 8), alice.reserve(bob, 8)
			first := alice.encryptIn(l, "first")
			test.change(t, alice, bob)
			if !test.over {
				bob.receive(alice, alice.encryptIn(other, "other"))
				bob.receive(alice, alice.encryptIn(l, "second"))
				bob.receive(alice, first)
				return
			}
			alice.wantOver(l, "in use")
			alice.wantOver(other, "not used yet")
		})
	}
}

// A lease that something ends before it is durable is not given out.
func TestLeaseThatEndsOnItsWayIsRefused(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	alice.disk.gate.Lock()
	answers := make(chan error, 1)
	alice.contact(bob.key.Public()).Tell(Reserve{Size: 4, Reply: actors.ReplyFunc(func(_ *Lease, err error) { answers <- err })})
	alice.settle(bob)
	alice.contact(bob.key.Public()).Tell(ForgetBundle{})
	alice.settle(bob)
	alice.disk.gate.Unlock()
	if err := wait(t, answers); !errors.Is(err, ErrLeaseOver) {
		t.Errorf("got %v", err)
	}
	bob.receive(alice, alice.encryptIn(alice.reserve(bob, 4), "x"))
}

// Nothing is reserved for who must not be sent to, and never without a session.
func TestReservationRefusals(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	if _, err := alice.tryReserve(bob, 4); !errors.Is(err, ErrNoTarget) || alice.lookedUp.Load() != 1 {
		t.Errorf("nobody known: %v, looked up %d times", err, alice.lookedUp.Load())
	}
	if _, err := alice.tryReserve(alice, 4); !errors.Is(err, ErrNoTarget) || alice.lookedUp.Load() != 1 {
		t.Errorf("ourselves alone: %v, looked up %d times", err, alice.lookedUp.Load())
	}
	alice.meets(bob)
	alice.disk.failing(always)
	if _, err := alice.tryReserve(bob, 4); !errors.Is(err, ErrNotDurable) {
		t.Errorf("a broken disk: %v", err)
	}
	alice.disk.failing(nil)
	bob.receive(alice, alice.encryptIn(alice.reserve(bob, 4), "x"))
	if err := alice.enable(bob, bob.name, false); err != nil {
		t.Fatal(err)
	}
	if _, err := alice.tryReserve(bob, 4); !errors.Is(err, ErrNoTarget) {
		t.Errorf("all disabled: %v", err)
	}
}

// One installation without a usable prekey does not hold up the others.
func TestLeaseLeavesOutWhoCannotBeEncryptedFor(t *testing.T) {
	w := newWorld(t)
	alice, key := w.host("alice"), w.newKey("bob")
	one, two := w.hostDevice(key, "laptop"), w.hostDevice(key, "phone")
	alice.meets(one)
	w.now.Add(int64(16 * 24 * time.Hour))
	alice.meets(two)
	l := alice.reserve(one, 4)
	if !slices.Equal(l.Installations, []string{"phone"}) || len(l.Failed) != 1 || l.Failed[0].Installation != "laptop" {
		t.Fatalf("for %v, not for %v", l.Installations, l.Failed)
	}
	two.receive(alice, alice.encryptIn(l, "x"))
}

// A lease says that our other installations get no copy; a note to them is one.
func TestLeaseAndOurOtherInstallations(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	second := w.hostDevice(alice.key, "phone")
	alice.meets(bob)
	if l := alice.reserve(bob, 4); l.NoCopy {
		t.Error("no copy for nobody")
	}
	approve(t, alice, second)
	if l := alice.reserve(bob, 4); !l.NoCopy {
		t.Error("the lease does not say that there is no copy")
	}
	note := alice.reserve(alice, 4)
	if note.NoCopy {
		t.Error("a note is copied to nobody else")
	}
	approve(t, second, alice)
	second.receive(alice, alice.encryptIn(note, "remember"))
	if got := second.received(); !slices.Equal(got, []string{"remember"}) {
		t.Errorf("got %q", got)
	}
	if n := alice.disk.count(t, persistence.KindCopy); n != 0 {
		t.Errorf("%d copies to be made", n)
	}
}

// approve lets one device of an identity know and approve the other.
func approve(t *testing.T, one, other *node) {
	t.Helper()
	one.meets(other)
	if err := one.enable(other, other.name, true); err != nil {
		t.Fatal(err)
	}
}

// T48: a lease shows no key.
func TestLeasePrintsWithoutKeys(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	l := alice.reserve(bob, 4)
	want := fmt.Sprintf("lease to send to %v, 4 messages left", bob.key.Public())
	for _, verb := range []string{"%v", "%+v", "%#v", "%x"} {
		if got := fmt.Sprintf(verb, l); got != want {
			t.Errorf("%s: %s", verb, got)
		}
	}
}
