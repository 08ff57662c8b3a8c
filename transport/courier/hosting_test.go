package courier_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/memory"
	"github.com/rookery-im/rookery/transport/courier"
	"github.com/rookery-im/rookery/transport/topic"
)

func publishOnce(h *house, e transport.Envelope) error {
	result := make(chan error, 1)
	h.courier.Publish(e, func(err error) { result <- err })
	return <-result
}

func TestOnlyHostedIdentitiesPublishAndListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := onStage(t)
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		e := transport.Envelope{Topic: transport.PersonalTopic(bob.public), Sender: alice.public, Payload: []byte("x")}
		refused := func(when string) {
			t.Helper()
			if err := publishOnce(h, e); !errors.Is(err, transport.ErrNotHosted) {
				t.Errorf("%s: publish: %v", when, err)
			}
			if _, err := h.courier.Subscribe(transport.PersonalTopic(alice.public), alice.deliver); !errors.Is(err, transport.ErrNotHosted) {
				t.Errorf("%s: subscribe: %v", when, err)
			}
		}
		refused("before")
		first, err := h.courier.Host(&alice.key)
		if err != nil {
			t.Fatal(err)
		}
		again := newPerson(t, "alice") // another installation has a key of its own
		second, err := h.courier.Host(&again.key)
		if err != nil {
			t.Fatal(err)
		}
		first()
		first()
		alice.key.Wipe()
		if err := publishOnce(h, e); err != nil {
			t.Errorf("hosted once more: %v", err)
		}
		second()
		refused("after")
		if len(s.taken()) != 1 {
			t.Error("more than one envelope")
		}
	})
}

// A key is used while it is here, and never after leave has returned.
func TestLeaveWaitsUntilTheKeyIsNotInUse(t *testing.T) {
	const rounds = 50
	network := memory.New(memory.Options{Seed: 1})
	here := newHouse(t, network)
	bob := newPerson(t, "bob")
	for round := range rounds {
		alice := newPerson(t, "alice")
		leave, err := here.courier.Host(&alice.key)
		if err != nil {
			t.Fatal(err)
		}
		cancel := here.listen(alice, transport.PersonalTopic(alice.public))
		results := make(chan error, 20)
		for n := range cap(results) {
			here.courier.Publish(transport.Envelope{
				Topic: transport.PersonalTopic(bob.public), Sender: alice.public, Payload: []byte("x"), Agreed: n%2 == 0,
			}, func(err error) { results <- err })
		}
		time.Sleep(time.Duration(round) * 100 * time.Microsecond)
		cancel()
		leave()
		alice.key.Wipe() // the race detector watches
		for range cap(results) {
			if err := <-results; err != nil && !errors.Is(err, transport.ErrNotHosted) {
				t.Errorf("publish: %v", err)
			}
		}
	}
}

// The topics that two share are listened to before the first message goes, and
// again after a restart without anything being sent.
func TestAnswersAreListenedForBeforeAndAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{t, newRandom()}
		h, s := onStage(t)
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		shared := content(must[topic.Name](n)(topic.Negotiated(&alice.key, bob.public)))
		listened := false
		s.publish = func(_ carrier.Message, accepted func(error)) {
			listened = s.subscribed[shared]
			accepted(nil)
		}
		s.history = func(context.Context, []carrier.Topic, int64, int64, func(carrier.Received) error) error {
			return carrier.ErrUnreachable // nobody waits for it
		}
		h.live(alice)
		settle()
		if s.topics() != 2 || s.subscribed[shared] {
			t.Errorf("%d topics", s.topics())
		}
		if err := publishOnce(h, transport.Envelope{Topic: transport.PersonalTopic(bob.public), Sender: alice.public, Payload: []byte("hello")}); err != nil || !listened {
			t.Errorf("%v; anybody listens for the answer: %v", err, listened)
		}
		h.crash() // at once
		clear(s.subscribed)
		h.open()
		h.live(alice)
		settle()
		if s.topics() != 3 || !s.subscribed[shared] {
			t.Errorf("after a restart %d topics", s.topics())
		}
		answer := n.sealed(must[topic.Name](n)(topic.Negotiated(&bob.key, alice.public)), bob, "answer")
		s.receiver.Deliver(carrier.Received{Message: answer, At: time.Now().UnixNano()})
		time.Sleep(time.Minute) // it waits for the history, and not for long
		alice.has("answer")
	})
}

// T18: strangers who make us answer cannot have us listen to any number of topics,
// and do not push out those who have used theirs.
func TestNegotiatedTopicsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{t, newRandom()}
		h, s := onStage(t, func(o *courier.Options) { o.MaxNegotiated = 3 })
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		h.live(alice)
		settle()
		h.write(alice, bob, "hello")
		shared := must[topic.Name](n)(topic.Negotiated(&bob.key, alice.public))
		deliver := func(text string) {
			s.receiver.Deliver(carrier.Received{Message: n.sealed(shared, bob, text), At: time.Now().UnixNano()})
			settle()
		}
		deliver("one")
		for i := range 10 {
			h.write(alice, newPerson(t, fmt.Sprint(i)), "go away")
		}
		settle()
		if s.topics() != 2+3 {
			t.Errorf("%d topics", s.topics())
		}
		deliver("two")
		alice.has("one", "two")
		want := []string{"one", "two"}
		for round := range 3 {
			h.close()
			h.open()
			h.live(alice)
			settle()
			text := fmt.Sprint("after restart ", round)
			deliver(text)
			want = append(want, text)
			alice.has(want...)
			h.write(alice, newPerson(t, text), "go away")
		}
	})
}

// The carrier is subscribed to what somebody listens to, once, however many do.
func TestCarrierIsSubscribedToWhatIsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := onStage(t)
		calls, failing := 0, false // under the lock of the stage
		s.subscribe = func(context.Context, ...carrier.Topic) error {
			if calls++; failing {
				return errScripted
			}
			return nil
		}
		people := make([]*person, 50)
		for i := range people {
			people[i] = newPerson(t, fmt.Sprint(i))
			h.live(people[i])
			h.listen(people[i], transport.PublicTopic("chat"))
		}
		settle()
		if s.topics() < 2*49+1 || s.topics() > 2*50+1 || calls != 1 {
			t.Errorf("%d topics in %d calls", s.topics(), calls)
		}
		var cancels []func()
		for _, p := range people {
			cancels = append(cancels, h.listen(p, transport.PublicTopic("another")))
		}
		settle()
		before := s.topics()
		for _, cancel := range cancels[1:] {
			cancel()
		}
		settle()
		if s.topics() != before {
			t.Errorf("%d topics, want %d", s.topics(), before)
		}
		cancels[0]()
		settle()
		if s.topics() != before-1 || calls != 2 {
			t.Errorf("%d topics, want %d; %d calls", s.topics(), before-1, calls)
		}
		// One that is given up at once is never subscribed.
		h.listen(people[0], transport.PublicTopic("never"))()
		settle()
		if calls != 2 {
			t.Errorf("%d calls", calls)
		}
		// What the carrier refuses is tried again.
		s.set(func() { failing = true })
		h.listen(people[0], transport.PublicTopic("later"))
		time.Sleep(time.Hour)
		if s.topics() != before-1 || calls > 80 {
			t.Errorf("%d topics, %d calls", s.topics(), calls)
		}
		s.set(func() { failing = false })
		time.Sleep(2 * time.Minute)
		if s.topics() != before {
			t.Errorf("%d topics, want %d", s.topics(), before)
		}
	})
}

func TestMalformedTopicsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := onStage(t)
		alice := newPerson(t, "alice")
		h.live(alice)
		for _, bad := range []transport.Topic{"", "personal/00", "x/y", "public/", transport.PublicTopic(strings.Repeat("x", 257)), "public/\xff"} {
			if _, err := h.courier.Subscribe(bad, alice.deliver); err == nil {
				t.Errorf("%.20q can be subscribed", string(bad))
			}
			if err := publishOnce(h, transport.Envelope{Topic: bad, Sender: alice.public}); err == nil {
				t.Errorf("%.20q can be published on", string(bad))
			}
		}
	})
}

func TestClosedCourierRefusesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := onStage(t)
		alice := newPerson(t, "alice")
		h.live(alice)
		settle()
		var held func(error)
		s.set(func() { s.publish = func(_ carrier.Message, accepted func(error)) { held = accepted } })
		results := make(chan error, 3)
		h.courier.Publish(transport.Envelope{Topic: transport.PublicTopic("chat"), Sender: alice.public, Payload: []byte("x")}, func(err error) { results <- err })
		settle()
		c := h.courier
		h.close()
		held(carrier.ErrClosed)
		if err := <-results; !errors.Is(err, transport.ErrClosed) {
			t.Errorf("under way: %v", err)
		}
		if _, err := c.Host(&alice.key); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("host: %v", err)
		}
		if _, err := c.Subscribe(transport.PublicTopic("chat"), alice.deliver); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("subscribe: %v", err)
		}
		c.Publish(transport.Envelope{Topic: transport.PublicTopic("chat"), Sender: alice.public}, func(err error) { results <- err })
		if err := <-results; !errors.Is(err, transport.ErrClosed) {
			t.Errorf("publish: %v", err)
		}
		if err := c.Close(); err != nil || !s.closed {
			t.Errorf("close again: %v; carrier closed %v", err, s.closed)
		}
		s.receiver.Deliver(carrier.Received{})
		s.receiver.Gap(0)
	})
}

// mute is a network that answers nobody.
type mute struct {
	*stage
	ended chan error
}

func (m mute) Subscribe(ctx context.Context, _ ...carrier.Topic) error {
	<-ctx.Done()
	m.ended <- ctx.Err()
	return ctx.Err()
}

// Who subscribes waits for no network, and Close ends what waits for one.
func TestNetworkThatDoesNotAnswerHoldsUpNoSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mute{&stage{subscribed: make(map[carrier.Topic]bool)}, make(chan error, 1)}
		h := newHouse(t, nil, func(o *courier.Options) { o.Carrier = m })
		alice := newPerson(t, "alice")
		began := time.Now()
		h.live(alice)
		h.listen(alice, transport.PublicTopic("chat"))
		if waited := time.Since(began); waited != 0 {
			t.Errorf("it waits for %v", waited)
		}
		settle()
		select {
		case err := <-m.ended:
			t.Fatalf("ended with %v while the courier is open", err)
		default:
		}
		h.close()
		if err := <-m.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

// T48: nothing that a courier holds is shown when it is printed.
func TestCouriersShowNothingOfWhatTheyHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := onStage(t)
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		h.live(alice)
		h.write(alice, bob, "a secret text")
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			shown := fmt.Sprintf(verb, h.courier)
			if len(shown) > 100 || !strings.Contains(shown, "courier over") {
				t.Errorf("%s shows %.300s", verb, shown)
			}
		}
	})
}
