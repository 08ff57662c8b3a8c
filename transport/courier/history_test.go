package courier_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/storetest"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/memory"
	"github.com/rookery-im/rookery/transport/courier"
	"github.com/rookery-im/rookery/transport/topic"
)

// An identity that comes to a partition which others of the house have listened to
// gets its past; what was nothing for them is looked at again, and they get nothing
// twice.
func TestNewcomerGetsThePastOfASharedTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 1})
		here, there := newHouse(t, network), newHouse(t, network)
		alice, bob, carol := newPerson(t, "alice"), newPerson(t, "bob"), neighbour(t, newPerson(t, "bob"))
		here.live(alice)
		there.live(bob)
		settle()
		here.write(alice, bob, "to bob")
		here.write(alice, carol, "too old")
		time.Sleep(15 * 24 * time.Hour)
		here.write(alice, carol, "to carol")
		here.write(alice, bob, "to bob again")
		settle()
		if c := there.courier.Counts(); c.Foreign != 2 {
			t.Errorf("%+v", c)
		}
		there.live(carol)
		settle()
		bob.has("to bob", "to bob again")
		carol.has("to carol")
		here.write(alice, carol, "live")
		settle()
		there.close()
		there.open()
		there.live(bob)
		there.live(carol)
		settle()
		bob.has("to bob", "to bob again")
		carol.has("to carol", "live")
	})
}

// An envelope for somebody else on a topic that several share is tried once by each,
// however often it comes, and also not again after a restart.
func TestForeignEnvelopesAreTriedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 1, Faults: memory.Faults{Duplicate: 1}})
		here, there := newHouse(t, network), newHouse(t, network)
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		carol := neighbour(t, bob)
		eve := neighbour(t, carol)
		here.live(alice)
		there.live(bob)
		there.live(carol)
		settle()
		here.write(alice, eve, "to eve")
		here.write(alice, bob, "to bob")
		settle()
		for range 2 {
			if c := there.courier.Counts(); c.Foreign > 1 || c.Received != c.Foreign+c.Delivered+c.Repeated || c.Repeated < 2 {
				t.Errorf("%+v", c)
			}
			there.close()
			there.open()
			there.live(bob)
			there.live(carol)
			settle()
		}
		if c := there.courier.Counts(); c.Foreign != 0 || c.Delivered != 0 || c.Repeated != 2 {
			t.Errorf("%+v", c)
		}
		bob.has("to bob")
	})
}

// neighbour is somebody on the same partitioned topic.
func neighbour(t *testing.T, of *person) *person {
	t.Helper()
	for n := range 200_000 {
		p := newPerson(t, fmt.Sprintf("%x %d", of.public[1:3], n))
		if topic.Partitioned(p.public).Topic() == topic.Partitioned(of.public).Topic() {
			return p
		}
	}
	t.Fatal("nobody lives there")
	return nil
}

// A topic that was left and is listened to again: what came meanwhile is fetched,
// in this process or in the next one.
func TestWhatCameWhileNobodyListenedIsFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 1})
		here, there := newHouse(t, network), newHouse(t, network)
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		chat := transport.PublicTopic("chat")
		var all []string
		say := func(text string) {
			here.publish(transport.Envelope{Topic: chat, Sender: alice.public, Payload: []byte(text)})
			all = append(all, text)
			settle()
		}
		here.live(alice)
		there.live(bob)
		cancel := there.listen(bob, chat)
		settle()
		say("one")
		for n, away := range []time.Duration{time.Second, time.Hour, 24 * time.Hour} {
			cancel()
			say(fmt.Sprint("while away ", n))
			time.Sleep(away)
			if n == 2 {
				there.close()
				there.open()
				there.live(bob)
				time.Sleep(time.Hour)
			}
			cancel = there.listen(bob, chat)
			settle()
			bob.has(all...)
			say(fmt.Sprint("back ", n))
			bob.has(all...)
		}
	})
}

// Of the contact codes of a month the newest ones are delivered, and later ones as
// they come.
func TestOnlyTheNewestContactCodesOfTheHistoryAreDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 1})
		here, there := newHouse(t, network), newHouse(t, network)
		alice, bob, eve := newPerson(t, "alice"), newPerson(t, "bob"), newPerson(t, "eve")
		code := transport.ContactCodeTopic(alice.public)
		here.live(alice)
		here.live(eve)
		say := func(text string, by *person) {
			here.publish(transport.Envelope{Topic: code, Sender: by.public, Payload: []byte(text)})
		}
		for n := range 160 { // 40 days
			say(fmt.Sprintf("code %d", n), alice)
			say("not a code", eve)
			time.Sleep(6 * time.Hour)
		}
		there.live(bob)
		there.listen(bob, code)
		settle()
		var want []string
		for n := 152; n < 160; n++ {
			want = append(want, fmt.Sprintf("code %d", n))
		}
		if got := bob.texts(); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if c := there.courier.Counts(); c.Outdated < 110 || c.Outdated > 112 || c.Misattributed != c.Outdated+8 {
			t.Errorf("%+v", c)
		}
		say("live", alice)
		settle()
		bob.has(append(want, "live")...)
		there.close()
		there.open()
		there.live(bob)
		there.listen(bob, code)
		settle()
		bob.has(append(want, "live")...)
	})
}

// Many topics are asked for in groups that deployed nodes take.
func TestHistoryIsAskedForInGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := onStage(t)
		asked := make(map[carrier.Topic]int)
		atOnce, most := 0, 0
		s.history = func(_ context.Context, topics []carrier.Topic, since, until int64, _ func(carrier.Received) error) error {
			s.mu.Lock()
			atOnce++
			most = max(most, atOnce)
			if len(topics) > 100 || since >= until || until > time.Now().Add(2*time.Minute).UnixNano() {
				t.Errorf("%d topics from %d to %d", len(topics), since, until)
			}
			for _, topic := range topics {
				asked[topic]++
			}
			s.mu.Unlock()
			time.Sleep(time.Second)
			s.mu.Lock()
			atOnce--
			s.mu.Unlock()
			return nil
		}
		for n := range 300 {
			h.live(newPerson(t, fmt.Sprint(n)))
		}
		settle()
		if len(asked) != s.topics() || most > 4 || most < 2 {
			t.Errorf("%d topics of %d, %d at once", len(asked), s.topics(), most)
		}
		for topic, n := range asked {
			if n != 1 {
				t.Errorf("%s: asked %d times", topic, n)
			}
		}
		s.receiver.Gap(time.Now().UnixNano())
		settle()
		for topic, n := range asked {
			if n != 2 {
				t.Errorf("%s: asked %d times", topic, n)
			}
		}
	})
}

// Without a history the cursor follows what comes, and nothing waits.
func TestNetworkWithoutHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 1, History: memory.History{Off: true}})
		here, there := newHouse(t, network), newHouse(t, network, func(o *courier.Options) { o.LookBack = time.Minute })
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		here.live(alice)
		there.live(bob)
		there.listen(bob, transport.PublicTopic("chat"))
		settle()
		texts := numbered("text", 100) // more than may wait for their key
		for _, text := range texts {
			here.publish(transport.Envelope{Topic: transport.PublicTopic("chat"), Sender: alice.public, Payload: []byte(text)})
		}
		settle()
		bob.has(texts...)
		if h := there.courier.Health(); h.CatchingUp || h.History != nil {
			t.Errorf("%+v", h)
		}
	})
}

// While the store takes nothing messages are delivered all the same, and what has to
// be durable waits.
func TestStoreThatFailsForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 1})
		here, there := newHouse(t, network), newHouse(t, network)
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		here.live(alice)
		faulty := storetest.NewFaulty(there.store)
		there.close()
		there.store = faulty
		for n := range 100 {
			faulty.FailApply(n+1, persistence.ErrFull)
		}
		there.open()
		there.live(bob)
		settle()
		here.write(alice, bob, "one")
		time.Sleep(time.Minute)
		bob.has("one")
		if h := there.courier.Health(); h.Store == nil {
			t.Errorf("%+v", h)
		}
		answered := make(chan error, 1)
		there.courier.Publish(transport.Envelope{Topic: transport.PersonalTopic(alice.public), Sender: bob.public, Payload: []byte("answer")}, func(err error) { answered <- err })
		if err := <-answered; !carrier.Retriable(err) {
			t.Errorf("published while the topic of the answer is not durable: %v", err)
		}
		time.Sleep(3 * time.Hour)
		if h := there.courier.Health(); h.Store != nil {
			t.Errorf("%+v", h)
		}
		there.write(bob, alice, "answer")
		settle()
		alice.has("answer")
		// What was delivered while it failed is known now.
		there.close()
		there.open()
		there.live(bob)
		settle()
		bob.has("one")
	})
}

// Writes are gathered: a thousand messages are a few batches.
func TestWritesAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 1})
		here, there := newHouse(t, network), newHouse(t, network)
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		here.live(alice)
		there.live(bob)
		settle()
		before := there.courier.Counts().Writes
		for range 1000 {
			here.write(alice, bob, "text")
			time.Sleep(10 * time.Millisecond)
		}
		settle()
		if n := there.courier.Counts().Writes - before; n > 5 {
			t.Errorf("%d writes in 20 seconds", n)
		}
		before = there.courier.Counts().Writes
		time.Sleep(24 * time.Hour)
		if n := there.courier.Counts().Writes - before; n > 1 {
			t.Errorf("%d writes in a quiet day", n)
		}
		// A process may end before the time for gathering is over.
		before = there.courier.Counts().Writes
		for range 1000 {
			here.write(alice, bob, "text")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := there.courier.Counts().Writes - before; n == 0 {
			t.Error("1,000 messages are not written down within a second")
		}
	})
}
