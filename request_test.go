package rookery_test

import (
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
)

// strangers are two people of whom alice has bob's bundle, or has not, on a
// store, with a policy for requests.
func strangers(t *testing.T, policy deviceactor.RequestPolicy, introduced bool) (w *world, alice, bob device, store persistence.Store) {
	t.Helper()
	inMemory := lasting{memstore.New()}
	w = newWorld(t, on(inMemory), func(o *rookery.Options) { o.Requests = policy })
	alice, bob = w.person(1)[0], w.person(1)[0]
	if introduced {
		w.introduce(w.at(alice), w.at(bob))
	}
	return w, alice, bob, inMemory
}

func (w *world) standing(of, with device) deviceactor.Standing {
	w.t.Helper()
	c, err := w.at(of).Contact(w.context(), with.key)
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Standing
}

// traces counts what an installation keeps of an identity.
func traces(t *testing.T, store persistence.Store, at device, of rookery.PublicKey) int {
	t.Helper()
	n, contacts := 0, whatContactsAreTo(t, at)
	err := store.Scan(t.Context(), "", func(name persistence.Name, _ []byte) error {
		if parts, err := name.Parts(); err == nil && contacts(name) && len(parts) > 1 && string(parts[1]) == string(of[:]) {
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func eachWay(t *testing.T, test func(t *testing.T, introduced bool)) {
	t.Run("without a bundle", func(t *testing.T) { test(t, false) })
	t.Run("with a bundle", func(t *testing.T) { test(t, true) })
}

// Spec: draft.contact-request.1 draft.contact-request.4 draft.contact-request.5
func TestMessagesOfAStrangerAreRequestsUntilAccepted(t *testing.T) {
	eachWay(t, func(t *testing.T, introduced bool) {
		w, alice, bob, _ := strangers(t, rookery.Ask, introduced)
		for n, payload := range []string{"I am alice", "from the other day"} {
			receipt := w.send(alice, bob.key, payload)
			r := awaitThese[rookery.ContactRequest](w, n+1, bob)
			if string(r.Payload) != payload || r.ID != receipt.ID || r.Sender != alice.key || r.ForwardSecrecy != introduced {
				t.Errorf("request %q of %v, id %v, forward secrecy %v", r.Payload, r.Sender, r.ID, r.ForwardSecrecy)
			}
		}
		if s := w.standing(bob, alice); s != deviceactor.Requested {
			t.Errorf("alice is %v", s)
		}
		if s := w.standing(alice, bob); s != deviceactor.Accepted {
			t.Errorf("to alice bob is %v", s)
		}
		published := len(w.air.history())
		if err := w.at(bob).Accept(w.context(), alice.key); err != nil {
			t.Fatal(err)
		}
		wantError(t, w.at(bob).Accept(w.context(), alice.key), cause.ErrNoRequest)
		if n := len(w.air.history()); n != published {
			t.Errorf("accepting has published %d envelopes", n-published)
		}
		w.send(alice, bob.key, "am I in?")
		w.awaitMessages(1, bob)
		if n := len(these[rookery.ContactRequest](w.bag.all(), bob)); n != 2 || len(messages(w.bag.all(), alice)) != 0 {
			t.Errorf("%d requests", n)
		}
		if s := w.standing(bob, alice); s != deviceactor.Accepted {
			t.Errorf("alice is %v", s)
		}
	})
}

// The answer is what alice sees of it; what was asked without forward secrecy
// has it from there on.
// Spec: draft.contact-request.7 draft.contact-request.8 draft.contact-request.9
func TestAnswerAcceptsARequestAndEstablishesForwardSecrecy(t *testing.T) {
	eachWay(t, func(t *testing.T, introduced bool) {
		w, alice, bob, _ := strangers(t, rookery.Ask, introduced)
		w.send(alice, bob.key, "I am alice")
		awaitThese[rookery.ContactRequest](w, 1, bob)
		if n := len(these[rookery.ForwardSecrecyEstablished](w.bag.all(), bob)); (n == 1) != introduced {
			t.Errorf("forward secrecy was reported %d times with the request", n)
		}
		if receipt := w.send(bob, alice.key, "I am bob"); !receipt.ForwardSecrecy {
			t.Error("answered without forward secrecy")
		}
		w.awaitMessages(1, alice)
		if e := awaitThese[rookery.ForwardSecrecyEstablished](w, 1, alice); e.Contact != bob.key {
			t.Errorf("with %v", e.Contact)
		}
		w.send(alice, bob.key, "thank you")
		w.awaitMessages(1, bob)
		awaitThese[rookery.ForwardSecrecyEstablished](w, 1, bob)
		w.send(bob, alice.key, "you are welcome")
		w.awaitMessages(2, alice)
		for _, d := range []device{alice, bob} {
			if n := len(these[rookery.ForwardSecrecyEstablished](w.bag.all(), d)); n != 1 {
				t.Errorf("%s was told %d times", d.installation, n)
			}
		}
		wantError(t, w.at(bob).Accept(w.context(), alice.key), cause.ErrNoRequest)
	})
}

// Spec: draft.contact-request.10
func TestDeniedRequestLeavesNothingAndCanBeMadeAgain(t *testing.T) {
	eachWay(t, func(t *testing.T, introduced bool) {
		w, alice, bob, store := strangers(t, rookery.Ask, introduced)
		w.bag.keepAll()
		before := digestOf(t, store, whatContactsAreTo(t, bob))
		for n := range 3 {
			w.send(alice, bob.key, "please")
			awaitThese[rookery.ContactRequest](w, n+1, bob)
			if traces(t, store, bob, alice.key) == 0 {
				t.Error("nothing is kept of the request")
			}
			published := len(w.air.history())
			if err := w.at(bob).Deny(w.context(), alice.key); err != nil {
				t.Fatal(err)
			}
			if n := traces(t, store, bob, alice.key); n != 0 || digestOf(t, store, whatContactsAreTo(t, bob)) != before {
				t.Errorf("%d records are left", n)
			}
			if n := len(w.air.history()); n != published {
				t.Errorf("denying has published %d envelopes", n-published)
			}
			wantError(t, w.at(bob).Deny(w.context(), alice.key), cause.ErrNoRequest)
			wantError(t, w.at(bob).Accept(w.context(), alice.key), cause.ErrNoRequest)
		}
		w.close()
		w.bag.empty()
		w.open()
		w.close()
		if got := w.bag.all(); len(got) != 0 {
			t.Errorf("after a restart %T %v", got[0], describe(got[0]))
		}
		w.open()
	})
}

// Somebody who was known and then denied has to ask anew: what comes on the old
// session cannot be read any more, and the one that takes its place is a request.
// Spec: draft.contact-request.10
func TestFormerContactHasToAskAgain(t *testing.T) {
	w, alice, bob, store := strangers(t, rookery.Ask, true)
	w.send(alice, bob.key, "I am alice")
	awaitThese[rookery.ContactRequest](w, 1, bob)
	w.send(bob, alice.key, "welcome")
	w.awaitMessages(1, alice)
	w.pass(2 * time.Hour) // bob's prekey can be replaced
	if err := w.at(bob).Deny(w.context(), alice.key); err != nil {
		t.Fatal(err)
	}
	w.send(alice, bob.key, "what did I say?")
	wantError(t, awaitThese[rookery.Refused](w, 1, bob).Err, cause.ErrNoSession)
	if n := traces(t, store, bob, alice.key); n != 0 {
		t.Errorf("%d records by a message that was refused", n)
	}
	w.awaitVersion(alice, bob, 2)
	if receipt := w.send(alice, bob.key, "let me explain"); receipt.Started != 1 {
		t.Errorf("receipt %+v", receipt)
	}
	awaitThese[rookery.ContactRequest](w, 2, bob)
	if n := len(messages(w.bag.all(), bob)); n != 0 {
		t.Errorf("%d messages without being asked", n)
	}
}

func TestDenyAllLetsOnlyThoseInWhomWeWroteTo(t *testing.T) {
	eachWay(t, func(t *testing.T, introduced bool) {
		w, alice, bob, store := strangers(t, rookery.DenyAll, introduced)
		before, published := digestOf(t, store, whatContactsAreTo(t, bob)), len(w.air.history())
		for n := range 3 {
			w.send(alice, bob.key, "please")
			wantError(t, awaitThese[rookery.Refused](w, n+1, bob).Err, cause.ErrDenied)
		}
		if digestOf(t, store, whatContactsAreTo(t, bob)) != before {
			t.Error("something is kept of a stranger")
		}
		if n := len(w.air.history()) - published; n != 3 {
			t.Errorf("%d envelopes for three messages", n)
		}
		w.send(bob, alice.key, "hello alice") // she wrote to him
		w.awaitMessages(1, alice)
		w.send(alice, bob.key, "at last")
		w.awaitMessages(1, bob)
	})
}

// A request waits for as long as nobody answers it.
func TestPendingRequestOutlivesARestart(t *testing.T) {
	onEachBackend(t, func(t *testing.T, b backend) {
		w := newWorld(t, b, func(o *rookery.Options) { o.Requests = rookery.Ask })
		alice, bob := w.person(1)[0], w.person(1)[0]
		w.bag.keepAll()
		receipt := w.send(alice, bob.key, "I am alice")
		awaitThese[rookery.ContactRequest](w, 1, bob)
		for range 2 {
			w.close()
			w.bag.empty()
			w.open()
			r := awaitThese[rookery.ContactRequest](w, 1, bob)
			if r.ID != receipt.ID || string(r.Payload) != "I am alice" || r.Sender != alice.key {
				t.Errorf("reported again: %q, id %v", r.Payload, r.ID)
			}
		}
		r := awaitThese[rookery.ContactRequest](w, 1, bob)
		r.Ack()
		w.close()
		w.bag.empty()
		w.open()
		if s := w.standing(bob, alice); s != deviceactor.Requested {
			t.Errorf("acknowledged, and after a restart alice is %v", s)
		}
		w.send(alice, bob.key, "still me")
		if r := awaitThese[rookery.ContactRequest](w, 1, bob); string(r.Payload) != "still me" {
			t.Errorf("reported %q again", r.Payload)
		}
		if err := w.at(bob).Accept(w.context(), alice.key); err != nil {
			t.Fatal(err)
		}
		w.reopen()
		awaitThese[rookery.ContactRequest](w, 2, bob) // not acknowledged: it is reported as what it was
		w.send(alice, bob.key, "in")
		w.awaitMessages(1, bob)
	})
}

// Spec: draft.contact-request.1
func TestAcceptAllMakesNoRequests(t *testing.T) {
	w, alice, bob, _ := strangers(t, rookery.AcceptAll, false)
	w.send(alice, bob.key, "I am alice")
	w.awaitMessages(1, bob)
	wantError(t, w.at(bob).Accept(w.context(), alice.key), cause.ErrNoRequest)
	wantError(t, w.at(bob).Accept(w.context(), w.person(1)[0].key), cause.ErrNoRequest)
	wantError(t, w.at(bob).Deny(w.context(), w.person(1)[0].key), cause.ErrNoRequest)
}

// A bundle that we took ourselves, from a picture or a contact code, is our yes;
// one that came beside a public message is not.
func TestBundleTakenByHandAcceptsAndOneInPublicDoesNot(t *testing.T) {
	w, alice, bob, _ := strangers(t, rookery.Ask, true)
	carol := w.person(1)[0]
	w.introduce(w.at(bob), w.at(alice))
	if s := w.standing(bob, alice); s != deviceactor.Accepted {
		t.Errorf("alice is %v", s)
	}
	w.send(alice, bob.key, "we have met")
	w.awaitMessages(1, bob)
	w.join(chat, bob)
	w.sendPublic(carol, "hello everybody")
	awaitThese[rookery.PublicMessage](w, 1, bob)
	if s := w.standing(bob, carol); s != deviceactor.Stranger {
		t.Errorf("carol is %v", s)
	}
	w.send(carol, bob.key, "hello bob")
	if r := awaitThese[rookery.ContactRequest](w, 1, bob); r.Sender != carol.key {
		t.Errorf("a request of %v", r.Sender)
	}
}
