package deviceactor

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// paired gives installations of one identity that have approved each other.
func (w *world) paired(names ...string) []*node {
	w.t.Helper()
	var all []*node
	key := w.newKey("paired " + names[0])
	for _, name := range names {
		all = append(all, w.hostDevice(key, name))
	}
	for _, n := range all {
		for _, other := range all {
			if n == other {
				continue
			}
			n.meets(other)
			if err := n.enable(other, other.name, true); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return all
}

// writes sends a payload and gives the messages that are published for it: the
// contact's, and with our own other installations theirs.
func (n *node) writes(to *node, payload string, copies int) (Receipt, *wire.Message, []*wire.Message) {
	n.t.Helper()
	receipt, err := n.trySend(to, payload)
	if err != nil {
		n.t.Fatalf("%s sends %q: %v", n.name, payload, err)
	}
	var sent []*wire.Message
	await(n.t, "what is published", func() bool { sent = append(sent, n.line.take()...); return len(sent) >= 1+copies })
	await(n.t, "an empty outbox", func() bool {
		return n.disk.count(n.t, persistence.KindOutbox)+n.disk.count(n.t, persistence.KindCopy) == 0 || n.crashes.Load()
	})
	sent = append(sent, n.line.take()...)
	if len(sent) != 1+copies {
		n.t.Fatalf("%d messages published, want %d", len(sent), 1+copies)
	}
	return receipt, sent[0], sent[1:]
}

// Spec: 5.pairing.7 5.paired-group.4
func TestOwnInstallationsGetACopyOfWhatIsSent(t *testing.T) {
	w := newWorld(t)
	devices := w.paired("phone", "laptop", "tablet")
	phone, laptop, tablet := devices[0], devices[1], devices[2]
	bob := w.host("bob")
	phone.meets(bob)
	before := len(phone.disk.since(0))
	receipt, m, copies := phone.writes(bob, "to bob", 1)
	if fmt.Sprint(receipt.Installations) != "[bob]" || len(m.Entries) != 1 {
		t.Errorf("bob's message: %+v", receipt)
	}
	bob.receive(phone, m)
	if got := bob.last(); got.ID != receipt.ID || got.Recipient != bob.key.Public() || string(got.Payload) != "to bob" {
		t.Errorf("bob received %+v", got)
	}
	if len(copies[0].Entries) != 2 {
		t.Errorf("one message is for all others, got %d entries", len(copies[0].Entries))
	}
	for _, other := range []*node{laptop, tablet} {
		other.receive(phone, copies[0])
		got := other.last()
		if got.Recipient != bob.key.Public() || got.ID != receipt.ID || string(got.Payload) != "to bob" ||
			got.Sender != phone.key.Public() || got.Installation != "phone" || !got.ForwardSecrecy || got.Request {
			t.Errorf("%s received %+v", other.name, got)
		}
	}
	if err := phone.tryReceive(laptop, copies[0]); !errors.Is(err, ErrOwnEcho) {
		t.Errorf("the copy came back: %v", err)
	}
	if sent, made := phone.counters.Sent.Load(), phone.counters.Copies.Load(); sent != 1 || made != 1 {
		t.Errorf("counted %d messages and %d copies", sent, made)
	}
	// The copy's record comes with the message, and goes with that of its own.
	came, went := 0, 0
	for _, b := range phone.disk.since(before) {
		put, gone := make(map[persistence.Kind]int), make(map[persistence.Kind]int)
		for _, r := range b.Records {
			if r.Delete {
				gone[r.Name.Kind()]++
			} else {
				put[r.Name.Kind()]++
			}
		}
		if put[persistence.KindCopy]+gone[persistence.KindCopy] == 0 {
			continue
		}
		came, went = came+put[persistence.KindCopy], went+gone[persistence.KindCopy]
		if put[persistence.KindOutbox] != 1 || put[persistence.KindSession] != 1+gone[persistence.KindCopy] {
			t.Errorf("put %v, deleted %v in one batch", put, gone)
		}
	}
	if came != 1 || went != 1 {
		t.Errorf("records of copies came %d times and went %d times", came, went)
	}
}

// Spec: 5.pairing.5 draft.ghost-device.1
func TestNoCopyWithoutAnApprovedInstallation(t *testing.T) {
	w := newWorld(t)
	phone, bob := w.host("phone"), w.host("bob")
	laptop := w.hostDevice(phone.key, "laptop")
	phone.meets(laptop, bob)
	check := func(when string, copies int) {
		t.Helper()
		before := len(phone.disk.since(0))
		phone.writes(bob, "x", copies)
		records := 0
		for _, b := range phone.disk.since(before) {
			for _, r := range b.Records {
				if r.Name.Kind() == persistence.KindCopy {
					records++
				}
			}
		}
		if records != 2*copies {
			t.Errorf("%s: %d records of copies", when, records)
		}
	}
	check("not approved", 0)
	if err := phone.enable(laptop, "laptop", true); err != nil {
		t.Fatal(err)
	}
	check("approved", 1)
	if err := phone.enable(laptop, "laptop", false); err != nil {
		t.Fatal(err)
	}
	check("disabled", 0)
}

// A note to ourselves is a copy without an original.
// Spec: 5.pairing.7
func TestNoteToSelf(t *testing.T) {
	w := newWorld(t)
	devices := w.paired("phone", "laptop")
	phone, laptop := devices[0], devices[1]
	receipt, m, _ := phone.writes(laptop, "milk", 0)
	laptop.receive(phone, m)
	if got := laptop.last(); got.ID != receipt.ID || got.Recipient != phone.key.Public() || string(got.Payload) != "milk" {
		t.Errorf("received %+v", got)
	}
	if n := phone.counters.Copies.Load(); n != 0 {
		t.Errorf("%d copies of a note", n)
	}
}

// A message that looks like a copy can be sent like any other: to ourselves too.
func TestPayloadThatLooksLikeACopyArrivesAsItIs(t *testing.T) {
	w := newWorld(t)
	devices := w.paired("phone", "laptop")
	phone, laptop := devices[0], devices[1]
	bob := w.host("bob")
	phone.meets(bob)
	payload := string(encodedCopy(t, Copy{Recipient: peer, ID: MessageID{9}, Payload: []byte("never sent")}))
	receipt, m, copies := phone.writes(bob, payload, 1)
	bob.receive(phone, m)
	laptop.receive(phone, copies[0])
	for _, n := range []*node{bob, laptop} {
		if got := n.last(); string(got.Payload) != payload || got.Recipient != bob.key.Public() || got.ID != receipt.ID {
			t.Errorf("%s received %+v", n.name, got)
		}
	}
	_, m, _ = phone.writes(laptop, payload, 0)
	laptop.receive(phone, m)
	if got := laptop.last(); string(got.Payload) != payload || got.Recipient != phone.key.Public() {
		t.Errorf("a note: received %+v", got)
	}
}

// T01: a crash between the message and its copy loses nothing: the copy is made
// after the restart, once.
// Spec: 5.pairing.7
func TestCopyIsMadeAfterACrash(t *testing.T) {
	w := newWorld(t)
	devices := w.paired("phone", "laptop")
	phone, laptop := devices[0], devices[1]
	bob := w.host("bob")
	phone.meets(bob)
	phone.crashes.Store(true)
	var want []string
	ids := make(map[MessageID]bool)
	for i := range 3 {
		payload := fmt.Sprint("message ", i)
		receipt, _, _ := phone.writes(bob, payload, 0)
		want, ids[receipt.ID] = append(want, payload), true
	}
	if n := phone.disk.count(t, persistence.KindCopy); n != 3 {
		t.Fatalf("%d copies left by the crash", n)
	}
	phone.restart(bob.key.Public())
	phone.restart(laptop.key.Public())
	phone.crashes.Store(false)
	phone.contact(laptop.key.Public()).Tell(Republish{})
	for range 3 {
		w.sweep(phone, laptop)
	}
	var sent []*wire.Message
	await(t, "the copies", func() bool { sent = append(sent, phone.line.take()...); return len(sent) >= 3 })
	if n := phone.disk.count(t, persistence.KindCopy); n != 0 || len(sent) != 3 {
		t.Fatalf("%d copies published, %d left", len(sent), n)
	}
	for _, m := range sent {
		laptop.receive(phone, m)
		if got := laptop.last(); !ids[got.ID] || got.Recipient != bob.key.Public() {
			t.Errorf("received %+v", got)
		}
	}
	got := laptop.received()
	slices.Sort(got)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("received %v, want %v", got, want)
	}
	phone.restart(laptop.key.Public())
	for id := range ids {
		phone.contact(laptop.key.Public()).Tell(MakeCopy{ID: id})
	}
	w.sweep(phone, laptop)
	if sent := phone.line.take(); len(sent) != 0 {
		t.Errorf("%d copies made once more", len(sent))
	}
}

// Whoever asks for a copy that is being made gets no second one, nor does the
// failure of an earlier life of the contact call for one.
func TestCopyIsMadeOnceHoweverOftenItIsAskedFor(t *testing.T) {
	w := newWorld(t)
	devices := w.paired("phone", "laptop")
	phone, laptop := devices[0], devices[1]
	bob := w.host("bob")
	phone.meets(bob)
	phone.crashes.Store(true)
	receipt, _, _ := phone.writes(bob, "x", 0)
	phone.ownBundle()
	phone.disk.gate.Lock()
	for range 3 {
		phone.contact(laptop.key.Public()).Tell(MakeCopy{ID: receipt.ID})
		phone.contact(laptop.key.Public()).Tell(copied{New(&Config{}, x3dh.IdentityPublicKey{}, nil), receipt.ID, errDisk})
		w.sweep(phone, laptop)
	}
	phone.disk.gate.Unlock()
	await(t, "no copies left", func() bool { return phone.disk.count(t, persistence.KindCopy) == 0 })
	phone.restart(laptop.key.Public()) // when its work is done
	if sent := phone.line.take(); len(sent) != 1 {
		t.Errorf("%d copies published", len(sent))
	}
}

// T03: a copy whose commit failed is made again by a later sweep, with message
// keys of its own.
func TestCopyIsMadeAgainAfterAFailure(t *testing.T) {
	w := newWorld(t)
	devices := w.paired("phone", "laptop")
	phone, laptop := devices[0], devices[1]
	bob := w.host("bob")
	phone.meets(bob)
	phone.disk.failing(func(b persistence.Batch) bool {
		return slices.ContainsFunc(b.Records, func(r persistence.Record) bool { return r.Name.Kind() == persistence.KindCopy && r.Delete })
	})
	receipt, err := phone.trySend(bob, "x")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		phone.settle(bob)
		w.sweep(phone, laptop)
	}
	if copies := toInstallation(phone.line.take(), "laptop"); len(copies) != 0 || phone.disk.count(t, persistence.KindCopy) != 1 {
		t.Fatalf("%d copies published, %d left", len(copies), phone.disk.count(t, persistence.KindCopy))
	}
	phone.disk.failing(nil)
	var sent []*wire.Message
	await(t, "the copy", func() bool {
		w.sweep(phone, laptop)
		sent = append(sent, phone.line.take()...)
		return len(toInstallation(sent, "laptop")) > 0
	})
	for range 3 {
		w.sweep(phone, laptop)
	}
	copies := toInstallation(append(sent, phone.line.take()...), "laptop")
	make(keysUsed).note(t, copies)
	if len(copies) != 1 || phone.disk.count(t, persistence.KindCopy) != 0 {
		t.Errorf("%d copies published, %d left", len(copies), phone.disk.count(t, persistence.KindCopy))
	}
	laptop.receive(phone, copies[0])
	if got := laptop.last(); got.ID != receipt.ID {
		t.Errorf("received %+v", got)
	}
}

// toInstallation are the messages for one installation, each once: a message may
// be published again.
func toInstallation(sent []*wire.Message, recipient string) []*wire.Message {
	var out []*wire.Message
	for _, m := range sent {
		again := slices.ContainsFunc(out, func(o *wire.Message) bool { return bytes.Equal(o.Encode(), m.Encode()) })
		if m.Entries[0].Recipient == recipient && !again {
			out = append(out, m)
		}
	}
	return out
}

// A copy that nobody can be given is dropped with an alarm, and not tried for
// ever.
func TestCopyThatNobodyCanGetIsReported(t *testing.T) {
	w := newWorld(t)
	devices := w.paired("phone", "laptop")
	phone, laptop := devices[0], devices[1]
	bob := w.host("bob")
	phone.meets(bob)
	phone.crashes.Store(true)
	phone.writes(bob, "x", 0)
	if err := phone.enable(laptop, "laptop", false); err != nil {
		t.Fatal(err)
	}
	phone.crashes.Store(false)
	phone.restart(laptop.key.Public())
	await(t, "the alarm", func() bool { w.sweep(phone, laptop); return len(phone.alarms(laptop)) > 0 })
	alarms := phone.alarms(laptop)
	if n := phone.disk.count(t, persistence.KindCopy); n != 0 {
		t.Errorf("%d copies left", n)
	}
	if len(alarms) != 1 || !errors.Is(alarms[0], ErrCopyLost) || !errors.Is(alarms[0], ErrNoTarget) {
		t.Errorf("alarms %v", alarms)
	}
	if sent := phone.line.take(); len(sent) != 0 || phone.counters.Copies.Load() != 0 {
		t.Errorf("%d published", len(sent))
	}
	if n := phone.lookedUp.Load(); n != 0 {
		t.Errorf("our own contact code was looked up %d times", n)
	}
}

// A session that cannot be read just now is no reason to drop a copy.
func TestCopyWaitsForAStoreThatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	devices := w.paired("phone", "laptop")
	phone, laptop := devices[0], devices[1]
	bob := w.host("bob")
	phone.meets(bob)
	own := laptop.key.Public()
	sessions := persistence.NewName(persistence.KindSession, phone.owner[:], own[:], []byte("laptop"))
	phone.reader.breaks(sessions, errDisk)
	if _, err := phone.trySend(bob, "x"); err != nil {
		t.Fatal(err)
	}
	phone.settle(bob) // published
	for range 3 {
		w.sweep(phone, laptop)
	}
	if sent := phone.line.take(); len(sent) != 1 {
		t.Errorf("%d published", len(sent))
	}
	if n := phone.disk.count(t, persistence.KindCopy); n != 1 || len(phone.alarms(laptop)) != 0 {
		t.Fatalf("%d copies left, alarms %v", n, phone.alarms(laptop))
	}
	phone.reader.breaks(sessions, nil)
	var sent []*wire.Message
	await(t, "the copy", func() bool { w.sweep(phone, laptop); sent = append(sent, phone.line.take()...); return len(sent) > 0 })
	laptop.receive(phone, sent[0])
	if n := phone.disk.count(t, persistence.KindCopy); n != 0 || len(sent) != 1 {
		t.Errorf("%d published, %d left", len(sent), n)
	}
}

// The record of a copy holds what its receivers get, and is for one owner.
func TestCopyComesBackFromItsRecord(t *testing.T) {
	c := Copy{Recipient: peer, ID: MessageID{3}, Payload: []byte("x")}
	r, err := c.Record(owner)
	if err != nil || r.Name != CopyName(owner, c.ID) || r.Delete {
		t.Fatalf("%+v, %v", r, err)
	}
	if !bytes.HasPrefix([]byte(r.Name), []byte(Copies(owner))) || bytes.HasPrefix([]byte(r.Name), []byte(Copies(persistence.OwnerID{2}))) {
		t.Error("not among the copies of its owner")
	}
	if got, ok := DecodeCopy(r.Value); !ok || got.Recipient != peer || got.ID != c.ID {
		t.Errorf("got %+v, %v", got, ok)
	}
}
