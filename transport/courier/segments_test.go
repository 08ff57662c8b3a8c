package courier_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/memory"
	"github.com/rookery-im/rookery/transport/courier"
)

// count is how many records of a kind the store has.
func (h *house) count(kind persistence.Kind) int {
	h.t.Helper()
	n := 0
	err := h.store.Scan(h.t.Context(), persistence.NewName(kind), func(persistence.Name, []byte) error {
		n++
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestLargeMessagesArriveInSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 2, Faults: memory.Faults{Loss: 0.1, Reorder: 0.3, Duplicate: 0.3, Busy: 0.05}})
		lookBack := func(o *courier.Options) { o.LookBack = time.Minute }
		here, there := newHouse(t, network, lookBack), newHouse(t, network, lookBack)
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		here.live(alice)
		there.live(bob)
		there.listen(bob, transport.PublicTopic("chat"))
		settle()
		large := strings.Repeat("a large message. ", 100_000) // 1.7 MB
		here.write(alice, bob, large)
		here.publish(transport.Envelope{Topic: transport.PublicTopic("chat"), Sender: alice.public, Payload: []byte(large)})
		here.write(alice, bob, "small")
		time.Sleep(10 * time.Minute)
		// A publication of which a part was refused is published again: it is another
		// set of envelopes of the same message.
		bob.has(large, large, "small")
		if n := there.count(persistence.KindSegment); n > 8 { // late ones of parity
			t.Errorf("%d segments left in the store", n)
		}
		if c := here.courier.Counts(); c.Envelopes < 2*17+1 {
			t.Errorf("%d envelopes", c.Envelopes)
		}
	})
}

// Segments that were taken before a crash are not asked for again.
func TestSegmentsOutliveTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 2})
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		here, s := onStage(t, func(o *courier.Options) { o.SegmentSize = 1000 })
		there := newHouse(t, network)
		pipe := network.Open()
		defer func() { _ = pipe.Close() }()
		here.live(alice)
		there.live(bob)
		settle()
		text := string(bytes.Repeat([]byte("0123456789"), 1000))
		here.write(alice, bob, text)
		all := s.taken()
		if len(all) != 11 {
			t.Fatalf("%d envelopes", len(all))
		}
		send := func(some []carrier.Message) {
			for _, m := range some {
				m.Time = time.Now().UnixNano()
				pipe.Publish(m, func(err error) {
					if err != nil {
						t.Error(err)
					}
				})
			}
			settle()
		}
		send(all[:5])
		if n := there.count(persistence.KindSegment); n != 5 {
			t.Fatalf("%d segments in the store", n)
		}
		there.crash()
		send(all[5:7])
		there.open()
		there.live(bob)
		settle()
		there.crash()
		there.open()
		there.live(bob)
		settle()
		if c := there.courier.Counts(); c.Segments != 0 || c.Repeated == 0 {
			t.Errorf("after a restart %+v", c)
		}
		// The last one comes, and is refused.
		bob.refuses(func(transport.Envelope) error { return errNotNow })
		send(all[8:11]) // one is never sent: a segment of parity stands in for it
		there.crash()
		there.open()
		there.live(bob)
		settle()
		bob.has()
		bob.refuses(nil)
		time.Sleep(time.Minute)
		bob.has(text)
		time.Sleep(time.Minute)
		if n := there.count(persistence.KindSegment); n != 0 {
			t.Errorf("%d segments left in the store", n)
		}
	})
}

// A whole that was put together and left to the history, since nobody listened any
// more, comes when somebody does.
func TestWholeIsPutTogetherAgainForWhoComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 2})
		small := func(o *courier.Options) { o.SegmentSize = 1000 }
		here, there := newHouse(t, network, small), newHouse(t, network, small)
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		here.live(alice)
		topic := transport.PublicTopic("chat")
		cancel := there.listen(bob, topic)
		settle()
		bob.refuses(func(transport.Envelope) error { return errNotNow })
		text := strings.Repeat("0123456789", 500)
		here.publish(transport.Envelope{Topic: topic, Sender: alice.public, Payload: []byte(text)})
		settle()
		cancel()
		settle()
		bob.refuses(nil)
		there.listen(bob, topic)
		time.Sleep(time.Minute)
		bob.has(text)
	})
}
