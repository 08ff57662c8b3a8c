package daemon

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/daemon/webhook"
	"github.com/rookery-im/rookery/keep"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// bury has one event become a dead letter.
func (c *clocked) bury(t *testing.T, id string) {
	t.Helper()
	before := c.answers
	c.answers = func(int, webhook.Delivery) webhook.Outcome { return webhook.Outcome{Verdict: webhook.Refused} }
	c.message(id)
	time.Sleep(time.Hour)
	synctest.Wait()
	if !c.hook.hasLetter(letterName(&apiv1.Event{Id: id})) {
		t.Fatalf("%s is no dead letter", id)
	}
	c.answers = before
}

func (c *clocked) keptRecords() (n int) {
	c.kept.mu.Lock()
	defer c.kept.mu.Unlock()
	for _, all := range c.kept.all {
		n += len(all)
	}
	return n
}

// keepsThen is a keeper that does something else before and behind each write.
type keepsThen struct {
	keeper
	before func()
	then   func() error
}

func (k keepsThen) Keep(ctx context.Context, records ...keep.Record) error {
	k.before()
	if err := k.keeper.Keep(ctx, records...); err != nil {
		return err
	}
	return k.then()
}

// A dead letter that is being redelivered while its identity is deleted is not written
// back.
func TestRedeliveryUnderWayWritesNothingBackAfterItsIdentityIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t, false)
		c.bury(t, "one")
		release := make(chan struct{})
		c.answers = func(int, webhook.Delivery) webhook.Outcome {
			<-release
			return webhook.Outcome{Verdict: webhook.Refused}
		}
		redelivered := make(chan error, 1)
		go func() {
			_, err := c.redeliver(t.Context(), c.hook, c.hook.allLetters(), time.Minute)
			redelivered <- err
		}()
		synctest.Wait()
		forgotten := make(chan struct{})
		go func() {
			c.forget(t.Context(), hostedKey{rookery.PublicKey{2}, "here"})
			close(forgotten)
		}()
		synctest.Wait()
		close(release)
		<-forgotten
		if err := <-redelivered; err != nil {
			t.Error(err)
		}
		if n := c.keptRecords(); n != 0 {
			t.Errorf("%d records are kept", n)
		}
	})
}

// A webhook whose identity is deleted while it is made is not kept, nor one that was
// written by a call that seemed to fail.
func TestWebhookThatIsNotMadeIsNotKept(t *testing.T) {
	of := hostedKey{rookery.PublicKey{2}, "here"}
	t.Run("deleted meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newClocked(t, false)
			forgotten := make(chan struct{})
			first := true
			c.keeper = keepsThen{c.kept, func() {
				if first {
					first = false
					go func() {
						c.forget(t.Context(), of)
						close(forgotten)
					}()
					time.Sleep(time.Second) // what it can do by now is done
				}
			}, func() error { return nil }}
			if _, err := c.create(t.Context(), of.key, "https://hooks.example.org", false); !errors.Is(err, errGone) {
				t.Errorf("got %v", err)
			}
			<-forgotten
			if n := c.keptRecords(); n != 0 {
				t.Errorf("%d records are kept", n)
			}
		})
	})
	t.Run("failed and written", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newClocked(t, false)
			before := c.keptRecords()
			first := true
			c.keeper = keepsThen{c.kept, func() {}, func() error {
				if first {
					first = false
					return context.Canceled
				}
				return nil
			}}
			if _, err := c.create(t.Context(), of.key, "https://hooks.example.org", false); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			if n := c.keptRecords(); n != before {
				t.Errorf("%d records are kept, before %d", n, before)
			}
		})
	})
}

// Dead letters that go while they are listed or redelivered fail nothing for the others.
func TestDeadLettersThatGoMeanwhileArePassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t, false)
		for _, id := range []string{"one", "two", "three"} {
			c.bury(t, id)
		}
		first, next, err := c.page(t.Context(), c.hook, 1, "")
		if err != nil || len(first) != 1 || first[0].GetEvent().GetId() != "one" {
			t.Fatalf("got %v, %v", first, err)
		}
		if err := c.drop(t.Context(), c.hook, c.hook.allLetters()[:1]); err != nil {
			t.Fatal(err)
		}
		two := c.hook.allLetters()[0]
		gone := keep.Record{Collection: lettersCollection(c.hook.id), Name: two.name}
		if err := c.kept.Keep(t.Context(), gone); err != nil { // and nobody has noticed
			t.Fatal(err)
		}
		rest, last, err := c.page(t.Context(), c.hook, 10, next)
		if err != nil || len(rest) != 1 || rest[0].GetEvent().GetId() != "three" || last != "" {
			t.Errorf("behind one that was dropped: %v, %q, %v", rest, last, err)
		}
		for _, wrong := range []string{"x", "1", "01-x", two.name} {
			if _, _, err := c.page(t.Context(), c.hook, 10, wrong); !errors.Is(err, errPage) {
				t.Errorf("token %q: %v", wrong, err)
			}
		}
		c.answers = func(int, webhook.Delivery) webhook.Outcome { return webhook.Outcome{} }
		done, err := c.redeliver(t.Context(), c.hook, c.hook.allLetters(), time.Minute)
		if err != nil || done.GetDelivered() != 1 || len(done.GetFailed()) != 0 || len(c.hook.allLetters()) != 0 {
			t.Errorf("redelivered %v, %v; %d are left", done, err, len(c.hook.allLetters()))
		}
	})
}

// The time that a webhook is disabled does not count as one in which an event was tried.
func TestAttemptsAreCountedAnewOnceAWebhookIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t, false)
		c.answers = func(attempt int, _ webhook.Delivery) webhook.Outcome {
			if attempt == 1 {
				return webhook.Outcome{Verdict: webhook.Gone}
			}
			return webhook.Outcome{Verdict: webhook.Refused}
		}
		c.message("one")
		time.Sleep(100 * time.Hour)
		synctest.Wait()
		if err := c.resume(t.Context(), c.hook); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(c.made()) != 2 || len(c.hook.allLetters()) != 0 {
			t.Errorf("%d attempts, %d dead letters", len(c.made()), len(c.hook.allLetters()))
		}
	})
}

// An event that cannot be written holds up nothing behind it, and stays in the engine.
func TestEventThatCannotBeWrittenHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t, false)
		c.answers = func(int, webhook.Delivery) webhook.Outcome { return webhook.Outcome{} }
		c.feed.message(&apiv1.Event{Id: "bad", Durable: true, Chat: "\xff"}, func() { t.Error("it was acknowledged") })
		c.message("good")
		synctest.Wait()
		if len(c.acked) != 1 {
			t.Errorf("acknowledged %q", c.acked)
		}
	})
}

// Who waits to try again an event of an installation that is deleted ends with it.
func TestWaitEndsWithItsInstallation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t, false)
		c.answers = func(int, webhook.Delivery) webhook.Outcome { return webhook.Outcome{Verdict: webhook.Away} }
		c.message("one")
		time.Sleep(10 * time.Hour)
		synctest.Wait()
		c.feed.end(errGone)
		before := time.Now()
		c.hook.workers.Wait()
		if waited := time.Since(before); waited != 0 {
			t.Errorf("it waited for %v", waited)
		}
	})
}

// An identity that is being deleted, or could not be, fails no list.
func TestIdentitiesAreListedWhileOneIsDeleted(t *testing.T) {
	h := newHouse(t)
	h.resident("alice")
	one := h.hosting.Identities()[0]
	ended, end := context.WithCancel(t.Context())
	end()
	_ = h.hosting.DeleteIdentity(ended, one.PublicKey(), one.InstallationID()) // it takes nothing from now on
	var got struct{ Identities []object }
	h.call(h.admin, "IdentityService/ListIdentities", object{"waitingDevices": true}, &got)
	if len(got.Identities) != 1 {
		t.Errorf("got %v", got)
	}
}
