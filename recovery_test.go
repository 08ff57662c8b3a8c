package rookery_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/transport"
)

// An identity whose store is gone comes back from its phrase, as a device more.
// What was said before stays unreadable and says why; a contact reaches the new
// device with its second message at the latest.
// Spec: draft.account-generation.1 5.pairing.1 5.account-recovery.1 5.failed-decryption.1
// Spec: 5.failed-decryption.2 5.failed-decryption.3 5.partitioned-devices.1 5.partitioned-devices.2
func TestIdentityComesBackFromItsPhraseAsANewDevice(t *testing.T) {
	phrase, err := rookery.NewPhrase()
	if err != nil {
		t.Fatal(err)
	}
	theirs := newWorld(t, backends[1])
	bob := theirs.person(1)[0]
	live := func() (*world, device) {
		w := newWorld(t, backends[1], func(o *rookery.Options) { o.Transport = theirs.air })
		i, err := w.engine.CreateIdentity(w.context(), rookery.NewIdentity{Phrase: phrase})
		if err != nil {
			t.Fatal(err)
		}
		return w, device{i.PublicKey(), i.InstallationID()}
	}
	w, before := live()
	w.introduce(w.at(before), theirs.at(bob))
	w.send(before, bob.key, "hello")
	theirs.awaitMessages(1, bob)
	theirs.send(bob, before.key, "hello alice")
	w.awaitMessages(1, before)
	w.close() // and its store is lost

	w, after := live()
	if after.key != before.key || after.installation == before.installation {
		t.Fatalf("came back as %v, installation %s", after.key, after.installation)
	}
	// What the network still has of the past.
	old := slices.DeleteFunc(theirs.air.history(), func(e transport.Envelope) bool { return !between(bob.key, before.key)(e) })
	theirs.air.deliver(old)
	for n := range old {
		wantError(t, awaitThese[rookery.Refused](w, n+1, after).Err, cause.ErrNotTargeted)
	}
	eventually(t, "bob knows the new device", func() bool {
		c, err := theirs.at(bob).Contact(theirs.context(), before.key)
		_, ok := c.Find(after.installation)
		return err == nil && ok
	})
	receipt := theirs.send(bob, before.key, "are you back?")
	if !slices.Equal(receipt.Installations, sorted(before, after)) || receipt.Started != 1 || !receipt.ForwardSecrecy {
		t.Errorf("receipt %+v", receipt)
	}
	w.awaitMessages(1, after)
	w.send(after, bob.key, "I am")
	theirs.awaitMessages(2, bob)
	if m := messages(theirs.bag.all(), bob)[1]; m.Installation != after.installation || !m.ForwardSecrecy {
		t.Errorf("answered from %s", m.Installation)
	}
	if n := len(messages(w.bag.all(), after)); n != 1 {
		t.Errorf("%d messages, want that one alone", n)
	}
}

// A contact that hears nothing of the past writes once in vain.
// Spec: 5.partitioned-devices.1 5.partitioned-devices.2
func TestPartitionedDeviceIsIncludedAfterItsEmptyReply(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduceAll([]device{alice}, []device{bob})
	second := w.newDevice(bob) // unknown to alice, and to bob's first
	published := len(w.air.history())
	if got := w.send(alice, bob.key, "one").Installations; !slices.Equal(got, sorted(bob)) {
		t.Errorf("written to %v", got)
	}
	wantError(t, awaitThese[rookery.Refused](w, 1, second).Err, cause.ErrNotTargeted)
	w.awaitVersion(alice, second, 1)
	if got := w.send(alice, bob.key, "two").Installations; !slices.Equal(got, sorted(bob, second)) {
		t.Errorf("written to %v", got)
	}
	w.awaitMessages(1, second)
	w.awaitMessages(2, bob)
	// Somebody who goes on leaving it out is told once in two hours.
	c, err := w.at(alice).Contact(w.context(), bob.key)
	if err != nil {
		t.Fatal(err)
	}
	if in, _ := c.Find(second.installation); !in.Enabled {
		t.Error("the device is not enabled")
	}
	w.disable(alice, second)
	replies := func() int {
		n := 0
		for _, e := range w.air.history()[published:] {
			if isAdvertisement(e) && e.Topic == transport.PersonalTopic(alice.key) {
				n++
			}
		}
		return n
	}
	for n, want := range []int{1, 1, 2} {
		w.send(alice, bob.key, "without the second")
		awaitThese[rookery.Refused](w, n+2, second)
		w.asked(second)
		eventually(t, "reply", func() bool { return replies() >= want })
		if got := replies(); got != want {
			t.Errorf("message %d: %d replies, want %d", n, got, want)
		}
		if n == 1 {
			w.pass(2*time.Hour + time.Minute)
		}
	}
	eventually(t, "count of replies", func() bool {
		sent := 0
		for _, e := range w.air.history() {
			if isAdvertisement(e) && (e.Topic == transport.PersonalTopic(alice.key) || e.Topic == transport.PersonalTopic(bob.key)) {
				sent++
			}
		}
		return sent >= 2 && w.engine.Counts().Advertised == uint64(sent)
	})
	if messages := these[rookery.Message](w.bag.all(), alice); len(messages) != 0 {
		t.Errorf("an empty reply was reported as %q", messages[0].Payload)
	}
}

// lose deletes what an installation keeps of its sessions with a contact, while
// no engine has the store open.
func (w *world) lose(at device, contact rookery.PublicKey) {
	w.t.Helper()
	w.erase(at, contact, persistence.KindSession, persistence.KindSkipped)
}

// erase deletes records of some kinds that an installation has of a contact.
func (w *world) erase(at device, contact rookery.PublicKey, kinds ...persistence.Kind) {
	w.t.Helper()
	store := w.look()
	owner := persistence.NewOwnerID(at.key[:], at.installation)
	var batch persistence.Batch
	for _, kind := range kinds {
		prefix := persistence.NewName(kind, owner[:], contact[:])
		err := store.Scan(context.Background(), prefix, func(name persistence.Name, _ []byte) error {
			batch.Records = append(batch.Records, persistence.Record{Name: name, Delete: true})
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	if len(batch.Records) == 0 {
		w.t.Fatal("there is nothing to lose")
	}
	if err := errors.Join(store.Apply(context.Background(), batch), store.Close()); err != nil {
		w.t.Fatal(err)
	}
}

// A session that is gone on one side: the message that needs it is refused with
// the cause, a prekey that nobody has goes out, and the next message starts over.
// Others are not touched.
// Spec: 5.failed-decryption.1 5.failed-decryption.2 5.failed-decryption.3 5.re-keying.1 5.re-keying.2
func TestContactStartsOverWhenOurSessionIsLost(t *testing.T) {
	onEachBackend(t, func(t *testing.T, b backend) {
		w := newWorld(t, b)
		alice, bob, carol := w.person(1)[0], w.person(1)[0], w.person(1)[0]
		for _, friend := range []device{bob, carol} {
			w.introduceAll([]device{friend}, []device{alice})
			w.send(friend, alice.key, "hello")
			w.awaitMessages(1, alice)
			w.send(alice, friend.key, "hello")
			w.awaitMessages(1, friend)
			w.bag.empty()
		}
		w.close()
		w.lose(alice, bob.key)
		w.pass(2 * time.Hour) // the prekey is old enough to be replaced
		w.open()
		w.send(bob, alice.key, "unreadable")
		r := awaitThese[rookery.Refused](w, 1, alice)
		wantError(t, r.Err, cause.ErrNoSession)
		if r.Sender != bob.key || r.Installation != bob.installation {
			t.Errorf("refused of %v, installation %s", r.Sender, r.Installation)
		}
		w.awaitVersion(bob, alice, 2)
		w.bag.empty()
		if receipt := w.send(bob, alice.key, "from the start"); receipt.Started != 1 {
			t.Errorf("receipt %+v", receipt)
		}
		w.awaitMessages(1, alice)
		w.send(alice, bob.key, "I can hear you")
		w.awaitMessages(1, bob)
		wantSteps(t, "bob", steps(w, bob), []step{
			{sessionactor.BecameExpired, sessionactor.NewerBundle},
			{sessionactor.Replaced, sessionactor.NewerBundle},
			{sessionactor.BecameEstablished, sessionactor.FirstMessage},
		})
		w.send(carol, alice.key, "and me?")
		w.awaitMessages(2, alice)
		if n := len(refusals(w.bag.all())); n != 0 {
			t.Errorf("%d refusals after that", n)
		}
	})
}

// A prekey that is less than an hour old is new enough: strangers cannot have
// prekeys made at will. Whoever rests on it starts over an hour later.
func TestYoungPreKeyIsNotReplacedBecauseAMessageCannotBeRead(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduceAll([]device{bob}, []device{alice})
	w.send(bob, alice.key, "hello")
	w.awaitMessages(1, alice)
	w.send(alice, bob.key, "hello")
	w.awaitMessages(1, bob)
	w.close()
	w.lose(alice, bob.key)
	w.open()
	for n := range 2 {
		w.send(bob, alice.key, "unreadable")
		wantError(t, awaitThese[rookery.Refused](w, n+1, alice).Err, cause.ErrNoSession)
	}
	eventually(t, "the answer to the first", func() bool { return slices.ContainsFunc(w.air.history(), isAdvertisement) })
	w.pass(61 * time.Minute)
	w.send(bob, alice.key, "unreadable")
	wantError(t, awaitThese[rookery.Refused](w, 3, alice).Err, cause.ErrNoSession)
	w.awaitVersion(bob, alice, 2)
	w.send(bob, alice.key, "from the start")
	w.awaitMessages(2, alice)
}

// The key is all that a phrase is: the same words, the same identity.
// Spec: draft.account-generation.1
func TestPhraseAndKeyAreOneIdentity(t *testing.T) {
	w := newWorld(t, backends[1])
	const phrase = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
	first, err := w.engine.CreateIdentity(w.context(), rookery.NewIdentity{Phrase: phrase})
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.engine.CreateIdentity(w.context(), rookery.NewIdentity{Phrase: phrase})
	if err != nil {
		t.Fatal(err)
	}
	other, err := w.engine.CreateIdentity(w.context(), rookery.NewIdentity{Key: bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if first.PublicKey() != second.PublicKey() || first.InstallationID() == second.InstallationID() || first.PublicKey() == other.PublicKey() {
		t.Error("the phrase is not one identity with two installations")
	}
}
