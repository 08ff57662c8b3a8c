package daemon

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/daemon/webhook"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// dropAll drops the dead letters of a webhook.
func (r *resident) dropAll(id string) {
	r.h.t.Helper()
	r.call("WebhookService/DropDeadLetters", object{"id": id, "all": true}, nil)
}

func (h *house) kept(collection string) (n int) {
	h.t.Helper()
	for _, err := range h.hosting.Kept(h.t.Context(), collection) {
		if err != nil {
			h.t.Fatal(err)
		}
		n++
	}
	return n
}

// A dead letter that was dropped while another webhook of the identity has not had its
// event is not posted again when a restarted engine tells that event again. That it was
// dropped is forgotten when the other webhook has had it.
func TestDroppedDeadLetterIsNotPostedAgainWhileAnotherWebhookWaits(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprint("dropped after a restart: ", restarted), func(t *testing.T) {
			h := newHouse(t, quickWebhooks, func(h *house) { h.options.WebhookRefusals = 1 })
			alice, bob := h.resident("alice"), h.resident("bob")
			alice.knows(bob)
			refuses, away := newReceiver(t), newReceiver(t)
			refuses.answers(always(http.StatusUnprocessableEntity))
			away.answers(always(http.StatusServiceUnavailable))
			made := bob.hook(refuses)
			bob.hook(away)
			alice.send(bob, "one", "")
			eventually(t, "a dead letter", func() bool { return len(bob.letters(made.ID)) == 1 })
			if restarted {
				h.restart()
			}
			bob.dropAll(made.ID)
			refuses.answers(nil)
			for range 2 {
				h.restart()
				before := away.attempts()
				eventually(t, "told again", func() bool { return away.attempts() > before })
				if len(bob.letters(made.ID)) != 0 || bob.hooks()[0].DeadLetters != "" {
					t.Errorf("it is a dead letter again: %+v", bob.hooks()[0])
				}
			}
			alice.send(bob, "two", "")
			refuses.has(t, "two") // "one" would have come before it
			away.answers(nil)
			h.settled(2)
			eventually(t, "nothing is kept of it", func() bool { return h.kept(droppedCollection(made.ID)) == 0 })
		})
	}
}

// A webhook that is deleted is waited for no more, and takes along what others had
// dropped for its sake; one that had dropped something leaves nothing either.
func TestDeletedWebhookLeavesNothingDropped(t *testing.T) {
	for _, which := range []int{0, 1} {
		h := newHouse(t, quickWebhooks, func(h *house) { h.options.WebhookRefusals = 1 })
		alice, bob := h.resident("alice"), h.resident("bob")
		alice.knows(bob)
		refuses, away := newReceiver(t), newReceiver(t)
		refuses.answers(always(http.StatusUnprocessableEntity))
		away.answers(always(http.StatusServiceUnavailable))
		hooks := []hookSeen{bob.hook(refuses), bob.hook(away)}
		alice.send(bob, "one", "")
		eventually(t, "a dead letter", func() bool { return len(bob.letters(hooks[0].ID)) == 1 })
		bob.dropAll(hooks[0].ID)
		if n := h.kept(droppedCollection(hooks[0].ID)); n != 1 {
			t.Errorf("%d are kept as dropped", n)
		}
		h.call(h.admin, "WebhookService/DeleteWebhook", object{"identity": bob.key, "id": hooks[which].ID}, nil)
		if n := h.kept(droppedCollection(hooks[0].ID)); n != 0 {
			t.Errorf("%d are kept as dropped without webhook %d", n, which)
		}
	}
}

// What one webhook alone has had is dropped without a trace, and marks have a bound.
func TestDroppedDeadLettersAreKeptInMindOnlyAsFarAsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t, false)
		c.bury(t, "one")
		if err := c.drop(t.Context(), c.hook, c.hook.allLetters()); err != nil {
			t.Fatal(err)
		}
		if n := c.keptRecords(); n != 1 || c.marks.Load() != 0 {
			t.Errorf("%d records, %d marks", n, c.marks.Load())
		}
		c.answers = func(int, webhook.Delivery) webhook.Outcome { return webhook.Outcome{Verdict: webhook.Away} }
		of := hostedKey{rookery.PublicKey{2}, "here"}
		if _, err := c.create(t.Context(), of.key, "https://hooks.example.org", false); err != nil {
			t.Fatal(err)
		}
		var all []letter
		for n := range maxDropped + 10 {
			l := letterOf(&apiv1.Event{Id: fmt.Sprint(n), Installation: of.installation, Durable: true}, int64(n), 0) // of an earlier life
			c.hook.addLetter(l)
			all = append(all, l)
		}
		notice := letterOf(&apiv1.Event{Id: "notice", Installation: of.installation}, maxDropped+10, 0) // is not told again
		c.hook.addLetter(notice)
		if err := c.drop(t.Context(), c.hook, append(all, notice)); err != nil {
			t.Fatal(err)
		}
		if n := c.keptRecords(); n != 2+maxDropped || c.marks.Load() != maxDropped || c.hook.hasDropped(all[9].name) || !c.hook.hasDropped(all[10].name) {
			t.Errorf("%d records, %d marks", n, c.marks.Load())
		}
	})
}

// With a contact its dead letters are forgotten, and nobody else's; also by a call that
// finds nothing else to forget any more.
func TestForgottenContactTakesItsDeadLettersAlong(t *testing.T) {
	h := newHouse(t, quickWebhooks, func(h *house) { h.options.WebhookRefusals = 1 })
	alice, bob, carol := h.resident("alice"), h.resident("bob"), h.resident("carol")
	alice.knows(bob)
	carol.knows(bob)
	to := newReceiver(t)
	to.answers(always(http.StatusBadRequest))
	made := bob.hook(to)
	dead := func(want ...*resident) {
		t.Helper()
		eventually(t, "dead letters", func() bool { return len(bob.letters(made.ID)) >= len(want) })
		letters := bob.letters(made.ID)
		if len(letters) != len(want) || h.kept(lettersCollection(made.ID)) != len(want) {
			t.Fatalf("%+v are left, %d in the store", letters, h.kept(lettersCollection(made.ID)))
		}
		for n, l := range letters {
			if l.Event.Contact != want[n].key {
				t.Errorf("letter %d is %+v", n, l)
			}
		}
	}
	carol.send(bob, "from carol", "")
	dead(carol)
	alice.send(bob, "one", "")
	alice.send(bob, "two", "")
	dead(carol, alice, alice)
	bob.call("ContactService/ForgetContact", object{"contact": alice.key}, nil)
	dead(carol)
	h.refused("failed_precondition", bob.token, "ContactService/ForgetContact", object{"identity": bob.key, "contact": alice.key})

	alice.send(bob, "three", "")
	dead(carol, alice)
	key := must(rookery.ParsePublicKey(alice.key))(t)
	for _, i := range h.hosting.Identities() {
		if i.PublicKey().String() == bob.key { // and then the daemon was killed
			if err := i.Deny(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.restart()
	dead(carol, alice)
	bob.call("ContactService/ForgetContact", object{"contact": alice.key}, nil)
	dead(carol)
	h.restart()
	dead(carol)
}

// A message that is being posted while its contact is forgotten is no dead letter, and a
// dead letter that is being redelivered then is not written back.
func TestAttemptUnderWayBuriesNothingOfAForgottenContact(t *testing.T) {
	of := hostedKey{rookery.PublicKey{2}, "here"}
	held := func(c *clocked) (release func()) {
		over := make(chan struct{})
		before := len(c.made())
		c.answers = func(attempt int, _ webhook.Delivery) webhook.Outcome {
			if attempt-before == c.options.WebhookRefusals {
				<-over
			}
			return webhook.Outcome{Verdict: webhook.Refused}
		}
		return func() { close(over) }
	}
	forget := func(t *testing.T, c *clocked, want int) {
		t.Helper()
		c.feed.forget("a contact", c.feed.newest())
		if n, err := c.forgetContact(t.Context(), of, "a contact"); n != want || err != nil {
			t.Errorf("%d forgotten, want %d: %v", n, want, err)
		}
	}
	none := func(t *testing.T, c *clocked) {
		t.Helper()
		synctest.Wait()
		if n := c.keptRecords(); n != 1 || len(c.hook.allLetters()) != 0 {
			t.Errorf("%d records, %d dead letters", n, len(c.hook.allLetters()))
		}
	}
	event := func() *apiv1.Event {
		return &apiv1.Event{Id: "one", Durable: true, Installation: of.installation, Contact: "a contact"}
	}
	t.Run("for the first time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newClocked(t, false)
			release := held(c)
			c.feed.message(event(), func() { t.Error("acknowledged") })
			time.Sleep(time.Hour)
			forget(t, c, 0)
			release()
			time.Sleep(time.Hour)
			none(t, c)
			if n := len(c.made()); n != c.options.WebhookRefusals {
				t.Errorf("%d attempts", n)
			}
		})
	})
	t.Run("again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newClocked(t, false)
			c.answers = func(int, webhook.Delivery) webhook.Outcome { return webhook.Outcome{Verdict: webhook.Refused} }
			c.feed.message(event(), func() {})
			time.Sleep(time.Hour)
			synctest.Wait()
			c.options.WebhookRefusals = 1 // the next attempt is held
			release := held(c)
			redelivered := make(chan error, 1)
			go func() {
				_, err := c.redeliver(t.Context(), c.hook, c.hook.allLetters(), time.Minute)
				redelivered <- err
			}()
			synctest.Wait()
			forget(t, c, 1)
			release()
			if err := <-redelivered; err != nil {
				t.Error(err)
			}
			none(t, c)
		})
	})
}
