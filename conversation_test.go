package rookery_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
)

func onEachBackend(t *testing.T, test func(t *testing.T, b backend)) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) { test(t, b) })
	}
}

// Spec: 5.prekeys.4 5.initialization.1 5.initialization.2 5.protocol-message.2 5.payload.3
// Spec: draft.contact-request.2 draft.contact-request.5 draft.contact-request.9
func TestFirstContactWithoutBundleGetsForwardSecrecyWithTheAnswer(t *testing.T) {
	onEachBackend(t, func(t *testing.T, b backend) {
		w := newWorld(t, b)
		alice, bob := w.person(1)[0], w.person(1)[0]
		steps := []struct {
			from, to       device
			payload        string
			forwardSecrecy bool
			started        int
			installations  []string
		}{
			{alice, bob, "do you know me?", false, 0, []string{wire.NoInstallation}},
			{bob, alice, "now I do", true, 1, []string{alice.installation}},
			{alice, bob, "good", true, 0, []string{bob.installation}},
			{alice, bob, "and again", true, 0, []string{bob.installation}},
			{bob, alice, "bye", true, 0, []string{alice.installation}},
		}
		for _, step := range steps {
			before := len(messages(w.bag.all(), step.to))
			receipt := w.send(step.from, step.to.key, step.payload)
			if receipt.ForwardSecrecy != step.forwardSecrecy || receipt.Started != step.started ||
				!slices.Equal(receipt.Installations, step.installations) || len(receipt.Failed) != 0 {
				t.Errorf("%q: receipt %+v", step.payload, receipt)
			}
			w.awaitMessages(before+1, step.to)
			m := messages(w.bag.all(), step.to)[before]
			if string(m.Payload) != step.payload || m.ID != receipt.ID || m.Sender != step.from.key ||
				m.Installation != step.from.installation || m.ForwardSecrecy != step.forwardSecrecy || m.Received == 0 {
				t.Errorf("%q: received %q, id %v, from %v %s, forward secrecy %v", step.payload,
					m.Payload, m.ID, m.Sender, m.Installation, m.ForwardSecrecy)
			}
		}
		if refused := refusals(w.bag.all()); len(refused) != 0 {
			t.Errorf("refused: %v", refused[0].Err)
		}
		eventually(t, "counts", func() bool { // a message is reported before it is counted
			counts := w.engine.Counts()
			return counts.Sent == 5 && counts.Received == 5 && counts.Refused == 0 && counts.SessionsStarted == 2
		})
		w.close()
		store := w.look()
		for _, kind := range []persistence.Kind{persistence.KindOutbox, persistence.KindInbox} {
			if n := count(t, store, kind); n != 0 {
				t.Errorf("%d records of kind %v are left", n, kind)
			}
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Spec: 5.paired-group.1 draft.multi-device.1 54.session-establishment.1
func TestEveryDeviceGetsEveryMessageOnce(t *testing.T) {
	onEachBackend(t, func(t *testing.T, b backend) {
		w := newWorld(t, b)
		alice, bob := w.person(2), w.person(2)
		w.introduceAll(alice, bob)
		w.introduceAll(bob, alice)
		const rounds = 6
		people := [][]device{alice, bob}
		ids := make(map[string]rookery.MessageID) // by payload
		for n := range rounds {
			for side, from := range people {
				to := people[1-side]
				payload := string(rune('a'+n)) + string(rune('0'+side))
				receipt := w.send(from[n%2], to[0].key, payload)
				if len(receipt.Installations) != 2 || !receipt.ForwardSecrecy {
					t.Errorf("%s: receipt %+v", payload, receipt)
				}
				ids[payload] = receipt.ID
				w.awaitMessages(n+1, to...)
			}
		}
		w.close() // what is under way is handled
		for _, side := range people {
			for _, d := range side {
				got := messages(w.bag.all(), d)
				if len(got) != rounds {
					t.Errorf("%s: %d messages, want %d", d.installation, len(got), rounds)
				}
				for _, m := range got {
					if m.ID != ids[string(m.Payload)] {
						t.Errorf("%q has another id at %s than in the receipt", m.Payload, d.installation)
					}
				}
			}
		}
	})
}

// T33: a device of our own is heard of, and takes part only when it is
// approved.
// Spec: 5.multi-device.2 5.pairing.3 5.pairing.4 5.pairing.5 5.pairing.8 draft.ghost-device.2
// Spec: 54.pairing.1
func TestOwnDeviceTakesPartOnlyOnceItIsApproved(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	second, err := w.at(alice).AddInstallation(w.context())
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, w.at(alice).Approve(w.context(), alice.key, second.InstallationID()), cause.ErrUnknownInstallation)
	w.introduce(w.at(alice), second)
	w.bag.await(t, "discovery", func(events []rookery.Event) bool {
		return slices.ContainsFunc(events, func(e rookery.Event) bool {
			d, ok := e.(rookery.InstallationDiscovered)
			return ok && d.Contact == alice.key && d.Installation == second.InstallationID() && !d.Enabled &&
				d.To() == w.at(alice)
		})
	})
	targets := func() int {
		w.introduce(w.at(bob), w.at(alice))
		return len(w.send(bob, alice.key, "how many are you?").Installations)
	}
	if n := targets(); n != 1 {
		t.Errorf("before approval the message went to %d devices", n)
	}
	if err := w.at(alice).Approve(w.context(), alice.key, second.InstallationID()); err != nil {
		t.Fatal(err)
	}
	if n := targets(); n != 2 {
		t.Errorf("after approval the message went to %d devices", n)
	}
	w.awaitMessages(1, device{alice.key, second.InstallationID()})
}

// T40: once a bundle is known nothing is sent without forward secrecy.
// Spec: draft.account-generation.2 5.prekeys.5 5.bundle-retrieval.1 5.encryption.1 5.dr-header.1
// Spec: 5.payload.1 draft.contact-request.3 54.discovery.1
func TestContactCodeIsPublishedAndTaken(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	codes := make(chan []byte, 1)
	cancel, err := w.air.Subscribe(transport.ContactCodeTopic(bob.key), func(e transport.Envelope, done func(error)) {
		select {
		case codes <- e.Payload:
		default: // it is published again, and one is enough
		}
		done(nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	var once sync.Once
	accepted := make(chan error, 2)
	if err := w.at(bob).PublishContactCode(w.context(), func(err error) {
		accepted <- err
		once.Do(func() { close(accepted) }) // a second call panics
	}); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	code, err := wire.Decode(<-codes)
	if err != nil {
		t.Fatal(err)
	}
	if len(code.Bundles) != 1 || len(code.Entries) != 0 {
		t.Fatalf("a contact code of %d bundles and %d entries", len(code.Bundles), len(code.Entries))
	}
	if err := w.at(alice).TakeBundle(w.context(), bob.key, wire.EncodeBundle(code.Bundles[0])); err != nil {
		t.Fatal(err)
	}
	receipt := w.send(alice, bob.key, "found you")
	if !receipt.ForwardSecrecy || receipt.Started != 1 {
		t.Errorf("receipt %+v", receipt)
	}
	w.awaitMessages(1, bob)
	history := w.air.history()
	last, err := wire.Decode(history[len(history)-1].Payload)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range last.Entries {
		if entry.Part.DH != nil || entry.Part.X3DH == nil || entry.Part.DR == nil {
			t.Error("the message does not start a session")
		}
	}
	contact, err := w.at(alice).Contact(w.context(), bob.key)
	if err != nil {
		t.Fatal(err)
	}
	if in, ok := contact.Find(bob.installation); !ok || !in.Enabled {
		t.Errorf("the contact does not have bob's device: %+v", contact.Installations)
	}
}
