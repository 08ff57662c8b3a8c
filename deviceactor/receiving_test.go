package deviceactor

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// copyOf is a message of its own, as it comes from the wire.
func copyOf(t *testing.T, m *wire.Message) *wire.Message {
	t.Helper()
	again, err := wire.Decode(bytes.Clone(m.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestMessageIsDurableBeforeItIsDelivered(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	alicesKey := alice.key.Public()
	bob.delivers = func(e Event) {
		switch e := e.(type) {
		case MessageReceived:
			value, err := bob.disk.Get(t.Context(), InboxName(bob.owner, alicesKey, e.ID))
			if err != nil {
				t.Errorf("delivered, but %v", err)
				return
			}
			if m, err := DecodeReceived(value); err != nil || string(m.Payload) != string(e.Payload) || m.ID != e.ID {
				t.Errorf("the inbox holds %+v, %v", m, err)
			}
		case InstallationDiscovered:
			if bob.disk.count(t, persistence.KindInstallation) != 1 {
				t.Error("discovered, but not stored")
			}
		case MessageRefused:
			t.Errorf("refused: %v", e.Err)
		}
	}
	m := alice.send(bob, "1")
	bob.receive(alice, m)
	bob.disk.gate.Lock()
	m = alice.send(bob, "2")
	done := make(chan error, 1)
	bob.contact(alicesKey).Tell(Receive{Message: m, Reply: actors.ReplyFunc(func(_ struct{}, err error) { done <- err })})
	for range 3 {
		bob.settle(alice)
	}
	if len(done) != 0 || len(bob.received()) != 1 {
		t.Error("answered or delivered while the disk was held")
	}
	bob.disk.gate.Unlock()
	if err := wait(t, done); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(bob.received()); got != "[1 2]" {
		t.Errorf("received %s", got)
	}
	batches := bob.disk.since(0)
	last := batches[len(batches)-1]
	kinds := make(map[persistence.Kind]bool)
	for _, r := range last.Records {
		kinds[r.Name.Kind()] = true
	}
	if !kinds[persistence.KindSession] || !kinds[persistence.KindInbox] {
		t.Errorf("the message came in a batch of %v", kinds)
	}
}

// A message whose commit failed has not been received: it can come again.
func TestFailedCommitOfAReceivedMessageChangesNothing(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	for i := range 4 {
		m := alice.send(bob, fmt.Sprint("message ", i))
		before := bob.disk.hash(t)
		bob.disk.failing(always)
		if err := bob.tryReceive(alice, m); !errors.Is(err, ErrNotDurable) || !Unhandled(err) {
			t.Fatalf("got %v", err)
		}
		bob.disk.failing(nil)
		if bob.disk.hash(t) != before {
			t.Fatal("the store has changed")
		}
		bob.receive(alice, m)
		if got := bob.received(); got[len(got)-1] != fmt.Sprint("message ", i) {
			t.Fatalf("received %v", got)
		}
	}
	for _, e := range bob.events {
		if refused, ok := e.(MessageRefused); ok {
			t.Errorf("reported as refused: %v", refused.Err)
		}
	}
}

// refusals is what a refusal of a message is checked with.
type refusals struct {
	t        *testing.T
	at, from *node
}

// check gives the message and expects the cause, and that nothing changes.
func (r refusals) check(name string, m *wire.Message, want error) {
	r.t.Helper()
	r.at.settle(r.from)
	before, events := r.at.disk.hash(r.t), len(r.at.events)
	count := r.at.counters.Refused.Load()
	known := fmt.Sprintf("%+v", r.at.known(r.from))
	err := r.at.tryReceive(r.from, m)
	if !errors.Is(err, want) || Unhandled(err) {
		r.t.Errorf("%s: got %v, want %v", name, err, want)
	}
	if after := fmt.Sprintf("%+v", r.at.known(r.from)); after != known {
		r.t.Errorf("%s: the contact was\n%s\nand is\n%s", name, known, after)
	}
	if r.at.disk.hash(r.t) != before {
		r.t.Errorf("%s: the store has changed", name)
	}
	if r.at.counters.Refused.Load() != count+1 || len(r.at.events) != events+1 {
		r.t.Errorf("%s: not counted or not reported", name)
		return
	}
	if e, ok := r.at.events[events].(MessageRefused); !ok || !errors.Is(e.Err, want) || e.Sender != r.from.key.Public() {
		r.t.Errorf("%s: reported %+v", name, r.at.events[events])
	}
}

// T19, T26, T28, T29: a refused message leaves the store as it was, to the byte.
func TestRefusedMessageLeavesTheStoreAsItWas(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.host("alice"), w.host("bob"), w.host("carol")
	talk(alice, bob)
	replayed := alice.send(bob, "once")
	bob.receive(alice, replayed)
	good := alice.send(bob, "good")
	refused := refusals{t, bob, alice}
	altered := func(change func(*wire.Message)) *wire.Message {
		m := copyOf(t, good)
		change(m)
		return m
	}
	// A bundle that is Alice's, valid and newer than the one known.
	w.now.Add(int64(25 * time.Hour))
	newer := alice.ownBundle()
	carols := carol.ownBundle()

	refused.check("forged", altered(func(m *wire.Message) { m.Entries[0].Part.Payload[20] ^= 1 }), ratchet.ErrMAC)
	refused.check("forged, with a newer bundle", altered(func(m *wire.Message) {
		m.Entries[0].Part.Payload[20] ^= 1
		m.Bundles = []wire.Bundle{newer}
	}), ratchet.ErrMAC)
	refused.check("truncated", altered(func(m *wire.Message) { m.Entries[0].Part.Payload = m.Entries[0].Part.Payload[:40] }), ratchet.ErrCiphertext)
	refused.check("replayed", replayed, ratchet.ErrMessageKeyGone)
	refused.check("replayed, with a newer bundle", func() *wire.Message {
		m := copyOf(t, replayed)
		m.Bundles = []wire.Bundle{newer}
		return m
	}(), ratchet.ErrMessageKeyGone)
	refused.check("not targeted", altered(func(m *wire.Message) { m.Entries[0].Recipient = "somebody else" }), ErrNotTargeted)
	refused.check("not targeted, with a newer bundle", altered(func(m *wire.Message) {
		m.Entries[0].Recipient = "somebody else"
		m.Bundles = []wire.Bundle{newer}
	}), ErrNotTargeted)
	refused.check("bad bundle signature", altered(func(m *wire.Message) { m.Bundles[0].Signature[5] ^= 1 }), x3dh.ErrBundleSignature)
	refused.check("bundle with another prekey", altered(func(m *wire.Message) { m.Bundles[0].PreKeys[0].Key = carols.PreKeys[0].Key }), x3dh.ErrBundleSignature)
	refused.check("empty with a bad bundle", &wire.Message{InstallationID: "alice", Bundles: []wire.Bundle{func() wire.Bundle {
		b := newer
		b.Timestamp++
		return b
	}()}}, x3dh.ErrBundleSignature)
	refused.check("hash ratchet", altered(func(m *wire.Message) { m.Entries[0].Part.HashRatchet = true }), ErrUnsupported)
	refused.check("public", altered(func(m *wire.Message) { m.HasPublic, m.Public = true, []byte("to all") }), ErrUnsupported)
	refused.check("no sender's installation", altered(func(m *wire.Message) { m.InstallationID = "" }), sessionactor.ErrHeader)
	refused.check("of another installation", altered(func(m *wire.Message) { m.InstallationID = "another" }), sessionactor.ErrNoSession)
	refused.check("no header at all", altered(func(m *wire.Message) { m.Entries[0].Part.DR = nil }), sessionactor.ErrHeader)
	refused.check("X3DH header of nobody's prekey", altered(func(m *wire.Message) {
		m.Entries[0].Part.DR.SignedPreKey = wire.PublicKey{2, 9}
		m.Entries[0].Part.X3DH = &wire.X3DHHeader{Ephemeral: newer.PreKeys[0].Key, SignedPreKey: wire.PublicKey{2, 9}}
	}), sessionactor.ErrUnknownPreKey)
	refused.check("DH-only that does not open", altered(func(m *wire.Message) {
		m.Entries[0].Part.DR, m.Entries[0].Part.DH = nil, &wire.DHHeader{Ephemeral: newer.PreKeys[0].Key}
	}), x3dh.ErrDecrypt)

	// After all that the message itself is read, from its entry for everybody too.
	m := copyOf(t, good)
	m.Entries[0].Recipient = wire.NoInstallation
	bob.receive(alice, m)
	if got := bob.received(); got[len(got)-1] != "good" {
		t.Errorf("received %v", got)
	}
}

// T18, T36: a message that a stranger took from another sender leaves nothing
// of the stranger behind.
func TestStolenMessageLeavesNoContact(t *testing.T) {
	w := newWorld(t)
	alice, bob, mallory := w.host("alice"), w.host("bob"), w.host("mallory")
	alice.meets(bob)
	stolen := alice.send(bob, "for bob, from alice")
	refused := refusals{t, bob, mallory}
	refused.check("with alice's bundle", stolen, ratchet.ErrMAC)
	m := copyOf(t, stolen)
	m.Bundles = []wire.Bundle{mallory.ownBundle()}
	refused.check("with her own bundle", m, ratchet.ErrMAC)
	m.InstallationID = "mallory"
	refused.check("as her own installation", m, ratchet.ErrMAC)
	if n := bob.disk.count(t, persistence.KindContact) + bob.disk.count(t, persistence.KindInstallation); n != 0 {
		t.Errorf("%d records of strangers", n)
	}
	bob.receive(alice, stolen)
}

func TestReplayedDHOnlyMessageIsRefused(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	m := alice.send(bob, "request")
	bob.receive(alice, m)
	flipped := copyOf(t, m)
	flipped.Entries[0].Part.DH.Ephemeral[0] ^= 1
	bob.restart(alice.key.Public())
	refused := refusals{t, bob, alice}
	refused.check("again, after a restart", m, ErrReplayed)
	refused.check("with the other parity", flipped, ErrReplayed)
}

// T29: bundles of others, and of other identities, are taken from nobody.
func TestForeignBundleIsNotTaken(t *testing.T) {
	w := newWorld(t)
	alice, bob, mallory := w.host("alice"), w.host("bob"), w.host("mallory")
	talk(alice, bob)
	before := bob.disk.hash(t)
	if err := bob.tryTake(alice, mallory.ownBundle()); !errors.Is(err, x3dh.ErrBundleIdentity) {
		t.Errorf("got %v", err)
	}
	forged := alice.ownBundle()
	forged.PreKeys = mallory.ownBundle().PreKeys
	if err := bob.tryTake(alice, forged); !errors.Is(err, x3dh.ErrBundleSignature) {
		t.Errorf("got %v", err)
	}
	// In a message they are passed over.
	bob.receive(alice, &wire.Message{InstallationID: "alice", Bundles: []wire.Bundle{mallory.ownBundle()}})
	if bob.disk.hash(t) != before {
		t.Error("the store has changed")
	}
	m := alice.send(bob, "x")
	m.Bundles = append([]wire.Bundle{mallory.ownBundle()}, m.Bundles...)
	bob.receive(alice, m)
	if c := bob.known(alice); len(c.Installations) != 1 || c.Installations[0].ID != "alice" {
		t.Errorf("installations %+v", c.Installations)
	}
}

// A peer whose clock is wrong is still read; what it signed is not kept.
func TestBundleThatCannotBeBelievedIsPassedOver(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	known := bob.known(alice).Installations[0].Entry
	ahead := alice.ownBundle()
	ahead.Timestamp += int64(48 * time.Hour)
	if err := x3dh.SignBundle(alice.key, &ahead); err != nil {
		t.Fatal(err)
	}
	m := alice.send(bob, "from the day after tomorrow")
	m.Bundles = []wire.Bundle{ahead}
	bob.receive(alice, m)
	if got := bob.received(); got[len(got)-1] != "from the day after tomorrow" {
		t.Errorf("received %v", got)
	}
	if got := bob.known(alice).Installations[0].Entry; got != known {
		t.Errorf("took %+v", got)
	}
	refusals{t, bob, alice}.check("nothing but the bundle", &wire.Message{InstallationID: "alice", Bundles: []wire.Bundle{ahead}}, x3dh.ErrBundleTimestamp)
}

func TestBundleOfAnEmptyMessageIsTaken(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	bob.receive(alice, &wire.Message{InstallationID: "alice", Bundles: []wire.Bundle{alice.ownBundle()}})
	if m := bob.send(alice, "x"); m.Entries[0].Part.X3DH == nil {
		t.Error("not sent to the device that the bundle names")
	}
}

// A bundle may be lost on the way. The device that spoke is then answered on the
// session it started, and never without forward secrecy.
func TestDeviceWithoutABundleIsAnsweredOnItsSession(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	m := alice.send(bob, "x")
	bundles := m.Bundles
	m.Bundles = nil
	bob.receive(alice, m)
	discovered := false
	for _, e := range bob.events {
		if e, ok := e.(InstallationDiscovered); ok && e.Installation == "alice" && e.Enabled {
			discovered = true
		}
	}
	if !discovered {
		t.Error("the device was not reported")
	}
	bob.restart(alice.key.Public())
	answer := bob.send(alice, "answer")
	if p := answer.Entries[0].Part; p.DR == nil || p.X3DH != nil || p.DH != nil {
		t.Fatalf("answered with %+v", p)
	}
	alice.receive(bob, answer)
	bob.receive(alice, &wire.Message{InstallationID: "alice", Bundles: bundles})
	alice.receive(bob, bob.send(alice, "with the bundle"))
}

// Rule 7: whoever has a valid identity can make up any number of installations.
func TestInstallationsOfAContactAreBounded(t *testing.T) {
	w := newWorld(t)
	bob := w.host("bob")
	key := w.newKey("flood")
	var last *node
	for i := range maxInstallations + 2 {
		last = w.hostDevice(key, fmt.Sprintf("device-%03d", i))
		last.meets(bob)
		m := last.send(bob, "x")
		if i%2 == 0 {
			m.Bundles = nil
		}
		if i < maxInstallations {
			bob.receive(last, m)
			continue
		}
		refusals{t, bob, last}.check("one too many", m, ErrTooManyInstallations)
	}
	if sessions := bob.disk.count(t, persistence.KindSession); sessions != maxInstallations {
		t.Errorf("%d sessions", sessions)
	}
}

// T11: a message that panics its session costs itself.
func TestPoisonedMessageCostsItself(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	m := alice.send(bob, "good")
	before := bob.disk.hash(t)
	if err := bob.tryReceive(alice, &wire.Message{InstallationID: "alice", Entries: []wire.Entry{{Recipient: "bob", Part: wire.Part{X3DH: nil, DR: &wire.DRHeader{RatchetKey: nil}}}}}); !errors.Is(err, ratchet.ErrHeader) {
		t.Errorf("got %v", err)
	}
	// No message is known that panics: a nil one stands for it.
	_, err := ask(t, bob.contact(alice.key.Public()), func(r actors.Reply[struct{}]) any { return Receive{Reply: r} })
	if !errors.Is(err, actors.ErrQuarantined) {
		t.Errorf("got %v", err)
	}
	bob.settle(alice)
	if bob.disk.hash(t) != before {
		t.Error("the store has changed")
	}
	bob.receive(alice, m)
}

// Whoever waits for a contact that cannot go on hears of it.
func TestContactThatEndsAnswersEverybody(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	bobs := bob.key.Public()
	initial := func() *wire.Message { // Bob starts anew, with a key Alice has to look up
		other := w.hostDevice(bob.key, "bob-2")
		other.meets(alice)
		return other.send(alice, "x")
	}()
	asked := &script{make(chan any, 10)}
	alice.ownBundle()
	alice.restart(bobs)
	alice.bundle = asked
	contact := alice.contact(bobs)

	answers := make(chan error, 10)
	took := actors.ReplyFunc[struct{}]
	alice.disk.gate.Lock()
	sends := 3
	for range sends {
		contact.Tell(TakeBundle{Bundle: bob.ownBundle(), Reply: took(func(_ struct{}, err error) { answers <- err })})
		contact.Tell(SetEnabled{Installation: "bob", Enabled: true, Reply: took(func(_ struct{}, err error) { answers <- err })})
	}
	contact.Tell(Receive{Message: initial, Hash: sha256.Sum256(initial.Encode()), Reply: took(func(_ struct{}, err error) { answers <- err })})
	lookup := asked.next(t).(bundleactor.FindPreKey)
	contact.Tell(Send{Payload: []byte("x"), Reply: actors.ReplyFunc(func(_ Receipt, err error) { answers <- err })})
	asked.next(t) // for our bundle; nobody answers

	// The disk breaks, and what is on it cannot be read any more.
	err := alice.disk.Store.Apply(t.Context(), persistence.Batch{Records: []persistence.Record{
		{Name: contactName(alice.owner, bobs), Value: []byte("\xff")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	alice.disk.failing(always)
	alice.disk.gate.Unlock()
	expect := func(n int) {
		t.Helper()
		for range n {
			if err := wait(t, answers); err != nil && !Unhandled(err) {
				t.Errorf("got %v", err)
			}
		}
	}
	// Taking a bundle that is known commits nothing and has succeeded before.
	expect(2*sends + 1)
	lookup.Send(nil)
	expect(1)
	if _, err := ask(t, contact, func(r actors.Reply[Contact]) any { return GetContact{r} }); !errors.Is(err, actors.ErrStopped) {
		t.Errorf("got %v", err)
	}
}

// A panic of the contact itself loses nothing that was on its way to the disk.
func TestPanicOfTheContactKeepsWhatIsInFlight(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	alice.ownBundle()
	alice.disk.gate.Lock()
	answers := make(chan error, 10)
	contact := alice.contact(bob.key.Public())
	send := func(payload string) {
		contact.Tell(Send{Payload: []byte(payload), Reply: actors.ReplyFunc(func(_ Receipt, err error) { answers <- err })})
	}
	send("in flight")
	await(t, "the commit", func() bool { return alice.committer.Queued() > 0 })
	if _, err := ask(t, contact, func(r actors.Reply[struct{}]) any { return Receive{Reply: r} }); !errors.Is(err, actors.ErrQuarantined) {
		t.Fatalf("got %v", err)
	}
	send("after the panic")
	alice.settle(bob)
	alice.disk.gate.Unlock()
	for range 2 {
		if err := wait(t, answers); err != nil {
			t.Error(err)
		}
	}
	alice.settle(bob)
	used := make(keysUsed)
	sent := alice.line.take()
	used.note(t, sent)
	for _, m := range sent {
		bob.receive(alice, m)
	}
	if got := bob.received(); fmt.Sprint(got[len(got)-2:]) != "[in flight after the panic]" {
		t.Errorf("received %v", got)
	}
}
