package courier_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/courier"
	"github.com/rookery-im/rookery/transport/topic"
)

// What is published is on the topic and under the time that the network expects.
func TestPublishedEnvelopesGoWhereTheyAreLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{t, newRandom()}
		h, s := onStage(t)
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		h.live(alice)
		settle()
		for _, test := range []struct {
			topic  transport.Topic
			agreed bool
			want   topic.Name
		}{
			{transport.PersonalTopic(bob.public), false, topic.Partitioned(bob.public)},
			{transport.PersonalTopic(bob.public), true, must[topic.Name](n)(topic.Negotiated(&bob.key, alice.public))},
			{transport.PersonalTopic(alice.public), true, must[topic.Name](n)(topic.Negotiated(&alice.key, alice.public))},
			{transport.ContactCodeTopic(alice.public), false, must[topic.Name](n)(topic.ContactCode(alice.public))},
			{transport.PublicTopic("chat"), false, must[topic.Name](n)(topic.PublicChat("chat"))},
		} {
			time.Sleep(time.Second)
			before := time.Now()
			if err := publishOnce(h, transport.Envelope{Topic: test.topic, Sender: alice.public, Payload: []byte("x"), Agreed: test.agreed}); err != nil {
				t.Fatal(err)
			}
			all := s.taken()
			if len(all) != 1 || all[0].Topic != content(test.want) || all[0].Time < before.UnixNano() || all[0].Time > time.Now().UnixNano() || all[0].Ephemeral {
				t.Errorf("%v: %+v", test.want, all)
			}
		}
	})
}

func TestPublicationsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := onStage(t, func(o *courier.Options) { o.MaxPublishing, o.MaxPublishingBytes = 133, 13_333 })
		alice := newPerson(t, "alice")
		h.live(alice)
		settle()
		var held []func(error)
		s.publish = func(_ carrier.Message, accepted func(error)) {
			s.mu.Lock()
			held = append(held, accepted)
			s.mu.Unlock()
		}
		results := make(chan error, 1000)
		publish := func(n, size int) {
			for range n {
				e := transport.Envelope{Topic: transport.PublicTopic("chat"), Sender: alice.public, Payload: make([]byte, size)}
				h.courier.Publish(e, func(err error) { results <- err })
			}
			settle()
		}
		release := func(err error) {
			t.Helper()
			for _, accepted := range held {
				accepted(err)
			}
			held = nil
			settle()
		}
		outcome := func(taken, busy, failed int) {
			t.Helper()
			settle()
			var got [3]int
			for len(results) > 0 {
				switch err := <-results; {
				case err == nil:
					got[0]++
				case errors.Is(err, courier.ErrBusy) && carrier.Retriable(err):
					got[1]++
				case errors.Is(err, carrier.ErrUnreachable):
					got[2]++
				default:
					t.Errorf("publish: %v", err)
				}
			}
			if want := [3]int{taken, busy, failed}; got != want {
				t.Errorf("taken, busy, failed: %v, want %v", got, want)
			}
		}
		publish(120, 10)
		outcome(0, 20, 0)
		release(nil)
		outcome(100, 0, 0)
		publish(15, 1000)
		outcome(0, 5, 0)
		release(carrier.ErrUnreachable)
		outcome(0, 0, 10)
		publish(1, 50_000) // alone it may be as large as it is
		publish(1, 1)
		outcome(0, 1, 0)
		release(nil)
		outcome(1, 0, 0)
		if c := h.courier.Counts(); c.Published != 101 || c.Unpublished != 10 {
			t.Errorf("%+v", c)
		}
	})
}

// A message is taken when all its envelopes are, and refused once if one is not.
func TestMessageIsAsGoodAsTheWorstOfItsEnvelopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := onStage(t, func(o *courier.Options) { o.SegmentSize = 100 })
		alice := newPerson(t, "alice")
		h.live(alice)
		settle()
		e := transport.Envelope{Topic: transport.PublicTopic("chat"), Sender: alice.public, Payload: make([]byte, 1000)}
		if err := publishOnce(h, e); err != nil || len(s.taken()) != 11 {
			t.Errorf("%v", err)
		}
		n := 0
		s.publish = func(_ carrier.Message, accepted func(error)) {
			if n++; n == 5 || n == 7 {
				accepted(carrier.ErrBusy)
				return
			}
			accepted(nil)
		}
		calls := 0
		h.courier.Publish(e, func(err error) {
			if calls++; !errors.Is(err, carrier.ErrBusy) {
				t.Errorf("%v", err)
			}
		})
		settle()
		if calls != 1 || n != 11 {
			t.Errorf("told %d times, %d envelopes", calls, n)
		}
		e.Payload = make([]byte, 200_000) // in more segments than there may be
		if err := publishOnce(h, e); err == nil || carrier.Retriable(err) {
			t.Errorf("too large: %v", err)
		}
	})
}

func TestPublicationsKeepTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := onStage(t, func(o *courier.Options) { o.Rate, o.Burst = 2, 4 })
		alice := newPerson(t, "alice")
		h.live(alice)
		h.write(alice, alice, "the key is derived")
		settle()
		s.taken()
		accepted := make(chan error, 100)
		for range 44 {
			h.courier.Publish(transport.Envelope{Topic: transport.PersonalTopic(alice.public), Sender: alice.public}, func(err error) { accepted <- err })
		}
		time.Sleep(10*time.Second + 10*time.Millisecond)
		synctest.Wait()
		if n := len(s.taken()); n != 24 {
			t.Errorf("%d in ten seconds, want 24", n)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(accepted); n != 44 {
			t.Errorf("%d in twenty seconds, want 44", n)
		}
	})
}

// If the topic of the answers cannot be listened to, nothing is published.
func TestNothingGoesWhileNobodyListensForTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := onStage(t)
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		h.live(alice)
		settle()
		s.set(func() { s.subscribe = func(context.Context, ...carrier.Topic) error { return errScripted } })
		began := time.Now()
		err := publishOnce(h, transport.Envelope{Topic: transport.PersonalTopic(bob.public), Sender: alice.public, Payload: []byte("x")})
		if !carrier.Retriable(err) || time.Since(began) > 10*time.Minute || len(s.taken()) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		s.set(func() { s.subscribe = nil })
		h.write(alice, bob, "x")
		if len(s.taken()) != 1 {
			t.Error("not published")
		}
	})
}
