package courier_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/memory"
	"github.com/rookery-im/rookery/transport/courier"
	"github.com/rookery-im/rookery/transport/topic"
)

// slow takes its time: it says when what it was given is dealt with.
type slow struct {
	mu    sync.Mutex
	dones []func(error)
	got   []string
	most  int
}

func (s *slow) deliver(e transport.Envelope, done func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, string(e.Payload))
	s.dones = append(s.dones, done)
	s.most = max(s.most, len(s.dones))
}

func (s *slow) finish(err error) int {
	s.mu.Lock()
	dones := s.dones
	s.dones = nil
	s.mu.Unlock()
	for _, done := range dones {
		done(err)
		done(errNotNow) // counts once
	}
	return len(dones)
}

// T13: a week's messages come in the order in which they were published, no more at a
// time than may be pending, and none is missing.
func TestWeekAwayComesBackInOrderAndInBoundedMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pending, messages = 50, 1000
		network := memory.New(memory.Options{Seed: 1})
		here := newHouse(t, network)
		there := newHouse(t, network, func(o *courier.Options) { o.MaxPending = pending })
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		here.live(alice)
		there.live(bob)
		settle()
		there.close()
		texts := numbered("text", messages)
		for _, text := range texts {
			here.write(alice, bob, text)
			time.Sleep(6 * 24 * time.Hour / messages)
		}
		there.open()
		leave, err := there.courier.Host(&bob.key)
		if err != nil {
			t.Fatal(err)
		}
		there.leaves = append(there.leaves, leave)
		var s slow
		if _, err := there.courier.Subscribe(transport.PersonalTopic(bob.public), s.deliver); err != nil {
			t.Fatal(err)
		}
		settle()
		if h := there.courier.Health(); !h.CatchingUp || h.Behind == 0 {
			t.Errorf("while it catches up: %+v", h)
		}
		for s.finish(nil) > 0 {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if !slices.Equal(s.got, texts) {
			t.Errorf("got %d messages, sorted %v", len(s.got), slices.IsSorted(s.got))
		}
		if s.most != pending {
			t.Errorf("%d were pending at a time, want %d", s.most, pending)
		}
		settle()
		if h := there.courier.Health(); h.CatchingUp || h.Behind != 0 {
			t.Errorf("in the end: %+v", h)
		}
	})
}

// T14: one that refuses everything has no more than its share waiting; the others do not
// notice. When it takes messages again it gets all.
func TestSubscriberThatRefusesHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 1})
		here := newHouse(t, network)
		there := newHouse(t, network, func(o *courier.Options) { o.MaxPending, o.MaxRefused = 20, 10 })
		alice, bob, carol := newPerson(t, "alice"), newPerson(t, "bob"), newPerson(t, "carol")
		here.live(alice)
		there.live(bob)
		there.live(carol)
		settle()
		bob.refuses(func(transport.Envelope) error { return errNotNow })
		toBob, toCarol := numbered("to bob", 60), numbered("to carol", 60)
		for n := range toBob {
			here.write(alice, bob, toBob[n])
			here.write(alice, carol, toCarol[n])
		}
		settle()
		bob.has()
		carol.has(toCarol...)
		if c := there.courier.Counts(); c.Left < 48 || c.Refused < 10 {
			t.Errorf("%+v", c)
		}
		if h := there.courier.Health(); !h.CatchingUp {
			t.Errorf("%+v", h)
		}
		bob.refuses(nil)
		time.Sleep(10 * time.Minute)
		bob.has(toBob...)
		carol.has(toCarol...)
		if h := there.courier.Health(); h.CatchingUp {
			t.Errorf("%+v", h)
		}
	})
}

// Where there is no history nothing can be left in it: the carrier waits.
func TestFullCourierHoldsUpTheCarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{t, newRandom()}
		h, s := onStage(t, func(o *courier.Options) { o.MaxPending, o.MaxRefused = 10, 5 })
		s.history = noHistory
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		h.live(bob)
		settle()
		bob.refuses(func(transport.Envelope) error { return errNotNow })
		var delivered atomic.Int64
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			for i := range 30 {
				m := n.asymmetric(topic.Partitioned(bob.public), bob, alice, fmt.Appendf(nil, "text %d", i))
				s.receiver.Deliver(carrier.Received{Message: m, At: time.Now().UnixNano()})
				delivered.Add(1)
			}
		}()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := delivered.Swap(0); n != 10 {
			t.Errorf("%d were taken, want 10", n)
		}
		bob.refuses(nil)
		<-finished
		time.Sleep(time.Minute)
		if len(bob.texts()) != 30 {
			t.Errorf("%d came", len(bob.texts()))
		}
		// And bytes count as well.
		bob.refuses(func(transport.Envelope) error { return errNotNow })
		h.close()
		h.options.MaxPending, h.options.MaxPendingBytes = 1000, 10_000
		h.open()
		h.live(bob)
		settle()
		large := strings.Repeat("large", 500)
		delivered.Store(0)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 30 {
				m := n.asymmetric(topic.Partitioned(bob.public), bob, alice, []byte(large))
				s.receiver.Deliver(carrier.Received{Message: m, At: time.Now().UnixNano()})
				delivered.Add(1)
			}
		}()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := delivered.Load(); n < 2 || n > 5 {
			t.Errorf("%d large ones were taken", n)
		}
		h.close() // lets the carrier go
		<-done
	})
}

// Refused envelopes are given again ever more rarely.
func TestRetriesBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 1})
		here, there := newHouse(t, network), newHouse(t, network)
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		here.live(alice)
		there.live(bob)
		settle()
		var tries atomic.Int64
		bob.refuses(func(transport.Envelope) error { tries.Add(1); return errNotNow })
		here.write(alice, bob, "text")
		time.Sleep(time.Second)
		if n := tries.Swap(0); n < 3 || n > 5 {
			t.Errorf("%d tries in the first second", n)
		}
		time.Sleep(time.Hour)
		if n := tries.Load(); n < 90 || n > 170 {
			t.Errorf("%d tries in an hour", n)
		}
		bob.refuses(nil)
		time.Sleep(time.Minute)
		bob.has("text")
	})
}

// Who has stopped to listen still answers for what he was given: what he has dealt with
// does not come again, what he has not does.
func TestAnswersAfterTheEndOfASubscriptionCount(t *testing.T) {
	for _, answer := range []error{nil, errNotNow} {
		synctest.Test(t, func(t *testing.T) {
			network := memory.New(memory.Options{Seed: 1})
			here, there := newHouse(t, network), newHouse(t, network)
			alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
			here.live(alice)
			leave, err := there.courier.Host(&bob.key)
			if err != nil {
				t.Fatal(err)
			}
			there.leaves = append(there.leaves, leave)
			var s slow
			cancel, err := there.courier.Subscribe(transport.PersonalTopic(bob.public), s.deliver)
			if err != nil {
				t.Fatal(err)
			}
			settle()
			here.write(alice, bob, "for the last moment")
			settle()
			cancel()
			if s.finish(answer) != 1 {
				t.Fatalf("got %q", s.got)
			}
			there.close()
			there.open()
			there.live(bob)
			settle()
			if answer == nil {
				bob.has()
			} else {
				bob.has("for the last moment")
			}
		})
	}
}

// Of two that listen to one topic each gets everything, and one that leaves takes
// nothing from the other.
func TestAllSubscribersOfATopicGetEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 1})
		here, there := newHouse(t, network), newHouse(t, network)
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		second := newPerson(t, "bob")
		here.live(alice)
		there.live(bob)
		there.leaves = append(there.leaves, func() {})
		cancel := there.listen(second, transport.PersonalTopic(bob.public))
		settle()
		second.refuses(func(transport.Envelope) error { return errNotNow })
		here.write(alice, bob, "one")
		settle()
		bob.has("one")
		second.refuses(nil)
		time.Sleep(time.Minute)
		second.has("one")
		here.write(alice, bob, "two")
		settle()
		bob.has("one", "two")
		second.has("one", "two")
		cancel()
		cancel()
		here.write(alice, bob, "three")
		settle()
		bob.has("one", "two", "three")
		second.has("one", "two")
	})
}
