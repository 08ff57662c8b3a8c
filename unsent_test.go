package rookery_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
	carriers "github.com/rookery-im/rookery/transport/carrier/memory"
)

// refuseFrom has the network refuse what an identity sends to others.
func (a *air) refuseFrom(sender rookery.PublicKey) {
	a.setRule(func(e transport.Envelope) verdict {
		if e.Sender == sender && !isContactCode(e) {
			return refuse
		}
		return pass
	})
}

// A message that no network takes is in the end reported to the application with the id
// of its receipt, and only then it is dropped. Nothing of it goes out any more.
func TestUnsentMessageIsReportedAndDropped(t *testing.T) {
	store := lasting{memory.New()}
	w := newWorld(t, on(store), func(o *rookery.Options) { o.KeepUnsent = time.Hour })
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.air.refuseFrom(alice.key)
	receipt := w.send(alice, bob.key, "never")
	w.pass(59 * time.Minute)
	w.reopen()
	w.sweep()
	if n := count(t, store, persistence.KindOutbox); n != 1 {
		t.Fatalf("%d in the outbox after an hour less a minute", n)
	}
	w.pass(2 * time.Minute)
	w.sweepUntil("the report", func() bool { return len(these[rookery.Unsent](w.bag.all(), alice)) > 0 })
	e := awaitThese[rookery.Unsent](w, 1, alice)
	if e.ID != receipt.ID || e.Contact != bob.key || w.now().Sub(time.Unix(0, e.Sent)) < time.Hour {
		t.Errorf("got %+v", e)
	}
	eventually(t, "an empty outbox", func() bool { return count(t, store, persistence.KindOutbox) == 0 })
	if n := w.engine.Counts().Unsent; n != 1 {
		t.Errorf("%d are counted", n)
	}
	w.air.setRule(nil)
	w.reopen()
	w.sweep()
	w.send(alice, bob.key, "after it")
	w.awaitMessages(1, bob)
	if got := messages(w.bag.all(), bob); len(got) != 1 || string(got[0].Payload) != "after it" {
		t.Errorf("%d messages", len(got))
	}
	if n := len(these[rookery.Unsent](w.bag.all(), alice)); n != 1 {
		t.Errorf("reported %d times", n)
	}
}

// A handler that panics has not been told: the message is reported again after the next
// start. Without a handler there is nobody to tell.
func TestUnsentMessageWaitsForTheHandler(t *testing.T) {
	for _, handled := range []bool{true, false} {
		store := lasting{memory.New()}
		var panics atomic.Bool
		panics.Store(true)
		told := make(chan rookery.Unsent, 10)
		w := newWorld(t, on(store), func(o *rookery.Options) {
			o.KeepUnsent = time.Hour
			if !handled {
				o.Handler = nil
				return
			}
			o.Handler = func(e rookery.Event) {
				if u, ok := e.(rookery.Unsent); ok {
					told <- u
					if panics.Load() {
						panic("as the test wants it")
					}
				}
			}
		})
		alice, bob := w.person(1)[0], w.person(1)[0]
		w.introduce(w.at(alice), w.at(bob))
		w.air.refuseFrom(alice.key)
		w.send(alice, bob.key, "never")
		w.pass(2 * time.Hour)
		if handled {
			w.sweepUntil("the report", func() bool { return len(told) > 0 })
			<-told
			w.close()
			if n := count(t, store, persistence.KindOutbox); n != 1 {
				t.Fatalf("%d in the outbox before the handler has returned", n)
			}
			panics.Store(false) // before the engine that reports it again
			w.open()
		}
		w.sweepUntil("an empty outbox", func() bool { return count(t, store, persistence.KindOutbox) == 0 })
		if handled && len(told) == 0 {
			t.Error("it was not reported again")
		}
	}
}

// Who asks what became of a message that was given up is not told that the network has
// it: neither before the handler knows of it nor after that, neither over a sleep nor
// over the next Open, for as long as receipts are kept.
func TestAwaitTakenTellsOfWhatWasGivenUp(t *testing.T) {
	store := lasting{memory.New()}
	reported, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, on(store), func(o *rookery.Options) {
		o.KeepUnsent, o.KeepReceipts = time.Hour, 24*time.Hour
		handle := o.Handler
		o.Handler = func(e rookery.Event) {
			if _, ok := e.(rookery.Unsent); ok {
				close(reported)
				<-release
			}
			handle(e)
		}
	})
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.air.refuseFrom(alice.key)
	receipt := w.send(alice, bob.key, "never")
	asked := func() error { return w.at(alice).AwaitTaken(w.context(), bob.key, receipt.ID) }
	w.pass(2 * time.Hour)
	w.sweepUntil("the report", func() bool {
		select {
		case <-reported:
			return true
		default:
			return false
		}
	})
	wantError(t, asked(), cause.ErrUnsent)
	close(release)
	eventually(t, "an empty outbox", func() bool { return count(t, store, persistence.KindOutbox) == 0 })
	wantError(t, asked(), cause.ErrUnsent)
	w.asleep(alice)
	wantError(t, asked(), cause.ErrUnsent)
	w.pass(23 * time.Hour)
	w.reopen()
	w.sweep()
	wantError(t, asked(), cause.ErrUnsent)
	w.pass(2 * time.Hour)
	w.sweepUntil("the end of what is left of it", func() bool { return count(t, store, persistence.KindReceipt) == 0 })
}

// An identity that was made while there is no network publishes its contact code as
// soon as there is one, and not six hours later. Spec: 5.bundle-rotation.2
func TestContactCodeOfAnIdentityMadeOfflineIsPublishedWhenTheNetworkIsBack(t *testing.T) {
	network := carriers.New(carriers.Options{Seed: 1})
	here := newPlace(t, network)
	restore := network.Outage()
	here.engine.Sweep(time.Now()) // it sees that the network is away
	alice := here.identity()
	bundle := func() int {
		n := 0
		err := here.store.Scan(t.Context(), persistence.NewName(persistence.KindPublication), func(persistence.Name, []byte) error {
			n++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, "its bundle", func() bool { return bundle() == 1 })
	for range 20 {
		here.engine.Sweep(time.Now())
		time.Sleep(20 * time.Millisecond)
	}
	if n := network.Counts().Published; n != 0 {
		t.Fatalf("%d envelopes without a network", n)
	}
	restore()
	there := newPlace(t, network)
	bob := there.identity()
	if err := bob.Follow(alice.PublicKey()); err != nil {
		t.Fatal(err)
	}
	found := make(chan struct{})
	go func() {
		defer close(found)
		for e := range there.got {
			if d, ok := e.(rookery.InstallationDiscovered); ok && d.Contact == alice.PublicKey() {
				return
			}
		}
	}()
	for deadline := time.Now().Add(patience); ; {
		select {
		case <-found:
			return
		case <-time.After(100 * time.Millisecond):
			here.engine.Sweep(time.Now())
		}
		if time.Now().After(deadline) {
			close(there.got)
			<-found
			t.Fatal("its contact code is not found")
		}
	}
}

// An envelope of a clock that is far off is a message like any other: the time in it is
// the sender's word, and nothing depends on it. So are those of clocks that are a little
// off (deployed nodes keep in their histories what is off by up to 20 seconds, and relay
// all).
func TestMessagesOfWrongClocksArrive(t *testing.T) {
	network := carriers.New(carriers.Options{Seed: 1})
	here := newPlace(t, network)
	bob := here.identity()
	for name, off := range map[string]time.Duration{
		"20 s behind": -20 * time.Second, "20 s ahead": 20 * time.Second,
		"a day behind": -23 * time.Hour, "a day ahead": 23 * time.Hour,
	} {
		there := newPlace(t, network, func(o *rookery.Options) {
			o.Now = func() time.Time { return time.Now().Add(off) }
		})
		alice := there.identity()
		there.say(alice, bob, here, name)
		here.say(bob, alice, there, "answer to "+name)
		there.say(alice, bob, here, "again "+name)
	}
}
