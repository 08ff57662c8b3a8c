package daemon

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/daemon/webhook"
	"github.com/rookery-im/rookery/keep"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// keptHere is a keeper in memory that can refuse to write.
type keptHere struct {
	mu   sync.Mutex
	all  map[string]map[string][]byte
	full bool
}

var errNoSpace = errors.New("no space")

func (k *keptHere) Keep(_ context.Context, records ...keep.Record) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.full {
		return errNoSpace
	}
	for _, r := range records {
		if k.all[r.Collection] == nil {
			k.all[r.Collection] = make(map[string][]byte)
		}
		if k.all[r.Collection][r.Name] = r.Value; r.Value == nil {
			delete(k.all[r.Collection], r.Name)
		}
	}
	return nil
}

func (k *keptHere) Kept(_ context.Context, collection string) iter.Seq2[keep.Record, error] {
	return func(yield func(keep.Record, error) bool) {
		k.mu.Lock()
		defer k.mu.Unlock()
		for name, value := range k.all[collection] {
			if !yield(keep.Record{Collection: collection, Name: name, Value: value}, nil) {
				return
			}
		}
	}
}

func (k *keptHere) KeptValue(_ context.Context, collection, name string) ([]byte, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	value, found := k.all[collection][name]
	return value, found, nil
}

// clocked are the webhooks of one identity on a clock of the test's, with one webhook to
// an endpoint that answers as the test says.
type clocked struct {
	*webhooks
	kept    *keptHere
	feed    *feed
	hook    *hook
	begun   time.Time
	mu      sync.Mutex
	times   []time.Duration // since the beginning, of each attempt
	answers func(attempt int, d webhook.Delivery) webhook.Outcome
	acked   []string
}

func newClocked(t *testing.T, notices bool) *clocked {
	t.Helper()
	options := Options{}.withDefaults()
	c := &clocked{kept: &keptHere{all: make(map[string]map[string][]byte)}, feed: newFeed("0123456789abcdef", options), begun: time.Now()}
	stopping := make(chan struct{})
	c.webhooks = newWebhooks(options, stopping)
	c.post = func(_ context.Context, d webhook.Delivery) webhook.Outcome {
		c.mu.Lock()
		c.times = append(c.times, time.Since(c.begun))
		attempt := len(c.times)
		c.mu.Unlock()
		return c.answers(attempt, d)
	}
	of := hostedKey{rookery.PublicKey{2}, "here"}
	if err := c.open(t.Context(), c.kept, map[hostedKey]*feed{of: c.feed}); err != nil {
		t.Fatal(err)
	}
	h, err := c.create(t.Context(), of.key, "https://hooks.example.org", notices)
	if err != nil {
		t.Fatal(err)
	}
	c.hook = h
	t.Cleanup(func() {
		close(stopping)
		c.close()
	})
	return c
}

// made are the times of the attempts so far.
func (c *clocked) made() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.times)
}

func (c *clocked) message(id string) {
	c.feed.message(&apiv1.Event{Id: id, Durable: true, Payload: []byte(id)}, func() { c.acked = append(c.acked, id) })
}

// between tells whether attempt n was made in a span behind the one before.
func (c *clocked) between(t *testing.T, n int, least, most time.Duration) {
	t.Helper()
	made := c.made()
	if wait := made[n] - made[n-1]; wait < least || wait > most {
		t.Errorf("attempt %d came %v behind the one before, want %v to %v", n+1, wait, least, most)
	}
}

// What is refused is tried ten times in about eight minutes, then it is a dead letter, and
// the next has its turn.
func TestRefusedEventIsTriedAtGrowingIntervalsThenBuried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t, false)
		c.answers = func(_ int, d webhook.Delivery) webhook.Outcome {
			if d.ID == "poison" {
				return webhook.Outcome{Verdict: webhook.Refused, Cause: "answer 500"}
			}
			return webhook.Outcome{}
		}
		c.message("poison")
		c.message("good")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(c.made()) != 11 || len(c.acked) != 2 || len(c.hook.allLetters()) != 1 {
			t.Fatalf("%d attempts, acknowledged %q, %d dead letters", len(c.made()), c.acked, len(c.hook.allLetters()))
		}
		for n := 1; n < 10; n++ {
			wait := time.Second << (n - 1)
			c.between(t, n, wait/2, wait)
		}
		c.between(t, 10, 0, 0)
	})
}

// What an endpoint that is away does not take waits for it, at most ten minutes at a time,
// or as long as it has asked for; after 72 hours it is a dead letter.
func TestEndpointThatIsAwayIsWaitedForAndNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t, false)
		c.answers = func(attempt int, _ webhook.Delivery) webhook.Outcome {
			if attempt == 3 {
				return webhook.Outcome{Verdict: webhook.Away, Cause: "answer 503", RetryAfter: 20 * time.Minute}
			}
			return webhook.Outcome{Verdict: webhook.Away, Cause: "no answer"}
		}
		c.message("one")
		time.Sleep(71 * time.Hour)
		synctest.Wait()
		if len(c.acked) != 0 || len(c.hook.allLetters()) != 0 {
			t.Fatalf("acknowledged %q, %d dead letters", c.acked, len(c.hook.allLetters()))
		}
		c.between(t, 3, 20*time.Minute, 20*time.Minute)
		for n := 12; n < len(c.made()); n++ {
			c.between(t, n, 5*time.Minute, 10*time.Minute)
		}
		time.Sleep(72*time.Hour + 10*time.Minute - time.Since(c.begun))
		synctest.Wait()
		if len(c.acked) != 1 || len(c.hook.allLetters()) != 1 {
			t.Errorf("acknowledged %q, %d dead letters", c.acked, len(c.hook.allLetters()))
		}
	})
}

// A dead letter that cannot be stored is none: its event waits, and so does what comes
// behind it, until it can.
func TestEventIsNotLostWhileItsDeadLetterCannotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t, false)
		c.answers = func(int, webhook.Delivery) webhook.Outcome {
			return webhook.Outcome{Verdict: webhook.Refused, Cause: "answer 400"}
		}
		c.kept.mu.Lock()
		c.kept.full = true
		c.kept.mu.Unlock()
		c.message("one")
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(c.acked) != 0 || len(c.hook.allLetters()) != 0 || len(c.made()) < 12 {
			t.Fatalf("acknowledged %q, %d dead letters, %d attempts", c.acked, len(c.hook.allLetters()), len(c.made()))
		}
		c.kept.mu.Lock()
		c.kept.full = false
		c.kept.mu.Unlock()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(c.acked) != 1 || len(c.hook.allLetters()) != 1 {
			t.Errorf("acknowledged %q, %d dead letters", c.acked, len(c.hook.allLetters()))
		}
	})
}

// Dead letters have a bound: over it an event is tried on, until one is dropped.
func TestDeadLettersHaveABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t, false)
		c.answers = func(int, webhook.Delivery) webhook.Outcome {
			return webhook.Outcome{Verdict: webhook.Refused, Cause: "answer 400"}
		}
		for range maxLetters {
			c.hook.addLetter(letter{name: time.Now().String()})
			time.Sleep(time.Nanosecond)
		}
		c.message("one")
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(c.acked) != 0 || len(c.hook.allLetters()) != maxLetters {
			t.Fatalf("acknowledged %q, %d dead letters", c.acked, len(c.hook.allLetters()))
		}
		if err := c.drop(t.Context(), c.hook, c.hook.allLetters()[:1]); err != nil {
			t.Fatal(err)
		}
		c.hook.resume() // it tries at once
		synctest.Wait()
		if len(c.acked) != 1 || len(c.hook.allLetters()) != maxLetters {
			t.Errorf("acknowledged %q, %d dead letters", c.acked, len(c.hook.allLetters()))
		}
	})
}

// An event that became a dead letter just before a crash is not posted again, and one
// that its contact has taken along is not either.
func TestEventThatIsOverIsNotPosted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t, false)
		c.answers = func(int, webhook.Delivery) webhook.Outcome { return webhook.Outcome{Verdict: webhook.Away} }
		c.hook.addLetter(letter{name: letterName(&apiv1.Event{Id: "dead"})})
		c.message("dead")
		synctest.Wait()
		if len(c.made()) != 0 || len(c.acked) != 1 {
			t.Errorf("%d attempts, acknowledged %q", len(c.made()), c.acked)
		}
		c.message("forgotten")
		synctest.Wait()
		c.feed.forget("", c.feed.newest()) // of the contact ""
		before := len(c.made())
		time.Sleep(time.Hour)
		synctest.Wait()
		if before != 1 || len(c.made()) != before {
			t.Errorf("%d attempts, %d before it was forgotten", len(c.made()), before)
		}
	})
}

// Notices come to a webhook that wants them, each once, and to no other.
func TestNoticesComeToWebhooksThatWantThem(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newClocked(t, wanted)
			var ids []string
			c.answers = func(_ int, d webhook.Delivery) webhook.Outcome {
				ids = append(ids, d.ID)
				return webhook.Outcome{}
			}
			c.feed.notice(&apiv1.Event{Type: apiv1.EventType_EVENT_TYPE_ALARM})
			c.message("one")
			synctest.Wait()
			want := []string{"one"}
			if wanted {
				want = []string{"n-0123456789abcdef-1", "one"}
			}
			if len(ids) != len(want) || ids[0] != want[0] || len(c.acked) != 1 {
				t.Errorf("posted %q, want %q; acknowledged %q", ids, want, c.acked)
			}
		})
	}
}
