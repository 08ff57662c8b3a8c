package deviceactor

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/proto/wire"
)

// keysUsed collects which message keys ever went out. A key is the sender's
// ratchet key with a number; whoever has seen both knows the ciphertext.
type keysUsed map[string][]byte

func (k keysUsed) note(t *testing.T, sent []*wire.Message) {
	t.Helper()
	for _, m := range sent {
		for _, e := range m.Entries {
			name := fmt.Sprintf("%x/%d", e.Part.DR.RatchetKey, e.Part.DR.N)
			if other, used := k[name]; used && !bytes.Equal(other, e.Part.Payload) {
				t.Fatalf("message key %s for %s was used twice", name, e.Recipient)
			}
			k[name] = e.Part.Payload
		}
	}
}

func TestMessageToTwoDevicesIsOneBatch(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob-1")
	second := w.hostDevice(bob.key, "bob-2")
	alice.meets(bob, second)
	before := len(alice.disk.since(0))
	alice.line.refusing(true) // the outbox record stays to be looked at
	receipt, err := alice.trySend(bob, "to both")
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(receipt.Installations) != "[bob-1 bob-2]" || !receipt.ForwardSecrecy || receipt.Started != 2 || len(receipt.Failed) != 0 {
		t.Errorf("receipt %+v", receipt)
	}
	alice.settle(bob)
	batches := alice.disk.since(before)
	with := 0
	for _, b := range batches {
		kinds := make(map[persistence.Kind]int)
		for _, r := range b.Records {
			kinds[r.Name.Kind()]++
		}
		if kinds[persistence.KindSession]+kinds[persistence.KindOutbox] == 0 {
			continue // our own bundle
		}
		with++
		if kinds[persistence.KindSession] != 2 || kinds[persistence.KindOutbox] != 1 {
			t.Errorf("a batch of %v", kinds)
		}
	}
	if with != 1 {
		t.Errorf("the message came in %d batches", with)
	}
	sent := alice.line.take()
	if len(sent) != 1 || len(sent[0].Entries) != 2 || len(sent[0].Bundles) != 1 {
		t.Fatalf("published %+v", sent)
	}
	value, err := alice.disk.Get(t.Context(), OutboxName(alice.owner, bob.key.Public(), receipt.ID))
	if err != nil {
		t.Fatal(err)
	}
	if o, err := DecodeOutgoing(value); err != nil || !bytes.Equal(o.Message, sent[0].Encode()) || o.Recipient != bob.key.Public() {
		t.Errorf("the outbox holds another message, %v", err)
	}
	for _, device := range []*node{bob, second} {
		device.receive(alice, sent[0])
		if got := device.received(); fmt.Sprint(got) != "[to both]" {
			t.Errorf("%s got %v", device.name, got)
		}
	}
}

func TestReceiptComesAfterTheDiskAndBeforeTheNetwork(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	alice.ownBundle()
	alice.line.publish = func() {
		if alice.disk.count(t, persistence.KindOutbox) != 1 || alice.disk.count(t, persistence.KindSession) != 1 {
			t.Error("published before the message was durable")
		}
	}
	alice.disk.gate.Lock()
	done := make(chan error, 1)
	alice.contact(bob.key.Public()).Tell(Send{Payload: []byte("x"), Reply: actors.ReplyFunc(func(_ Receipt, err error) { done <- err })})
	for range 3 {
		alice.settle(bob)
	}
	if len(done) != 0 || len(alice.line.take()) != 0 {
		t.Error("answered or published while the disk was held")
	}
	alice.disk.gate.Unlock()
	if err := wait(t, done); err != nil {
		t.Fatal(err)
	}
	alice.settle(bob)
	if len(alice.line.take()) != 1 {
		t.Error("not published")
	}
}

// T03: whichever batch fails, nothing of it goes out, what follows works, and no
// message key is ever used twice.
func TestFailedCommitPublishesNothingAndUsesNoKeyTwice(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	used := make(keysUsed)
	for round := range 8 {
		alice.disk.failing(func(b persistence.Batch) bool {
			for _, r := range b.Records {
				if r.Name.Kind() == persistence.KindOutbox && !r.Delete {
					return true
				}
			}
			return false
		})
		if round%2 == 0 {
			// Several behind each other: those after the first fail with it.
			answers := make(chan error, 5)
			for i := range 5 {
				alice.contact(bob.key.Public()).Tell(Send{
					Payload: fmt.Appendf(nil, "lost %d/%d", round, i),
					Reply:   actors.ReplyFunc(func(_ Receipt, err error) { answers <- err }),
				})
			}
			for range 5 {
				if err := wait(t, answers); !errors.Is(err, ErrNotDurable) && !errors.Is(err, actors.ErrStopped) {
					t.Fatalf("round %d: got %v", round, err)
				}
			}
		} else if _, err := alice.trySend(bob, "lost"); !errors.Is(err, ErrNotDurable) || !errors.Is(err, errDisk) {
			t.Fatalf("round %d: got %v", round, err)
		}
		alice.settle(bob)
		if sent := alice.line.take(); len(sent) != 0 {
			t.Fatalf("round %d: %d messages published without being durable", round, len(sent))
		}
		alice.disk.failing(nil)
		m := alice.send(bob, fmt.Sprint("after ", round))
		used.note(t, []*wire.Message{m})
		bob.receive(alice, m)
		if round%3 == 2 {
			alice.receive(bob, bob.send(alice, "answer"))
		}
	}
	if got := alice.counters.Sent.Load(); got != 2+8 {
		t.Errorf("%d messages counted as sent", got)
	}
}

// T11: the state that was handed over counts, not the older one in the store.
func TestPanicOfOneSessionCostsOneMessageOfIt(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob-1")
	second := w.hostDevice(bob.key, "bob-2")
	alice.meets(bob, second)
	bob.receive(alice, alice.send(bob, "0"))

	// The second device's session hangs while it reads the store, so that no
	// state of the first one gets to the committer.
	alice.restart(bob.key.Public())
	public := bob.key.Public()
	sessions := persistence.NewName(persistence.KindSession, alice.owner[:], public[:], []byte("bob-2"))
	release := make(chan struct{})
	alice.reader.mu.Lock()
	alice.reader.names[sessions] = release
	alice.reader.mu.Unlock()
	answers := make(chan Receipt, 10)
	tell := func(payload string) {
		alice.contact(bob.key.Public()).Tell(Send{Payload: []byte(payload), Reply: actors.ReplyFunc(func(r Receipt, err error) {
			if err != nil {
				t.Errorf("%q: %v", payload, err)
			}
			answers <- r
		})})
		alice.settle(bob)
	}
	before := alice.random.read()
	tell("1")
	await(t, "the first session", func() bool { return alice.random.read() > before })
	alice.random.panics.Store(true)
	tell("2")
	await(t, "the panic", func() bool { return !alice.random.panics.Load() })
	before = alice.random.read()
	tell("3")
	await(t, "the first session's next life", func() bool { return alice.random.read() > before })
	close(release)
	failed := 0
	for range 3 {
		failed += len((wait(t, answers)).Failed)
	}
	if failed != 1 {
		t.Errorf("%d parts failed, want that of the panic", failed)
	}
	alice.settle(bob)
	used := make(keysUsed)
	sent := alice.line.take()
	used.note(t, sent)
	for _, m := range sent {
		for _, device := range []*node{bob, second} {
			if err := device.tryReceive(alice, m); err != nil && !errors.Is(err, ErrNotTargeted) {
				t.Errorf("%s: %v", device.name, err)
			}
		}
	}
	if got := fmt.Sprint(bob.received(), second.received()); got != "[0 1 3] [1 2 3]" {
		t.Errorf("received %s", got)
	}
}

func TestPanicOfTheOnlySessionIsAnswered(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	alice.random.panics.Store(true)
	if _, err := alice.trySend(bob, "lost"); !errors.Is(err, actors.ErrQuarantined) || !errors.Is(err, ErrNoTarget) {
		t.Fatalf("got %v", err)
	}
	bob.receive(alice, alice.send(bob, "next"))
}

// The stored state of a session only ever moves on, however slow its siblings
// are: what the disk has after a crash at any batch is never older.
func TestStoredStatesOnlyMoveOn(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob-1")
	second := w.hostDevice(bob.key, "bob-2")
	alice.meets(bob, second)
	alice.random.mu.Lock()
	alice.random.slow = true
	alice.random.mu.Unlock()
	const messages = 60
	answers := make(chan error, messages)
	for i := range messages {
		alice.contact(bob.key.Public()).Tell(Send{
			Payload: fmt.Append(nil, i),
			Reply:   actors.ReplyFunc(func(_ Receipt, err error) { answers <- err }),
		})
	}
	for range messages {
		if err := wait(t, answers); err != nil {
			t.Fatal(err)
		}
	}
	alice.settle(bob)
	type state struct {
		key string
		n   uint32
	}
	stored := make(map[persistence.Name]state)
	writes := 0
	outbox := make(map[persistence.Name]bool)
	for _, b := range alice.disk.since(0) {
		for _, r := range b.Records {
			switch r.Name.Kind() {
			case persistence.KindSession:
				var s record.Session
				if err := proto.Unmarshal(r.Value, &s); err != nil {
					t.Fatal(err)
				}
				now := state{string(s.GetRatchet().GetSelfPublic()), s.GetRatchet().GetSendN()}
				if last := stored[r.Name]; last.key == now.key && now.n < last.n {
					t.Fatalf("session %v went from number %d back to %d", r.Name, last.n, now.n)
				}
				stored[r.Name] = now
				writes++
			case persistence.KindOutbox:
				if r.Delete {
					continue
				}
				o, err := DecodeOutgoing(r.Value)
				if err != nil {
					t.Fatal(err)
				}
				outbox[r.Name] = true
				m, err := wire.Decode(o.Message)
				if err != nil {
					t.Fatal(err)
				}
				// Whatever is in the outbox, the states in the same batch or
				// before have moved past it.
				for _, e := range m.Entries {
					defer func() {
						for _, s := range stored {
							if s.key == string(e.Part.DR.RatchetKey) && s.n <= e.Part.DR.N {
								t.Errorf("number %d is in the outbox, the stored state is at %d", e.Part.DR.N, s.n)
							}
						}
					}()
				}
			}
		}
	}
	if len(stored) != 2 || len(outbox) != messages || writes < 4 {
		t.Errorf("%d sessions, %d messages, %d writes", len(stored), len(outbox), writes)
	}
	for _, m := range alice.line.take() {
		bob.receive(alice, m)
		second.receive(alice, m)
	}
	for i, got := range second.received() {
		if got != fmt.Sprint(i) {
			t.Fatalf("message %d is %q: published out of order", i, got)
		}
	}
}

func TestOutboxRecordGoesWhenTheTransportHasTheMessage(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.meets(bob)
	alice.send(bob, "x") // waits for the empty outbox
	w.sweep(alice, bob)
	if again := alice.line.take(); len(again) != 0 {
		t.Errorf("%d messages published again", len(again))
	}
}

func (w *world) sweep(n, peer *node) {
	w.t.Helper()
	w.system.Sweep(time.Unix(0, w.now.Load()))
	n.settle(peer)
	n.settle(peer)
}

func TestRefusedPublicationIsMadeAgainWithTheSweep(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t)
		alice, bob := w.host("alice"), w.host("bob")
		alice.meets(bob)
		alice.line.refusing(true)
		first := alice.send(bob, "x")
		for range 3 {
			w.sweep(alice, bob)
			if again := alice.line.take(); len(again) != 1 || !bytes.Equal(again[0].Encode(), first.Encode()) {
				t.Fatalf("%d messages published by the sweep, want the same one", len(again))
			}
		}
		if restart {
			alice.restart(bob.key.Public())
			alice.settle(bob)
		}
		alice.line.refusing(false)
		w.sweep(alice, bob)
		if again := alice.line.take(); len(again) != 1 || !bytes.Equal(again[0].Encode(), first.Encode()) {
			t.Fatalf("after a restart %v: %d messages published", restart, len(again))
		}
		await(t, "an empty outbox", func() bool { return alice.disk.count(t, persistence.KindOutbox) == 0 })
		w.sweep(alice, bob)
		if again := alice.line.take(); len(again) != 0 {
			t.Errorf("published again after it was taken")
		}
		bob.receive(alice, first)
	}
}

func TestRepublishOfAMessageThatIsGoneDoesNothing(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.contact(bob.key.Public()).Tell(Republish{MessageID{1}})
	w.sweep(alice, bob)
	if sent := alice.line.take(); len(sent) != 0 {
		t.Errorf("%d messages published", len(sent))
	}
}

// T40: once a device is known, nothing is sent without forward secrecy.
func TestDHOnlyIsForUnknownContactsAlone(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	receipt, err := alice.trySend(bob, "request")
	if err != nil || receipt.ForwardSecrecy || fmt.Sprint(receipt.Installations) != "[none]" {
		t.Fatalf("receipt %+v, %v", receipt, err)
	}
	alice.settle(bob)
	bob.receive(alice, alice.line.take()[0])
	if m := bob.events[len(bob.events)-1].(MessageReceived); m.ForwardSecrecy || string(m.Payload) != "request" {
		t.Errorf("received %+v", m)
	}
	// The request brought Alice's bundle, the answer brings Bob's.
	alice.receive(bob, bob.send(alice, "answer"))
	if m := alice.send(bob, "now secret"); m.Entries[0].Part.DR == nil || m.Entries[0].Part.DH != nil {
		t.Error("sent without forward secrecy to a known device")
	}
	_, err = ask(t, alice.contact(bob.key.Public()), func(r actors.Reply[struct{}]) any { return SetEnabled{r, "bob", false} })
	if err != nil {
		t.Fatal(err)
	}
	before := alice.disk.hash(t)
	if _, err := alice.trySend(bob, "to nobody"); !errors.Is(err, ErrNoTarget) {
		t.Errorf("got %v", err)
	}
	alice.settle(bob)
	if alice.disk.hash(t) != before || len(alice.line.take()) != 0 {
		t.Error("a refused message left something")
	}
}

// Finding 11 of the reference: another identity may have our installation id.
func TestContactWithOurInstallationIDIsATarget(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.hostDevice(w.newKey("alice"), "same-id"), w.hostDevice(w.newKey("bob"), "same-id")
	talk(alice, bob)
	known := alice.known(bob)
	if in, ok := known.Find("same-id"); !ok || !in.Enabled {
		t.Errorf("bob's device is %+v", in)
	}
}

func TestOwnOtherDeviceIsSentToOnceApproved(t *testing.T) {
	w := newWorld(t)
	phone := w.host("phone")
	laptop := w.hostDevice(phone.key, "laptop")
	if _, err := phone.trySend(laptop, "to myself"); !errors.Is(err, ErrNoTarget) {
		t.Fatalf("nobody is known: %v", err)
	}
	phone.meets(laptop, phone) // its own bundle too
	if c := phone.known(laptop); len(c.Installations) != 1 || c.Installations[0].Enabled {
		t.Fatalf("installations %+v", c.Installations)
	}
	if e, ok := phone.events[0].(InstallationDiscovered); !ok || e.Enabled || e.Installation != "laptop" {
		t.Errorf("event %+v", phone.events[0])
	}
	if _, err := phone.trySend(laptop, "to myself"); !errors.Is(err, ErrNoTarget) {
		t.Fatalf("before the approval: %v", err)
	}
	_, err := ask(t, phone.contact(phone.key.Public()), func(r actors.Reply[struct{}]) any { return SetEnabled{r, "laptop", true} })
	if err != nil {
		t.Fatal(err)
	}
	m := phone.send(laptop, "to myself")
	laptop.receive(phone, m)
	if err := phone.tryReceive(phone, m); !errors.Is(err, ErrOwnEcho) {
		t.Errorf("our own message: %v", err)
	}
}

func TestMessageGoesToTheMostRecentlyActiveDevices(t *testing.T) {
	w := newWorld(t)
	alice := w.host("alice")
	devices := []*node{w.host("bob-0")}
	for i := 1; i < 5; i++ {
		devices = append(devices, w.hostDevice(devices[0].key, fmt.Sprint("bob-", i)))
	}
	for i, d := range devices {
		w.now.Store(noon + int64(i))
		alice.meets(d)
	}
	w.now.Store(noon + 10)
	devices[0].meets(alice)
	alice.receive(devices[0], devices[0].send(alice, "I am here"))
	receipt, err := alice.trySend(devices[0], "x")
	if err != nil || fmt.Sprint(receipt.Installations) != "[bob-0 bob-3 bob-4]" {
		t.Errorf("sent to %v, %v", receipt.Installations, err)
	}
}

// script is a bundle actor that answers when it is told to.
type script struct {
	asked chan any
}

func (s *script) Tell(m any) { s.asked <- m }

// next is what was asked.
func (s *script) next(t *testing.T) any {
	t.Helper()
	return wait(t, s.asked)
}

// Our bundle changes while a contact waits for it: what the contact gets is good
// for those who asked, and not for the next message.
func TestBundleThatChangedMeanwhileIsAskedForAgain(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	old := alice.ownBundle()
	asked := &script{make(chan any, 10)}
	alice.bundle = asked
	alice.meets(bob)
	contact := alice.contact(bob.key.Public())
	answers := make(chan error, 10)
	send := func() {
		contact.Tell(Send{Payload: []byte("x"), Reply: actors.ReplyFunc(func(_ Receipt, err error) { answers <- err })})
	}
	answer := func(p bundleactor.Published, err error) {
		m := asked.next(t).(bundleactor.GetBundle)
		if err != nil {
			m.Fail(err)
			return
		}
		m.Send(p)
	}
	send()
	contact.Tell(ForgetBundle{})
	answer(bundleactor.Published{Bundle: old, Until: noon + 1000}, nil)
	if err := wait(t, answers); err != nil {
		t.Fatal(err)
	}
	send()
	fresh := alice.ownBundle()
	answer(bundleactor.Published{Bundle: fresh, Until: noon + 1000}, nil)
	if err := wait(t, answers); err != nil {
		t.Fatal(err)
	}
	send() // it is kept now
	if err := wait(t, answers); err != nil {
		t.Fatal(err)
	}
	contact.Tell(ForgetBundle{})
	send()
	send()
	answer(bundleactor.Published{}, errDisk)
	for range 2 {
		if err := wait(t, answers); !errors.Is(err, errDisk) {
			t.Errorf("without a bundle: %v", err)
		}
	}
	if len(asked.asked) != 0 {
		t.Error("asked more often than needed")
	}
}
