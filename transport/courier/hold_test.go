package courier_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/courier"
	"github.com/rookery-im/rookery/transport/topic"
)

// archive is a history that gives a message every 50 ms.
type archive struct {
	mu   sync.Mutex
	kept []carrier.Received
	fail error // with which it ends
}

func (a *archive) add(r carrier.Received) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept = append(a.kept, r)
}

func (a *archive) history(_ context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
	for next := 0; ; next++ {
		a.mu.Lock()
		if next == len(a.kept) {
			a.mu.Unlock()
			return a.fail
		}
		r := a.kept[next]
		a.mu.Unlock()
		if !slices.Contains(topics, r.Topic) || r.At < since || r.At >= until {
			continue
		}
		time.Sleep(50 * time.Millisecond)
		if err := each(r); err != nil {
			return err
		}
	}
}

// correspondence is Alice writing to Bob, who is in a house on a stage.
type correspondence struct {
	*network
	h          *house
	s          *stage
	archive    archive
	alice, bob *person
	n          int
	want       []string
}

func newCorrespondence(t *testing.T, change ...func(*courier.Options)) *correspondence {
	t.Helper()
	c := &correspondence{network: &network{t, newRandom()}, alice: newPerson(t, "alice"), bob: newPerson(t, "bob")}
	c.h, c.s = onStage(t, change...)
	c.s.history = c.archive.history
	return c
}

// next is the next message, of now less some time.
func (c *correspondence) next(ago time.Duration) carrier.Received {
	text := fmt.Sprintf("text %04d", c.n)
	c.n++
	c.want = append(c.want, text)
	at := time.Now().Add(-ago).UnixNano()
	m := c.asymmetric(topic.Partitioned(c.bob.public), c.bob, c.alice, []byte(text))
	m.Time = at
	return carrier.Received{Message: m, At: at}
}

// past puts messages of the last hours into the history.
func (c *correspondence) past(messages int) {
	for n := range messages {
		c.archive.add(c.next(10*time.Hour - time.Duration(n)*time.Second))
	}
}

// live delivers messages as they come, a tenth of a second apart; the history has them
// too if it is to.
func (c *correspondence) live(messages int, kept bool) {
	for range messages {
		r := c.next(0)
		if kept {
			c.archive.add(r)
		}
		c.s.receiver.Deliver(r)
		time.Sleep(100 * time.Millisecond)
	}
}

// inOrder fails unless everything came, once, in the order in which it was written.
func (c *correspondence) inOrder() {
	c.Helper()
	if got := c.bob.texts(); !slices.Equal(got, c.want) {
		at := 0
		for at < min(len(got), len(c.want)) && got[at] == c.want[at] {
			at++
		}
		c.Errorf("%d came, want %d; the first %d are right, then %.200q", len(got), len(c.want), at, got[at:])
	}
	if h := c.h.courier.Health(); h.CatchingUp {
		c.Errorf("in the end %+v", h)
	}
}

// T13: what comes live while older messages are read from the history waits for them:
// whoever decrypts them cannot skip any number.
func TestLiveEnvelopesWaitForTheHistory(t *testing.T) {
	for name, kept := range map[string]bool{"that has them too": true, "that has them not yet": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCorrespondence(t)
				c.past(300)
				c.h.live(c.bob)
				time.Sleep(time.Second)
				c.live(100, kept)
				if n := len(c.bob.texts()); n < 150 || n > 290 {
					t.Fatalf("%d came while the history was read", n)
				}
				time.Sleep(time.Minute)
				c.inOrder()
				c.live(1, kept) // at once
				c.inOrder()
			})
		})
	}
}

// Where more comes live than may wait it is left in the history, and none comes twice or
// before an older one.
func TestLiveEnvelopesThatMayNotWaitAreLeftInTheHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCorrespondence(t, func(o *courier.Options) { o.MaxPending = 40 })
		c.past(300)
		c.h.live(c.bob)
		time.Sleep(time.Second)
		c.live(50, true)
		if n := c.h.courier.Counts(); n.Left != 45 { // five wait
			t.Errorf("%+v", n)
		}
		time.Sleep(time.Minute)
		c.inOrder()
	})
}

// What no history keeps does not wait for it.
func TestEphemeralEnvelopesDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCorrespondence(t)
		c.past(300)
		c.h.live(c.bob)
		time.Sleep(1020 * time.Millisecond) // between two messages of the history
		synctest.Wait()
		r := c.next(0)
		r.Ephemeral = true
		c.s.receiver.Deliver(r)
		if got := c.bob.texts(); len(got) == 0 || len(got) > 100 || got[len(got)-1] != "text 0300" {
			t.Errorf("%d came: %.100q", len(got), got)
		}
	})
}

// A history that cannot be read holds up what comes live once, and not for long; one
// that there is not does not.
func TestLiveEnvelopesDoNotWaitForAHistoryThatDoesNotCome(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		wait time.Duration
	}{
		"unreachable": {carrier.ErrUnreachable, 40 * time.Second},
		"nonsense":    {carrier.ErrHistory, 40 * time.Second},
		"none":        {carrier.ErrNoHistory, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCorrespondence(t)
				c.archive.fail = test.err
				c.h.live(c.bob)
				c.live(10, false)
				time.Sleep(test.wait)
				for range 3 {
					if got := c.bob.texts(); !slices.Equal(got, c.want) {
						t.Errorf("%d came, want %d", len(got), len(c.want))
					}
					time.Sleep(time.Minute)
					c.live(1, false)
				}
			})
		})
	}
	t.Run("hanging", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCorrespondence(t)
			c.s.history = func(ctx context.Context, _ []carrier.Topic, _, _ int64, _ func(carrier.Received) error) error {
				<-ctx.Done()
				return ctx.Err()
			}
			c.h.live(c.bob)
			settle()
			c.live(10, false)
			time.Sleep(time.Minute)
			c.bob.has(c.want...)
		})
	})
}

// What waits does not take the room that the reading needs, nor is it in the way of others
// and of the end.
func TestWaitingEnvelopesHoldUpNobody(t *testing.T) {
	for _, pending := range []int{1, 2, 8} {
		t.Run(fmt.Sprint(pending), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCorrespondence(t, func(o *courier.Options) { o.MaxPending = pending })
				carol := newPerson(t, "carol")
				c.h.live(carol)
				settle() // nothing is read for her any more
				c.past(100)
				c.h.live(c.bob)
				time.Sleep(time.Second)
				c.live(5, true)
				m := c.asymmetric(topic.Partitioned(carol.public), carol, c.alice, []byte("to carol"))
				c.s.receiver.Deliver(carrier.Received{Message: m, At: time.Now().UnixNano()})
				carol.has("to carol")
				time.Sleep(time.Minute)
				c.inOrder()
			})
		})
	}
}

// What waits when the process ends is not settled.
func TestWaitingEnvelopesOutliveTheProcess(t *testing.T) {
	for _, crash := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newCorrespondence(t)
			c.past(300)
			c.h.live(c.bob)
			time.Sleep(time.Second)
			c.live(10, true)
			if crash {
				c.h.crash()
			} else {
				c.h.close()
			}
			c.bob.forget()
			c.h.open()
			c.h.live(c.bob)
			time.Sleep(5 * time.Minute)
			got := c.bob.texts()
			if last := c.want[len(c.want)-10:]; len(got) < 10 || !slices.Equal(got[len(got)-10:], last) {
				t.Errorf("crash %v: the last of %d are not those that waited", crash, len(got))
			}
		})
	}
}
