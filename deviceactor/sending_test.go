package deviceactor

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/actors"
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

// Spec: 5.protocol-message.4 5.paired-group.1 5.paired-group.3 5.bundle-retrieval.1
// Spec: 54.session-establishment.1
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
	tell := func(from, to int) {
		for i := from; i < to; i++ {
			alice.contact(bob.key.Public()).Tell(Send{
				Payload: fmt.Append(nil, i),
				Reply:   actors.ReplyFunc(func(_ Receipt, err error) { answers <- err }),
			})
		}
	}
	answered := func(n int) {
		t.Helper()
		for range n {
			if err := wait(t, answers); err != nil {
				t.Fatal(err)
			}
		}
	}
	tell(0, messages/2)
	answered(1)
	tell(messages/2, messages) // these come in a later batch than the first one
	answered(messages - 1)
	alice.settle(bob)
	type state struct {
		key string
		n   uint32
	}
	stored := make(map[persistence.Name]state)
	outbox := make(map[persistence.Name]bool)
	writes := 0
	for _, b := range alice.disk.since(0) {
		for _, r := range b.Records {
			if r.Name.Kind() != persistence.KindSession {
				continue
			}
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
		}
		// What is in the outbox, the states of the same batch have moved past.
		for _, r := range b.Records {
			if r.Name.Kind() != persistence.KindOutbox || r.Delete {
				continue
			}
			outbox[r.Name] = true
			for _, e := range entriesOf(t, r.Value) {
				for _, s := range stored {
					if s.key == string(e.Part.DR.RatchetKey) && s.n <= e.Part.DR.N {
						t.Errorf("number %d is in the outbox, the stored state is at %d", e.Part.DR.N, s.n)
					}
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

// entriesOf reads the message of an outbox record.
func entriesOf(t *testing.T, value []byte) []wire.Entry {
	t.Helper()
	o, err := DecodeOutgoing(value)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wire.Decode(o.Message)
	if err != nil {
		t.Fatal(err)
	}
	return m.Entries
}
