package courier_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/memory"
	"github.com/rookery-im/rookery/transport/courier"
)

// Under a rate that one identity uses up another one's envelopes go at once: they wait
// for one of the busy one each, not for all that it has.
func TestBusyIdentityDoesNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := onStage(t, func(o *courier.Options) { o.Rate, o.Burst, o.MaxPublishing = 2, 1, 1000 })
		busy, quiet := newPerson(t, "busy"), newPerson(t, "quiet")
		h.live(busy)
		h.live(quiet)
		settle()
		var mu sync.Mutex
		var refused, done int
		took := make(map[int]time.Duration)
		for n := range 1001 {
			// Over ten topics: it is the identity that takes turns.
			e := transport.Envelope{Topic: transport.PublicTopic(fmt.Sprint("chat ", n%10)), Sender: busy.public, Payload: []byte("x")}
			if n == 1 {
				synctest.Wait() // the first goes at once, and makes room
			}
			h.courier.Publish(e, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, courier.ErrBusy) {
					refused++
					return
				}
				done++
			})
		}
		if refused != 250 {
			t.Errorf("%d refused, want a fourth of the room left to others", refused)
		}
		began := time.Now()
		for n := range 10 {
			e := transport.Envelope{Topic: transport.PublicTopic("chat"), Sender: quiet.public, Payload: []byte("x")}
			h.courier.Publish(e, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				took[n] = time.Since(began)
			})
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		for n := range 10 {
			if d, ok := took[n]; !ok || d > time.Duration(n+1)*1100*time.Millisecond {
				t.Errorf("number %d after %v", n, d)
			}
		}
		if done < 40 {
			t.Errorf("%d of the busy one in that time", done)
		}
	})
}

// What one identity writes to another arrives in the order in which it was published,
// while many others publish too.
func TestConversationsStayInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 2, Queue: 1 << 14})
		here, there := newHouse(t, network), newHouse(t, network)
		const peers, each = 4, 100
		var froms, tos []*person
		for n := range peers {
			froms = append(froms, newPerson(t, fmt.Sprint("from ", n)))
			tos = append(tos, newPerson(t, fmt.Sprint("to ", n)))
			here.live(froms[n])
			there.live(tos[n])
		}
		settle()
		for n := range each {
			for _, from := range froms {
				for _, to := range tos {
					here.courier.Publish(transport.Envelope{
						Topic: transport.PersonalTopic(to.public), Sender: from.public, Payload: fmt.Appendf(nil, "%04d", n),
					}, func(err error) {
						if err != nil {
							t.Error(err)
						}
					})
				}
			}
		}
		time.Sleep(5 * time.Minute)
		for _, to := range tos {
			to.mu.Lock()
			for _, from := range froms {
				var got []string
				for _, e := range to.got {
					if e.Sender == from.public {
						got = append(got, string(e.Payload))
					}
				}
				if len(got) != each || !slices.IsSorted(got) {
					t.Errorf("%d came, in order: %v", len(got), slices.IsSorted(got))
				}
			}
			to.mu.Unlock()
		}
	})
}

// A carrier that takes its time with one topic holds up nobody else, and what waits at
// the end is answered.
func TestPublicationsThatWaitAreAnsweredAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := onStage(t, func(o *courier.Options) { o.Rate = 1 })
		alice := newPerson(t, "alice")
		h.live(alice)
		settle()
		s.set(func() { s.publish = func(_ carrier.Message, accepted func(error)) { accepted(nil) } })
		answers := make(chan error, 100)
		for n := range 100 {
			e := transport.Envelope{Topic: transport.PublicTopic(fmt.Sprint("chat ", n%7)), Sender: alice.public, Payload: []byte("x")}
			h.courier.Publish(e, func(err error) { answers <- err })
		}
		time.Sleep(20 * time.Second)
		h.close()
		taken, closed := 0, 0
		for len(answers) > 0 {
			if err := <-answers; err == nil {
				taken++
			} else if errors.Is(err, transport.ErrClosed) {
				closed++
			}
		}
		if taken < 15 || taken+closed != 100 {
			t.Errorf("%d taken, %d told that it is closed", taken, closed)
		}
	})
}
