package courier_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/courier"
)

// shelf is a history that sorts by the senders' clocks, as deployed ones do.
type shelf struct {
	mu  sync.Mutex
	all []carrier.Received
}

func (s *shelf) add(r carrier.Received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, r)
	slices.SortStableFunc(s.all, func(a, b carrier.Received) int { return int(a.At - b.At) })
}

func (s *shelf) history(_ context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
	s.mu.Lock()
	all := slices.Clone(s.all)
	s.mu.Unlock()
	for _, r := range all {
		if r.At >= since && r.At < until && slices.Contains(topics, r.Topic) {
			if err := each(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// A message of a sender whose clock is off by up to the 20 seconds that deployed nodes
// let pass is found in the history, although its place is before or after what was read
// already. One whose clock is further off than Overlap behind what was read is found as
// long as its place is not: the rule is that of the documentation.
func TestMessagesOfClocksThatAreOffAreFoundInTheHistory(t *testing.T) {
	for _, test := range []struct {
		off   time.Duration
		found bool
	}{
		{-20 * time.Second, true},
		{20 * time.Second, true},
		{-59 * time.Second, true},
		{-2 * time.Minute, false},
		{-24 * time.Hour, false},
	} {
		t.Run(fmt.Sprint(test.off), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				far, published := onStage(t)
				kept := &shelf{}
				there, s := onStage(t)
				s.set(func() { s.history = kept.history })
				alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
				far.live(alice)
				there.live(bob)
				settle()
				send := func(text string, off time.Duration, live bool) {
					far.write(alice, bob, text)
					for _, m := range published.taken() {
						m.Time = time.Now().Add(off).UnixNano()
						r := carrier.Received{Message: m, At: m.Time}
						kept.add(r)
						if live {
							s.receiver.Deliver(r)
						}
					}
				}
				send("before", 0, true)
				settle()
				there.close() // it has dealt with all until now
				time.Sleep(500 * time.Millisecond)
				send("of a clock that is off", test.off, false)
				there.open()
				there.live(bob)
				settle()
				time.Sleep(time.Hour)
				if test.found {
					bob.has("before", "of a clock that is off")
				} else {
					bob.has("before")
				}
			})
		})
	}
}

// What comes live is taken whatever time its sender's clock shows, and moves no place
// into the future: what comes after it is not passed by.
func TestLiveMessagesOfWrongClocksAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far, published := onStage(t)
		kept := &shelf{}
		there, s := onStage(t, func(o *courier.Options) { o.LookBack = courier.Never })
		s.set(func() { s.history = kept.history })
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		far.live(alice)
		there.live(bob)
		settle()
		var want []string
		for _, off := range []time.Duration{-100 * 365 * 24 * time.Hour, -24 * time.Hour, -time.Minute, time.Minute, 24 * time.Hour, 100 * 365 * 24 * time.Hour} {
			text := fmt.Sprint("off by ", off)
			far.publish(transport.Envelope{Topic: transport.PersonalTopic(bob.public), Sender: alice.public, Payload: []byte(text)})
			for _, m := range published.taken() {
				m.Time = time.Now().Add(off).UnixNano()
				s.receiver.Deliver(carrier.Received{Message: m, At: m.Time})
			}
			want = append(want, text)
		}
		settle()
		bob.has(slices.Clone(want)...)
		there.close()
		time.Sleep(10 * time.Second)
		far.write(alice, bob, "while away")
		for _, m := range published.taken() {
			kept.add(carrier.Received{Message: m, At: time.Now().UnixNano()})
		}
		there.open()
		there.live(bob)
		settle()
		bob.has(append(want, "while away")...)
	})
}
